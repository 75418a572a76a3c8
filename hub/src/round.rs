//! The round: every agency is asked, each within its own time, and one that fails never holds up another.
//!
//! An agency that does not know a person sees only tokens; one that does is told the identity, sealed, and
//! answers. What did not come back is asked again until it does; silence is never read as an answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use brag_common::{
    audit::entry::{Action, EntryDraft, Party},
    enquiry::{Answer, ClaimedLink, Envelope, LinkedPerson, PersonAnswer, RatePerson, RateQuery},
    id::{AgencyId, EnquiryRef, PersonRef, RequestId},
    matching::identity::Identity,
    seal::Binding,
    secret::random_bytes,
    statement::PersonIn,
    telemetry::traces,
    tls::with_deadline,
    wire::{MAX_MESSAGE_BYTES, pb, witness::MAX_EXCHANGE_BYTES},
    witness::{in_band, layer::WitnessedChannel},
};

use tracing::Instrument as _;

use crate::{
    backlog::{Backlog, Place},
    guard::Refusal,
    hub::Shared,
    identity_review::Authorised,
    matrix::{Said, State},
    screening::{Asked, Screening},
    store::{
        CellRow, Change,
        shapes::{EnquiryRecord, PersonRecord},
    },
    take::{self, Taken},
};

/// How long after an agency has come back at least it is asked what it was not there for: it may come and go.
const COME_BACK: Duration = Duration::from_secs(1);

/// Something came back that is not an answer, or not for everyone who was asked about.
const INVALID_ANSWER: &str = "INVALID_ANSWER";

/// Asks every agency about a new enquiry; returns at once.
pub fn start(shared: &Arc<Shared>, enquiry: &EnquiryRef) {
    for agency in shared.nodes.keys() {
        let (asking, enquiry, agency) = (Arc::clone(shared), enquiry.clone(), agency.clone());
        shared.rounds.spawn(async move {
            ask(&asking, &enquiry, &agency).await;
        });
    }
}

/// Asks one agency again about those whom it may now compare; returns at once.
pub fn start_one(shared: &Arc<Shared>, enquiry: &EnquiryRef, agency: &AgencyId) {
    let (asking, enquiry, agency) = (Arc::clone(shared), enquiry.clone(), agency.clone());
    shared.rounds.spawn(async move {
        ask(&asking, &enquiry, &agency).await;
    });
}

/// Asks agencies again whose answers did not come back, until told to stop. What was under way when the hub
/// last stopped is asked again at once. Each is asked in a task of its own, so that a slow node holds up no other.
pub async fn ask_again(shared: Arc<Shared>) {
    let pause = shared.config.fan_out.ask_again_after.get();
    let backlog: Arc<Mutex<Backlog>> = Arc::default();
    let mut arrivals = shared.standing.arrivals();
    let mut first = true;
    loop {
        let wait = if first { Duration::ZERO } else { pause };
        // An agency that has dialled is there: what it missed need not wait for the whole pause.
        let come_back = async {
            let arrived = arrivals.changed().await.is_ok();
            tokio::time::sleep(if arrived { COME_BACK.min(pause) } else { pause }).await;
        };
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = come_back => {}
        }
        let missing = match to_ask_again(&shared, first).await {
            Ok(missing) => missing,
            Err(error) => {
                tracing::warn!(%error, "can not look for answers that are missing");
                continue;
            }
        };
        first = false;
        let now = lock(&backlog).turn(missing);
        for place in now {
            let (asking, backlog) = (Arc::clone(&shared), Arc::clone(&backlog));
            shared.rounds.spawn(async move {
                ask(&asking, &place.0, &place.1).await;
                lock(&backlog).asked(&place);
            });
        }
    }
}

/// The backlog is whole at every moment, so one that a panic left is good.
fn lock(backlog: &Mutex<Backlog>) -> MutexGuard<'_, Backlog> {
    backlog.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything whose answer is missing. An agency whose enrolment was never complete is not asked: nothing can be.
async fn to_ask_again(shared: &Shared, pending_too: bool) -> Result<BTreeSet<Place>, Refusal> {
    let now = shared.clock.now();
    let due = shared
        .store
        .run(move |store| {
            let mut due = BTreeSet::new();
            let mut enrolled = BTreeMap::new();
            for (enquiry, _) in store.enquiries()? {
                let authorised = Authorised::load(store, &enquiry)?;
                for (agency, person, record) in store.cells(&enquiry)? {
                    let cell = take::cell(&record);
                    if !enrolled.contains_key(&agency) {
                        enrolled
                            .insert(agency.clone(), store.epochs(&agency)?.can_be_screened(now));
                    }
                    let can_be_asked = enrolled.get(&agency) == Some(&true);
                    // The first answer of a new enquiry says so; after that there is nothing to ask.
                    let said_so = cell.state != State::Pending;
                    if !can_be_asked && said_so {
                        continue;
                    }
                    if cell.ask_again()
                        || (pending_too && cell.state == State::Pending)
                        || authorised.is_untold(&agency, &person, &cell)
                    {
                        due.insert((enquiry.clone(), agency));
                    }
                }
            }
            Ok(due)
        })
        .await?;
    Ok(due)
}

/// The pause before it is tried again to record what came of a call while the log can not be written.
const RECORD_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Asks one agency about everyone it has not answered for, and takes what comes.
async fn ask(shared: &Arc<Shared>, enquiry: &EnquiryRef, agency: &AgencyId) {
    let Ok(_turn) = shared.calls.acquire().await else { return };
    if shared.shutdown.is_cancelled() {
        return;
    }
    let asking = match Asking::load(shared, enquiry, agency).await {
        Ok(Some(asking)) => asking,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, %agency, "can not ask");
            return;
        }
    };
    let answered = async {
        let Err(failed) = asking.run().await else { return };
        let mut kept = asking.missed(&failed).await;
        // A call that was made has an entry of what came of it as soon as the log takes one: the agency's log may have its side. The turn is
        // kept meanwhile, so that no more of them wait than may call; nobody can be asked without the log.
        while failed.exchange.is_some() && matches!(kept, Err(Refusal::Log(_))) {
            tokio::select! {
                () = shared.shutdown.cancelled() => break,
                () = tokio::time::sleep(RECORD_AGAIN_AFTER) => {}
            }
            kept = asking.missed(&failed).await;
        }
        if let Err(error) = kept {
            tracing::warn!(%error, %agency, "can not keep that an agency did not answer");
        }
    };
    answered.instrument(traces::round(enquiry, agency)).await;
}

/// Why an agency gave no answers to a call.
#[derive(Debug)]
pub enum Missed {
    /// The agency said that it can not answer now, and why.
    Unable(&'static str),
    /// Nothing came back.
    NoResponse(&'static str),
}

impl Missed {
    fn of(status: &tonic::Status) -> Self {
        use tonic::Code;
        match brag_common::status::code_of(status) {
            Some("log_unavailable") => Self::Unable("AUDIT_UNAVAILABLE"),
            Some("agreement_version_mismatch") => Self::Unable("AGREEMENT_VERSION_MISMATCH"),
            Some("agreement_expired") => Self::Unable("AGREEMENT_EXPIRED"),
            Some("party_withdrawn") => Self::Unable("PARTY_WITHDRAWN"),
            Some("request_expired" | "request_too_far_ahead") => Self::NoResponse("CLOCKS_DIFFER"),
            Some("BUDGET_EXCEEDED") => Self::NoResponse("BUDGET_EXCEEDED"),
            Some(in_band::NO_RECEIPT) => Self::NoResponse("RECEIPT_REFUSED"),
            Some(in_band::NOT_KEPT) => Self::NoResponse("HUB_FAILED"),
            Some("checkpoint_inconsistent" | "log_key_changed" | "log_keys_not_vouched") => {
                Self::NoResponse("HUB_LOG_REFUSED")
            }
            Some(_) => Self::NoResponse("REFUSED"),
            None if status.code() == Code::DeadlineExceeded => Self::NoResponse("DEADLINE"),
            None if status.code() == Code::Cancelled => Self::NoResponse("DEADLINE"),
            None => Self::NoResponse("UNREACHABLE"),
        }
    }
}

impl Missed {
    /// Whether a cell says just this.
    fn is(&self, state: &State) -> bool {
        match (self, state) {
            (Self::NoResponse(why), State::NoResponse(known))
            | (Self::Unable(why), State::Answered { said: Said::Unable(known), .. }) => {
                known.as_str() == *why
            }
            (Self::NoResponse(_) | Self::Unable(_), _) => false,
        }
    }
}

impl From<Refusal> for Missed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Log(_) => Self::NoResponse("HUB_LOG_UNAVAILABLE"),
            Refusal::AgreementExpired => Self::NoResponse("AGREEMENT_EXPIRED"),
            Refusal::PartyWithdrawn => Self::Unable("PARTY_WITHDRAWN"),
            Refusal::Wire(_) | Refusal::Statement(_) => Self::NoResponse(INVALID_ANSWER),
            _ => Self::NoResponse("HUB_FAILED"),
        }
    }
}

/// A call that came to nothing.
#[derive(Debug)]
struct Failed {
    missed: Missed,
    /// The call's exchange; `None` when it was not made.
    exchange: Option<RequestId>,
    /// Of whom it was asked.
    people: BTreeSet<PersonRef>,
}

/// What the screening found of one person who is to be disclosed.
#[derive(Debug, Clone, Copy)]
struct Found {
    handle: [u8; 16],
    /// A possible match, which a co-ordinator has authorised to be compared.
    possible: bool,
}

/// One agency being asked about one enquiry.
struct Asking<'a> {
    shared: &'a Arc<Shared>,
    name: &'a EnquiryRef,
    agency: &'a AgencyId,
    enquiry: EnquiryRecord,
    /// Who is still to be answered for.
    open: BTreeSet<PersonRef>,
    /// Whom the agency may compare although the match is only possible.
    authorised: Authorised,
    within: Duration,
    channel: WitnessedChannel<Shared>,
}

impl<'a> Asking<'a> {
    async fn load(
        shared: &'a Arc<Shared>,
        name: &'a EnquiryRef,
        agency: &'a AgencyId,
    ) -> Result<Option<Self>, Refusal> {
        let Some(channel) = shared.to_node(agency) else { return Ok(None) };
        let (reading, asked) = (name.clone(), agency.clone());
        let (enquiry, cells, authorised) = shared
            .store
            .run(move |store| {
                let authorised = Authorised::load(store, &reading)?;
                Ok((store.enquiry(&reading)?, store.cells(&reading)?, authorised))
            })
            .await?;
        let Some(enquiry) = enquiry else { return Ok(None) };
        let open: BTreeSet<PersonRef> = cells
            .iter()
            .filter(|(by, person, record)| {
                let cell = take::cell(record);
                let open = cell.ask_again() || cell.state == State::Pending;
                *by == asked && (open || authorised.is_untold(by, person, &cell))
            })
            .map(|(_, person, _)| person.clone())
            .collect();
        let party = shared.agreement.agreement().party(agency);
        let within = party
            .and_then(|party| Duration::try_from(party.answer_within()?).ok())
            .unwrap_or_else(|| shared.config.fan_out.call_within.get());
        let asking = Self { shared, name, agency, enquiry, open, authorised, within, channel };
        Ok((!asking.open.is_empty()).then_some(asking))
    }

    async fn run(&self) -> Result<(), Failed> {
        let failed = |exchange: Option<&RequestId>, missed| {
            let (exchange, people) = (exchange.cloned(), self.open.clone());
            Failed { missed, exchange, people }
        };
        let (envelope, screening) = self.prepare().await.map_err(|missed| failed(None, missed))?;
        let screen = &envelope.request_id;
        let known =
            self.screen(screen, screening).await.map_err(|missed| failed(Some(screen), missed))?;
        if known.is_empty() {
            return Ok(());
        }
        let people: BTreeSet<PersonRef> = known.keys().cloned().collect();
        let query = match self.rate_query(screen, &known) {
            Ok(query) => query,
            Err(refusal) => return Err(Failed { missed: refusal.into(), exchange: None, people }),
        };
        let rated = self.rate(&query, known).await;
        let exchange = Some(query.envelope.request_id);
        rated.map_err(|missed| Failed { missed, exchange, people })
    }

    async fn prepare(&self) -> Result<(Envelope, Screening), Missed> {
        self.shared.in_force()?;
        self.shared.still_party(self.agency)?;
        let people: Vec<&PersonRecord> =
            self.enquiry.people.iter().filter(|p| self.open.contains(&p.person)).collect();
        let envelope = self.envelope()?;
        let screening =
            Screening::prepare(self.shared, self.agency, envelope.clone(), &people).await?;
        let screening = screening.ok_or(Missed::Unable(take::NOT_ENROLLED))?;
        Ok((envelope, screening))
    }

    /// Screens, takes what is said of those who are not known, and gives the others.
    async fn screen(
        &self,
        exchange: &RequestId,
        screening: Screening,
    ) -> Result<BTreeMap<PersonRef, Found>, Missed> {
        self.record(Action::ScreenAsked, exchange, Some(screening.n_slots())).await?;
        let turn = self.shared.screening.get(self.agency);
        let under_way = match turn {
            Some(turn) => Some(turn.read().await),
            None => None,
        };
        let mut client = self.client();
        let call = client.screen(with_deadline(screening.request(), self.within));
        let answer = self
            .shared
            .unless_stopping(call)
            .await
            .map_err(|status| self.not_answered(&status))?
            .into_inner();
        drop(under_way);
        self.shared.mismatches.clear(self.agency);
        let asked = screening.weigh(self.shared, self.agency, &answer.answers).await?;
        let mut known = BTreeMap::new();
        let mut said = Vec::new();
        for (person, verdict) in asked {
            match verdict {
                Asked::NotKnown => said.push((person, Said::NotKnown)),
                Asked::Possible(handle) if self.authorised.covers(self.agency, &person) => {
                    known.insert(person, Found { handle, possible: true });
                }
                Asked::Possible(_) => said.push((person, Said::Possible)),
                Asked::Known(handle) => {
                    known.insert(person, Found { handle, possible: false });
                }
            }
        }
        let taken = said.into_iter().map(|(person, said)| Taken::said(person, said)).collect();
        take::take(self.shared, self.name, self.agency, exchange, taken).await?;
        Ok(known)
    }

    /// What a call that failed comes to. Two versions of the agreement are explained to whoever looks.
    fn not_answered(&self, status: &tonic::Status) -> Missed {
        self.shared.note_mismatch(self.agency, status);
        let missed = Missed::of(status);
        if matches!(missed, Missed::NoResponse("CLOCKS_DIFFER")) {
            let (agency, here) = (self.agency, self.shared.clock.now());
            tracing::warn!(%agency, %here, said = status.message(), "a node's clock differs too much");
        }
        missed
    }

    async fn rate(
        &self,
        query: &RateQuery,
        known: BTreeMap<PersonRef, Found>,
    ) -> Result<(), Missed> {
        let request_id = &query.envelope.request_id;
        self.record(Action::RateAsked, request_id, Some(known.len())).await?;
        let request = pb::RateRequest::from(query);
        let mut client = self.client();
        let call = client.rate(with_deadline(request, self.within));
        let answers = self
            .shared
            .unless_stopping(call)
            .await
            .map_err(|status| self.not_answered(&status))?
            .into_inner()
            .answers;
        let mut taken = Vec::with_capacity(known.len());
        let mut unanswered: BTreeSet<&PersonRef> = known.keys().collect();
        let mut told = Change::new();
        for answer in answers {
            let said =
                PersonAnswer::try_from(answer).map_err(|_| Missed::NoResponse(INVALID_ANSWER))?;
            // Neither somebody else, nor anybody twice.
            if !unanswered.remove(&said.person) {
                return Err(Missed::NoResponse(INVALID_ANSWER));
            }
            if !matches!(said.answer, Answer::Unable(_)) {
                let now = self.shared.clock.now();
                self.authorised
                    .tell(self.name, self.agency, &said.person, now, &mut told)
                    .map_err(Refusal::from)?;
            }
            taken.push(match said.answer {
                Answer::Pending => Taken::pending(said.person),
                answer => Taken::answer(self.shared, self.name, self.agency, said.person, answer)
                    .map_err(|_| Missed::NoResponse(INVALID_ANSWER))?,
            });
        }
        // Silence about one person is not "an assessor has been asked".
        let silent = unanswered.into_iter().cloned();
        taken.extend(silent.map(|person| Taken::no_response(person, INVALID_ANSWER)));
        take::take_with(self.shared, self.name, self.agency, request_id, taken, told).await?;
        Ok(())
    }

    fn rate_query(
        &self,
        screen: &RequestId,
        known: &BTreeMap<PersonRef, Found>,
    ) -> Result<RateQuery, Refusal> {
        let enquiry = &self.enquiry;
        let mut people = Vec::with_capacity(known.len());
        for (person, found) in known {
            let record = enquiry.person(person).ok_or(Refusal::Internal)?;
            people.push(RatePerson {
                person: in_enquiry(record),
                sealed_identity: self.seal_identity(record)?,
                handle: found.handle,
                role: record.role,
                possible_match: found.possible,
            });
        }
        let touches_known = |person: &PersonRef| known.contains_key(person);
        let links: Vec<ClaimedLink> = enquiry
            .links
            .iter()
            .filter(|link| touches_known(&link.from) || touches_known(&link.to))
            .map(|l| ClaimedLink { from: l.from.clone(), to: l.to.clone(), kind: l.kind })
            .collect();
        let linked: BTreeSet<&PersonRef> = links
            .iter()
            .flat_map(|link| [&link.from, &link.to])
            .filter(|person| !touches_known(person))
            .collect();
        let today = self.shared.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let linked = linked
            .into_iter()
            .filter_map(|person| enquiry.person(person))
            .map(|record| LinkedPerson {
                person: in_enquiry(record),
                role: record.role,
                age_band: Identity::from_canonical_bytes(&record.identity)
                    .map_or_else(|_| "unknown".to_owned(), |i| i.age_band(today).word().to_owned()),
            })
            .collect();
        Ok(RateQuery {
            envelope: self.envelope()?,
            enquiry: self.name.clone(),
            purpose: enquiry.purpose.clone(),
            answer_by: enquiry.answer_by,
            screen: screen.clone(),
            people,
            linked,
            links,
            domestic_abuse: enquiry.domestic_abuse,
        })
    }

    /// Seals an identity to this agency, bound to the enquiry, the person and the commitment.
    fn seal_identity(&self, record: &PersonRecord) -> Result<Vec<u8>, Refusal> {
        let agreement = &self.shared.agreement;
        let party = agreement.agreement().party(self.agency);
        let key = party.and_then(|party| party.keys()).ok_or(Refusal::Internal)?.sealing;
        let binding = Binding::identity(&[
            agreement.digest().as_bytes(),
            self.name.as_str().as_bytes(),
            record.person.as_str().as_bytes(),
            record.commitment.as_bytes(),
            self.agency.as_str().as_bytes(),
        ]);
        let text = zeroize::Zeroizing::new([&record.salt[..], &record.identity].concat());
        key.seal(&binding, &text).map_err(|_| Refusal::Internal)
    }

    fn envelope(&self) -> Result<Envelope, Refusal> {
        envelope(self.shared, self.within)
    }

    fn client(&self) -> NodeClient {
        client(self.channel.clone())
    }

    async fn record(
        &self,
        action: Action,
        exchange: &RequestId,
        count: Option<usize>,
    ) -> Result<(), Refusal> {
        let mut draft = self.draft(action);
        draft.exchange = Some(exchange.clone());
        draft.purpose = self.enquiry.purpose.parse().ok();
        draft.count = count.and_then(|count| u64::try_from(count).ok());
        self.shared.log.record(draft).await?;
        Ok(())
    }

    fn draft(&self, action: Action) -> EntryDraft {
        let mut draft = self.shared.draft(action);
        draft.enquiry = Some(self.name.clone());
        draft.peer = Some(Party::Agency(self.agency.clone()));
        draft
    }

    /// Keeps that nothing came back, for everyone who was asked about. That it is as it was is not news: then the log says of
    /// the call that it came to nothing, and no more.
    async fn missed(&self, failed: &Failed) -> Result<(), Refusal> {
        let Failed { missed, exchange, people } = failed;
        let name = self.name.clone();
        let cells = self.shared.store.run(move |store| store.cells(&name)).await?;
        let as_it_was = |person: &PersonRef| {
            let of = |(agency, about, _): &&CellRow| agency == self.agency && about == person;
            cells.iter().find(of).is_some_and(|(_, _, cell)| missed.is(&take::cell(cell).state))
        };
        let news = people.iter().filter(|person| !as_it_was(person)).cloned();
        let taken: Vec<Taken> = match missed {
            Missed::Unable(why) => {
                news.map(|p| Taken::said(p, Said::Unable(take::why(why)))).collect()
            }
            Missed::NoResponse(why) => news.map(|p| Taken::no_response(p, why)).collect(),
        };
        // A hub that stops says nothing about whom it was asking; it asks again when it starts.
        let stopping = self.shared.shutdown.is_cancelled();
        match exchange {
            Some(exchange) if taken.is_empty() || stopping => {
                let mut draft = self.draft(Action::NoResponse);
                draft.exchange = Some(exchange.clone());
                let (Missed::Unable(why) | Missed::NoResponse(why)) = missed;
                draft.decision = why.parse().ok();
                self.shared.log.record(draft).await?;
                Ok(())
            }
            Some(exchange) => {
                take::take(self.shared, self.name, self.agency, exchange, taken).await
            }
            None if taken.is_empty() || stopping => Ok(()),
            // No call was made; the hub's own finding has a name of its own.
            None => {
                let own =
                    random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?;
                take::take(self.shared, self.name, self.agency, &own, taken).await
            }
        }
    }
}

/// A new request's head, valid for as long as the call may take.
///
/// # Errors
/// When the machine gives no randomness.
pub fn envelope(shared: &Shared, within: Duration) -> Result<Envelope, Refusal> {
    let within =
        brag_common::time::SignedDuration::try_from(within).map_err(|_| Refusal::Internal)?;
    Ok(Envelope {
        request_id: random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?,
        agreement: shared.agreement.digest(),
        valid_until: shared.clock.now().checked_add(within).map_err(|_| Refusal::Internal)?,
    })
}

/// A client of a node. What it answers has a good receipt, or is an error (`brag_common::witness::layer`).
pub type NodeClient = pb::node_service_client::NodeServiceClient<WitnessedChannel<Shared>>;

/// A client of a node, with the message bounds of both sides.
#[must_use]
pub fn client(channel: WitnessedChannel<Shared>) -> NodeClient {
    pb::node_service_client::NodeServiceClient::new(channel)
        .max_decoding_message_size(MAX_EXCHANGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// A person as statements name them.
#[must_use]
pub fn in_enquiry(record: &PersonRecord) -> PersonIn {
    PersonIn { person: record.person.clone(), commitment: record.commitment }
}
