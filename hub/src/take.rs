//! Taking an answer: the one place where a cell of the matrix changes. Recorded, kept, and then told to those
//! who watch. A weaker answer never replaces a stronger one: a call that failed does not undo a rating.

use std::sync::Arc;

use brag_common::{
    agreement::Seen,
    audit::entry::{Action, Digest, EntryDraft, Party},
    enquiry::{Answer, RatedAnswer, Why},
    evidence::named,
    id::{AgencyId, EnquiryRef, PersonRef, RequestId},
    rating::{Analysis, Colour},
    reason::Reason,
    statement::{Body, PersonIn, SignedStatement, Statement},
    time::Timestamp,
};

use crate::{
    changes::{self, Changed},
    guard::Refusal,
    hub::Shared,
    matrix::{Cell, Rated, Said, State, waits_for_a_person},
    store::{
        Change,
        shapes::{CellRecord, CellState, EnquiryRecord, SaidRecord, StatementRecord},
    },
    view,
    withdraw::withdrawn,
};

/// Why an agency can not answer that has never enrolled anybody: nothing can be asked of it.
pub const NOT_ENROLLED: &str = "NOT_ENROLLED";

/// One cell's new state, and the signed rating behind it when there is one.
#[derive(Debug)]
pub struct Taken {
    person: PersonRef,
    state: NewState,
    rating: Option<(Statement, SignedStatement)>,
}

#[derive(Debug)]
enum NewState {
    Pending,
    NoResponse(Why),
    Said(Said),
}

impl Taken {
    /// An assessor has been asked.
    #[must_use]
    pub const fn pending(person: PersonRef) -> Self {
        Self { person, state: NewState::Pending, rating: None }
    }

    /// Nothing came back.
    #[must_use]
    pub fn no_response(person: PersonRef, reason: &str) -> Self {
        Self { person, state: NewState::NoResponse(why(reason)), rating: None }
    }

    /// The agency said something that is not signed.
    #[must_use]
    pub const fn said(person: PersonRef, said: Said) -> Self {
        Self { person, state: NewState::Said(said), rating: None }
    }

    /// Whether it is a Blue where the enquiry has evidence of domestic abuse and the agreement then forbids Blue. An honest
    /// node does not sign one; that one is signed makes it no better.
    #[must_use]
    pub fn is_forbidden_blue(&self, shared: &Shared, enquiry: &EnquiryRecord) -> bool {
        let forbids = shared.agreement.agreement().rating().forbid_blue_with_domestic_abuse;
        let is_blue =
            matches!(&self.state, NewState::Said(Said::Rated(Rated { colour: Colour::Blue, .. })));
        forbids && enquiry.domestic_abuse && is_blue
    }

    /// In place of an answer that does not count: nothing came back, for this reason.
    #[must_use]
    pub fn refused(self, reason: Reason) -> Self {
        Self::no_response(self.person, reason.code())
    }

    /// The agency's answer, its rating verified.
    ///
    /// # Errors
    /// When the rating is not this agency's, about this person, in this enquiry, under this agreement.
    pub fn answer(
        shared: &Shared,
        enquiry: &EnquiryRef,
        agency: &AgencyId,
        person: PersonRef,
        answer: Answer,
    ) -> Result<Self, Refusal> {
        Ok(match answer {
            Answer::Pending => Self::pending(person),
            Answer::NotKnown => Self::said(person, Said::NotKnown),
            Answer::IdentityReview => Self::said(person, Said::IdentityReview),
            Answer::Unable(why) => Self::said(person, Said::Unable(why)),
            Answer::Declined(why) => Self::said(person, Said::Declined(why)),
            Answer::Rated(RatedAnswer { signed, analysis }) => {
                let statement = verify(shared, enquiry, agency, &signed)?;
                let Body::Rating(rating) = &statement.body else {
                    return Err(Refusal::Statement("it is not a rating"));
                };
                if rating.person.person != person {
                    return Err(Refusal::Statement("it is about another person"));
                }
                if analysis.digest() != rating.analysis_digest {
                    return Err(Refusal::Statement(
                        "the analysis is not the one it was signed with",
                    ));
                }
                let bounds = shared.agreement.agreement().rating().analysis;
                let analysis = Analysis::parse(&analysis.text, bounds)
                    .map_err(|_| Refusal::Statement("the analysis is not within the agreement"))?;
                let rated = Rated {
                    colour: rating.colour,
                    rated_at: rating.rated_at,
                    analysis: analysis.as_str().to_owned(),
                    topics: rating.topics.iter().copied().collect(),
                    via: rating.via.as_ref().map(|via| via.person.clone()),
                    by: statement.made_by.clone(),
                };
                let state = NewState::Said(Said::Rated(rated));
                Self { person, state, rating: Some((statement, signed)) }
            }
        })
    }
}

/// Verifies a statement of one agency in one enquiry.
///
/// # Errors
/// When somebody else signed it, or it was made for another enquiry or agreement.
pub fn verify(
    shared: &Shared,
    enquiry: &EnquiryRef,
    agency: &AgencyId,
    signed: &SignedStatement,
) -> Result<Statement, Refusal> {
    let statement = shared
        .agreement
        .believe(signed, &shared.realm, enquiry, Seen::New)
        .map_err(|_| Refusal::Statement("its signature, enquiry or agreement is not right"))?;
    if statement.signer == *agency {
        Ok(statement)
    } else {
        Err(Refusal::Statement("another agency signed it"))
    }
}

/// Everyone the statement names is in the enquiry, under the commitment that the hub made. One that is not would be
/// refused by every holder as forged, and spoil every request for detail of the enquiry.
///
/// # Errors
/// When somebody is not.
pub fn about_its_people(enquiry: &EnquiryRecord, body: &Body) -> Result<(), Refusal> {
    let here = |named: &PersonIn| {
        enquiry.person(&named.person).is_some_and(|known| known.commitment == named.commitment)
    };
    if named(body).into_iter().all(here) {
        Ok(())
    } else {
        Err(Refusal::Statement(
            "it names somebody who is not in this enquiry under this commitment",
        ))
    }
}

/// Takes answers of one agency: records them, keeps them, and tells those who watch.
///
/// # Errors
/// When nothing can be recorded or kept; then nothing is taken.
pub async fn take(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    agency: &AgencyId,
    exchange: &RequestId,
    taken: Vec<Taken>,
) -> Result<(), Refusal> {
    take_with(shared, enquiry, agency, exchange, taken, Change::new()).await
}

/// As [`take`], together with a change that has to come about with it.
///
/// # Errors
/// As [`take`].
pub async fn take_with(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    agency: &AgencyId,
    exchange: &RequestId,
    taken: Vec<Taken>,
    mut change: Change,
) -> Result<(), Refusal> {
    let name = enquiry.clone();
    let record = shared.store.run(move |store| store.enquiry(&name)).await?;
    let record = record.ok_or(Refusal::NotFound("enquiry"))?;
    let taken: Vec<Taken> = taken
        .into_iter()
        .map(|taken| {
            let forbidden = taken.is_forbidden_blue(shared, &record);
            if forbidden { taken.refused(Reason::BlueNotPermittedDa) } else { taken }
        })
        .collect();
    for Taken { person, rating, .. } in &taken {
        if record.person(person).is_none() {
            return Err(Refusal::NotFound("person in this enquiry"));
        }
        if let Some((statement, _)) = rating {
            about_its_people(&record, &statement.body)?;
        }
    }
    let drafts = taken.iter().map(|t| entry(shared, enquiry, agency, exchange, t)).collect();
    shared.log.record_all::<EntryDraft>(drafts).await?;
    let now = shared.clock.now();
    // Read, compare and write as one: two answers of one agency may come at the same time.
    let _cells = shared.cell_locks.of(enquiry, agency).await;
    let (name, by) = (enquiry.clone(), agency.clone());
    let (before, statements) =
        shared.store.run(move |store| Ok((store.cells(&name)?, store.statements(&name)?))).await?;
    let withdrawn = withdrawn(&statements);
    let mut told = Vec::new();
    let mut changed = Vec::new();
    let mut late_answers = Vec::new();
    for Taken { person, state, rating } in taken {
        let mut cause = None;
        if let Some((statement, signed)) = rating {
            cause = Some((statement.id.clone(), Digest::of(&signed.payload)));
            let kept = StatementRecord { signed, received_at: now };
            change.statement(enquiry, &statement.id, &kept)?;
            // It was taken back before it came: it stays as a statement only.
            if withdrawn.contains(&(by.clone(), statement.id)) {
                continue;
            }
        }
        let known = before.iter().find(|(a, p, _)| *a == by && *p == person).map(|(_, _, c)| c);
        if known.is_some_and(|known| !gives_way(&known.state, &state)) {
            continue;
        }
        let late = now > record.answer_by && !known.is_some_and(|known| came_in_time(&known.state));
        let next = CellRecord { state: stored(state, late), since: now };
        // It stands as it stood: since when, and those who watch, need not be told.
        if known.is_some_and(|known| known.state == next.state) {
            continue;
        }
        change.cell(enquiry, agency, &person, &next)?;
        late_answers.extend(late_entry(shared, enquiry, agency, exchange, &person, &next.state));
        let before = known.and_then(|known| changes::rating_in(&known.state)).cloned();
        if let (Some(before), Some((cause, evidence))) = (before, cause) {
            let after = changes::rating_in(&next.state).cloned();
            let (person, withdrawn) = (person.clone(), false);
            changed.push(Changed { agency, person, cause, evidence, before, after, withdrawn });
        }
        told.push((person, next));
    }
    if !late_answers.is_empty() {
        shared.log.record_all::<EntryDraft>(late_answers).await?;
    }
    let news = changes::keep(shared, enquiry, exchange, changed, &mut change).await?;
    shared.store.run(move |store| store.commit(change)).await?;
    for event in news {
        shared.tell(enquiry, event);
    }
    for (person, next) in told {
        let cell = view::matrix_cell(agency, &person, &cell(&next), now, &record);
        shared.tell(enquiry, view::cell_event(now, cell));
    }
    Ok(())
}

/// Whether an agency has answered before the round closed. Who then judges anew is not late.
const fn came_in_time(known: &CellState) -> bool {
    match known {
        CellState::Pending | CellState::NoResponse(_) => false,
        CellState::Answered { said, late } => {
            !*late
                && match said {
                    SaidRecord::Rated { .. } | SaidRecord::NotKnown | SaidRecord::Declined(_) => {
                        true
                    }
                    SaidRecord::Possible | SaidRecord::IdentityReview | SaidRecord::Unable(_) => {
                        false
                    }
                }
        }
    }
}

/// Whether a cell's state gives way to a new one. Pure.
fn gives_way(known: &CellState, next: &NewState) -> bool {
    let failed = matches!(next, NewState::NoResponse(_) | NewState::Said(Said::Unable(_)));
    match (known, next) {
        // Its assessor has to act; what a call brings that was under way meanwhile says less.
        (CellState::Answered { said: SaidRecord::Unable(why), .. }, next)
            if waits_for_a_person(why) =>
        {
            !failed && !matches!(next, NewState::Pending)
        }
        // What failed, or could not be said now, says nothing about what was said before.
        (CellState::Answered { said: SaidRecord::Unable(_), .. }, _) => true,
        (CellState::Answered { .. }, _) if failed => false,
        // A rating gives way to a newer rating only; both versions stay as statements. Deliveries may overtake
        // one another.
        (CellState::Answered { said: SaidRecord::Rated { rated_at, .. }, .. }, next) => {
            matches!(next, NewState::Said(Said::Rated(newer)) if newer.rated_at >= *rated_at)
        }
        (
            CellState::Answered { said: SaidRecord::NotKnown | SaidRecord::Declined(_), .. },
            NewState::Pending,
        ) => false,
        // Who has been told stays told, whatever a later screening weighs.
        (
            CellState::Answered { said: SaidRecord::IdentityReview, .. },
            NewState::Said(Said::Possible),
        )
        | (CellState::Pending, NewState::Pending) => false,
        // Pending is also where a cell begins, so that a call that failed shows.
        (
            CellState::Answered {
                said:
                    SaidRecord::NotKnown
                    | SaidRecord::Declined(_)
                    | SaidRecord::Possible
                    | SaidRecord::IdentityReview,
                ..
            }
            | CellState::Pending
            | CellState::NoResponse(_),
            NewState::Said(_) | NewState::Pending | NewState::NoResponse(_),
        ) => true,
    }
}

fn entry(
    shared: &Shared,
    enquiry: &EnquiryRef,
    agency: &AgencyId,
    exchange: &RequestId,
    taken: &Taken,
) -> EntryDraft {
    let action = match &taken.state {
        NewState::NoResponse(_) => Action::NoResponse,
        // The hub's own finding: the agency was not asked, and has not answered.
        NewState::Said(Said::Unable(why)) if why.as_str() == NOT_ENROLLED => Action::NoResponse,
        NewState::Pending | NewState::Said(_) => Action::RateAnswered,
    };
    let mut draft = shared.draft(action);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(taken.person.clone());
    draft.exchange = Some(exchange.clone());
    draft.peer = Some(Party::Agency(agency.clone()));
    let word = match &taken.state {
        NewState::Pending => "pending",
        NewState::NoResponse(why) => why.as_str(),
        NewState::Said(said) => match said {
            Said::Rated(_) => "rated",
            Said::NotKnown => "not_known",
            Said::Possible => "possible",
            Said::IdentityReview => "identity_review",
            Said::Unable(why) => {
                if *why == Why::audit_unavailable() {
                    draft.reason = Some(Reason::LogUnavailable);
                } else if waits_for_a_person(why.as_str()) {
                    draft.reason = why.as_str().parse().ok();
                }
                "unable"
            }
            Said::Declined(_) => "declined",
        },
    };
    draft.decision = word.parse().ok();
    draft.evidence = taken.rating.iter().map(|(_, signed)| Digest::of(&signed.payload)).collect();
    draft
}

/// That an answer came after its round had closed, which the entry of the answer does not say; `None` when it did not.
fn late_entry(
    shared: &Shared,
    enquiry: &EnquiryRef,
    agency: &AgencyId,
    exchange: &RequestId,
    person: &PersonRef,
    state: &CellState,
) -> Option<EntryDraft> {
    let CellState::Answered { said, late: true } = state else { return None };
    let word = match said {
        SaidRecord::Rated { .. } => "rated",
        SaidRecord::NotKnown => "not_known",
        SaidRecord::Declined(_) => "declined",
        // Nobody has said anything yet that could be late.
        SaidRecord::Possible | SaidRecord::IdentityReview | SaidRecord::Unable(_) => return None,
    };
    let mut draft = shared.draft(Action::AnswerLate);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(person.clone());
    draft.exchange = Some(exchange.clone());
    draft.peer = Some(Party::Agency(agency.clone()));
    draft.decision = word.parse().ok();
    Some(draft)
}

fn stored(state: NewState, late: bool) -> CellState {
    let said = match state {
        NewState::Pending => return CellState::Pending,
        NewState::NoResponse(why) => return CellState::NoResponse(why.as_str().to_owned()),
        NewState::Said(said) => said,
    };
    let said = match said {
        Said::Rated(Rated { colour, rated_at, analysis, topics, via, by }) => {
            SaidRecord::Rated { colour, rated_at, analysis, topics, via, by }
        }
        Said::NotKnown => SaidRecord::NotKnown,
        Said::Possible => SaidRecord::Possible,
        Said::IdentityReview => SaidRecord::IdentityReview,
        Said::Unable(why) => SaidRecord::Unable(why.as_str().to_owned()),
        Said::Declined(why) => SaidRecord::Declined(why.as_str().to_owned()),
    };
    CellState::Answered { said, late }
}

/// A stored cell as the matrix knows it.
#[must_use]
pub fn cell(record: &CellRecord) -> Cell {
    let state = match &record.state {
        CellState::Pending => State::Pending,
        CellState::NoResponse(reason) => State::NoResponse(why(reason)),
        CellState::Answered { said, late } => State::Answered {
            late: *late,
            said: match said.clone() {
                SaidRecord::Rated { colour, rated_at, analysis, topics, via, by } => {
                    Said::Rated(Rated { colour, rated_at, analysis, topics, via, by })
                }
                SaidRecord::NotKnown => Said::NotKnown,
                SaidRecord::Possible => Said::Possible,
                SaidRecord::IdentityReview => Said::IdentityReview,
                SaidRecord::Unable(reason) => Said::Unable(why(&reason)),
                SaidRecord::Declined(reason) => Said::Declined(why(&reason)),
            },
        },
    };
    Cell { state, since: record.since }
}

/// A word for why there is no colour; one that is not a word becomes the strictest there is.
#[must_use]
pub fn why(word: &str) -> Why {
    Why::parse(word).unwrap_or_else(Why::audit_unavailable)
}

/// A cell of a new enquiry.
#[must_use]
pub const fn not_asked_yet(now: Timestamp) -> CellRecord {
    CellRecord { state: CellState::Pending, since: now }
}

#[cfg(test)]
mod tests {
    use brag_common::rating::Colour;
    use proptest::prelude::*;

    use super::*;

    fn said(said: SaidRecord) -> CellState {
        CellState::Answered { said, late: false }
    }

    fn rated() -> SaidRecord {
        SaidRecord::Rated {
            colour: Colour::Amber,
            rated_at: Timestamp::UNIX_EPOCH,
            analysis: String::new(),
            topics: Vec::new(),
            via: None,
            by: None,
        }
    }

    fn rating_at(rated_at: Timestamp) -> NewState {
        NewState::Said(Said::Rated(Rated {
            colour: Colour::Green,
            rated_at,
            analysis: String::new(),
            topics: Vec::new(),
            via: None,
            by: None,
        }))
    }

    #[test]
    fn what_failed_never_replaces_what_was_said() {
        for known in [
            rated(),
            SaidRecord::NotKnown,
            SaidRecord::Possible,
            SaidRecord::IdentityReview,
            SaidRecord::Declined("CONFLICT".to_owned()),
        ] {
            let known = said(known);
            for next in [
                NewState::NoResponse(why("UNREACHABLE")),
                NewState::Said(Said::Unable(why("AUDIT_UNAVAILABLE"))),
            ] {
                assert!(!gives_way(&known, &next), "{next:?}");
            }
        }
    }

    #[test]
    fn who_was_asked_in_vain_or_could_not_say_has_not_answered_in_time() {
        for known in [
            CellState::Pending,
            CellState::NoResponse("UNREACHABLE".to_owned()),
            said(SaidRecord::Unable("AUDIT_UNAVAILABLE".to_owned())),
            said(SaidRecord::IdentityReview),
            CellState::Answered { said: rated(), late: true },
        ] {
            assert!(!came_in_time(&known), "{known:?}");
        }
        for known in [rated(), SaidRecord::NotKnown, SaidRecord::Declined("CONFLICT".to_owned())] {
            assert!(came_in_time(&said(known)));
        }
    }

    #[test]
    fn a_rating_that_was_overtaken_changes_nothing() {
        assert!(!gives_way(&said(rated()), &rating_at(Timestamp::MIN)));
        assert!(gives_way(&said(rated()), &rating_at(Timestamp::UNIX_EPOCH)));
    }

    proptest! {
        /// Deliveries overtake one another, and one that was not acknowledged comes twice.
        #[test]
        fn the_order_in_which_ratings_arrive_changes_no_cell(
            ratings in prop::collection::btree_map(0..50_i64, 0..4_usize, 1..8),
            order in prop::collection::vec(any::<prop::sample::Index>(), 8..24),
        ) {
            let ratings: Vec<(i64, usize)> = ratings.into_iter().collect();
            let arrive = |cell: CellState, (second, colour): (i64, usize)| {
                let NewState::Said(Said::Rated(rated)) =
                    rating_at(Timestamp::from_second(second).unwrap()) else { return cell };
                let next = NewState::Said(Said::Rated(Rated { colour: Colour::ALL[colour], ..rated }));
                if gives_way(&cell, &next) { stored(next, false) } else { cell }
            };
            let in_order = ratings.iter().copied().fold(CellState::Pending, arrive);
            let shuffled = order.iter().map(|one| *one.get(&ratings));
            let shuffled = shuffled.chain(ratings.iter().rev().copied());
            prop_assert_eq!(shuffled.fold(CellState::Pending, arrive), in_order);
        }
    }

    #[test]
    fn a_rating_gives_way_to_a_rating_only() {
        let known = said(rated());
        for next in [
            NewState::Pending,
            NewState::Said(Said::NotKnown),
            NewState::Said(Said::IdentityReview),
            NewState::Said(Said::Declined(why("CONFLICT"))),
        ] {
            assert!(!gives_way(&known, &next), "{next:?}");
        }
        assert!(gives_way(&known, &rating_at(Timestamp::MAX)));
    }

    #[test]
    fn what_waits_gives_way_to_whatever_comes() {
        for known in [
            CellState::Pending,
            CellState::NoResponse("DEADLINE".to_owned()),
            said(SaidRecord::Unable("NOT_ENROLLED".to_owned())),
            said(SaidRecord::Possible),
            said(SaidRecord::IdentityReview),
        ] {
            assert!(gives_way(&known, &rating_at(Timestamp::MAX)));
            assert!(gives_way(&known, &NewState::Said(Said::NotKnown)));
        }
        assert!(gives_way(&CellState::Pending, &NewState::NoResponse(why("DEADLINE"))));
        assert!(gives_way(&said(SaidRecord::IdentityReview), &NewState::Pending));
    }

    #[test]
    fn a_colour_that_was_refused_at_the_agency_shows_until_a_person_answers() {
        let refused = said(SaidRecord::Unable("BLUE_NOT_PERMITTED_DA".to_owned()));
        for next in [
            NewState::Pending,
            NewState::NoResponse(why("DEADLINE")),
            NewState::Said(Said::Unable(why("AUDIT_UNAVAILABLE"))),
        ] {
            assert!(!gives_way(&refused, &next), "{next:?}");
        }
        assert!(gives_way(&refused, &rating_at(Timestamp::UNIX_EPOCH)));
        assert!(gives_way(&refused, &NewState::Said(Said::NotKnown)));
        assert!(gives_way(&refused, &NewState::Said(Said::Declined(why("CONFLICT")))));
        assert!(!gives_way(
            &said(rated()),
            &NewState::Said(Said::Unable(why("BLUE_NOT_PERMITTED_DA")))
        ));
    }

    #[test]
    fn an_agency_that_was_told_stays_told() {
        let comparing = said(SaidRecord::IdentityReview);
        assert!(!gives_way(&comparing, &NewState::Said(Said::Possible)));
        let possible = said(SaidRecord::Possible);
        assert!(gives_way(&possible, &NewState::Said(Said::IdentityReview)));
    }

    #[test]
    fn a_word_that_is_none_becomes_the_strictest() {
        assert_eq!(why("two words"), Why::audit_unavailable());
    }

    #[test]
    fn what_is_stored_is_what_is_shown() {
        for state in [
            NewState::Pending,
            NewState::NoResponse(why("DEADLINE")),
            NewState::Said(Said::NotKnown),
            NewState::Said(Said::Declined(why("CONFLICT"))),
        ] {
            let shown = format!("{state:?}");
            let record = CellRecord { state: stored(state, true), since: Timestamp::UNIX_EPOCH };
            match cell(&record).state {
                State::Pending => assert_eq!(shown, "Pending"),
                State::NoResponse(_) => assert!(shown.starts_with("NoResponse")),
                State::Answered { said, late } => {
                    assert!(late);
                    assert!(shown.contains(&format!("{said:?}")), "{shown}");
                }
            }
        }
    }
}
