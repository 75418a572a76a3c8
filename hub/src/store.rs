//! The hub's store: typed records over the one durable, sealed store. Every function blocks; callers on the
//! runtime use [`Store::run`].
//!
//! What belongs to an enquiry is at `<kind>/<enquiry>…`, for the kinds in [`KINDS`], and is sealed under the enquiry's own key. A
//! record of a new kind that says anything about an enquiry needs its kind there; nothing else has to be done to be erasable.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use brag_common::{
    audit::entry::Digest,
    durable::{Batch, Durable, Layout, Scopes, StoreError, store_folder},
    id::{AgencyId, AgreementDigest, EnquiryRef, PersonRef, ReleaseRef, RequestId, StaffName},
    secret::SecretBytes,
    time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};

pub mod changes;
pub mod drafts;
mod findable;
pub mod life;
pub mod shapes;

use changes::Changes;
use findable::{Blinded, Findable};
use life::{FlagRecord, StepRecord};
use shapes::{
    AccessRecord, CellRecord, ChallengeRecord, ConflictRecord, EarlierRecord, EnquiryRecord,
    EpochsRecord, FindableRecord, HandledRecord, IdentityReviewRecord, NoticeRecord, OpeningRecord,
    QuestionRecord, RatingChangeRecord, ReleaseRecord, StatementRecord,
};

/// Kinds of places that belong to the enquiry in their second part.
pub const KINDS: &[&str] = &[
    "cell",
    "challenge",
    "changed",
    "conflict",
    "earlier",
    "enquiry",
    "erasure",
    "flags",
    "hold",
    "identity",
    "match",
    "notice",
    "opening",
    "release",
    "statement",
    "step",
];

/// Those of them from which it follows where an enquiry stands.
const FOLLOWED: &[&str] =
    &["cell", "changed", "earlier", "enquiry", "release", "statement", "step"];

/// How records are laid out, and how those of older versions are brought up. A change of a place or of the form of a value that the present
/// code does not read in its old form gets a version and a row here.
pub const LAYOUT: Layout = Layout { version: 1, migrations: &[] };

/// Memory that the store may use for pages, in bytes.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// The hub's store.
#[derive(Debug, Clone)]
pub struct Store {
    db: Durable,
    findable: Arc<Findable>,
    changes: Arc<Changes>,
}

/// One cell with its place.
pub type CellRow = (AgencyId, PersonRef, CellRecord);

/// One authorised identity review with its place.
pub type ReviewRow = (AgencyId, PersonRef, IdentityReviewRecord);

impl Store {
    /// Opens the store in `data`, making it when there is none; `enquiry_keys` is the folder of the keys of enquiries.
    ///
    /// # Errors
    /// When another process uses it, the key or the folder is another's, or the disk fails.
    pub fn open(
        data: &Path,
        enquiry_keys: &Path,
        key: &SecretBytes<32>,
    ) -> Result<Self, StoreError> {
        let scopes = Scopes::open(data, enquiry_keys, KINDS)?;
        let folder = store_folder(data);
        let db = Durable::open_scoped(&folder, key, CACHE_BYTES, scopes)?;
        db.bring_up_to(&LAYOUT, &folder)?;
        let store = Self { db, findable: Arc::default(), changes: Arc::default() };
        for (place, record) in store.scan::<FindableRecord>("match/")? {
            let (enquiry, person) = place.split_once('/').ok_or_else(shape)?;
            let (enquiry, person) = (enquiry.parse().ok(), person.parse().ok());
            let (enquiry, person) = enquiry.zip(person).ok_or_else(shape)?;
            store.findable.add(&enquiry, &person, record.keys);
        }
        Ok(store)
    }

    /// The database, for what is done with whole enquiries.
    #[must_use]
    pub const fn durable(&self) -> &Durable {
        &self.db
    }

    /// Which enquiries have changed.
    #[must_use]
    pub const fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Runs blocking work on the store off the runtime's threads.
    ///
    /// # Errors
    /// The work's own.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| StoreError::Failed)?
    }

    /// Makes a change durable, whole or not at all.
    ///
    /// # Errors
    /// When the disk fails, or something that had to be new is there; then nothing of it is taken.
    pub fn commit(&self, change: Change) -> Result<(), StoreError> {
        let Change { batch, findable, enquiries } = change;
        self.db.commit(batch)?;
        self.changes.made(&enquiries);
        for (enquiry, person, keys) in findable {
            self.findable.add(&enquiry, &person, keys);
        }
        Ok(())
    }

    fn get<T: DeserializeOwned>(&self, place: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.db.get(place.as_bytes())? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| shape())
    }

    fn scan<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(String, T)>, StoreError> {
        let mut found = Vec::new();
        for row in self.db.scan(prefix.as_bytes()) {
            let (place, bytes) = row?;
            let rest = place
                .get(prefix.len()..)
                .and_then(|rest| std::str::from_utf8(rest).ok())
                .ok_or_else(shape)?;
            found.push((rest.to_owned(), serde_json::from_slice(&bytes).map_err(|_| shape())?));
        }
        Ok(found)
    }

    /// What follows a prefix in the places that begin with it, in order.
    fn places(&self, prefix: &str) -> impl Iterator<Item = Result<String, StoreError>> + use<> {
        let n_bytes = prefix.len();
        self.db.keys(prefix.as_bytes()).map(move |place| {
            let rest = place?.split_off(n_bytes);
            String::from_utf8(rest).map_err(|_| shape())
        })
    }

    /// Whether a member of staff has said that they are linked to the family of an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conflict(
        &self,
        staff: &StaffName,
        enquiry: &EnquiryRef,
    ) -> Result<Option<ConflictRecord>, StoreError> {
        self.get(&format!("conflict/{enquiry}/{staff}"))
    }

    /// Enquiries to whose family a member of staff has said that they are linked.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conflicts_of(&self, staff: &StaffName) -> Result<BTreeSet<EnquiryRef>, StoreError> {
        let mut found = BTreeSet::new();
        for rest in self.places("conflict/") {
            let rest = rest?;
            let (enquiry, of) = rest.split_once('/').ok_or_else(shape)?;
            if of == staff.as_str() {
                found.insert(enquiry.parse().map_err(|_| shape())?);
            }
        }
        Ok(found)
    }

    /// One enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enquiry(&self, enquiry: &EnquiryRef) -> Result<Option<EnquiryRecord>, StoreError> {
        self.get(&format!("enquiry/{enquiry}"))
    }

    /// Every enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enquiries(&self) -> Result<Vec<(EnquiryRef, EnquiryRecord)>, StoreError> {
        self.scan("enquiry/")?
            .into_iter()
            .map(|(rest, record)| Ok((rest.parse().map_err(|_| shape())?, record)))
            .collect()
    }

    /// The name of every enquiry. Nothing is opened for it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enquiry_names(&self) -> Result<Vec<EnquiryRef>, StoreError> {
        self.places("enquiry/").map(|rest| rest?.parse().map_err(|_| shape())).collect()
    }

    /// Every cell of an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cells(&self, enquiry: &EnquiryRef) -> Result<Vec<CellRow>, StoreError> {
        self.scan(&format!("cell/{enquiry}/"))?
            .into_iter()
            .map(|(rest, cell)| {
                let (agency, person) = rest.split_once('/').ok_or_else(shape)?;
                let agency = agency.parse().map_err(|_| shape())?;
                Ok((agency, person.parse().map_err(|_| shape())?, cell))
            })
            .collect()
    }

    /// One cell.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cell(
        &self,
        enquiry: &EnquiryRef,
        agency: &AgencyId,
        person: &PersonRef,
    ) -> Result<Option<CellRecord>, StoreError> {
        self.get(&format!("cell/{enquiry}/{agency}/{person}"))
    }

    /// Every signed statement of an enquiry, in the order it came.
    ///
    /// # Errors
    /// When the store fails.
    pub fn statements(&self, enquiry: &EnquiryRef) -> Result<Vec<StatementRecord>, StoreError> {
        let mut found = self.scan::<StatementRecord>(&format!("statement/{enquiry}/"))?;
        found.sort_by_key(|(_, record)| record.received_at);
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// When this hub took up a version of the agreement; `None` when it has not.
    ///
    /// # Errors
    /// When the store fails.
    pub fn agreement_taken_up(
        &self,
        digest: AgreementDigest,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.get(&format!("agreement/{digest}"))
    }

    /// Ratings of an enquiry that were replaced or withdrawn, oldest change first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rating_changes(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<RatingChangeRecord>, StoreError> {
        let mut found: Vec<RatingChangeRecord> = self
            .scan(&format!("changed/{enquiry}/"))?
            .into_iter()
            .map(|(_, record)| record)
            .collect();
        found.sort_by_key(|record| record.at);
        Ok(found)
    }

    /// One challenge of a rating.
    ///
    /// # Errors
    /// When the store fails.
    pub fn challenge(
        &self,
        enquiry: &EnquiryRef,
        id: &RequestId,
    ) -> Result<Option<ChallengeRecord>, StoreError> {
        self.get(&format!("challenge/{enquiry}/{id}"))
    }

    /// Challenges of an enquiry, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn challenges(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<(RequestId, ChallengeRecord)>, StoreError> {
        let found = self.scan::<ChallengeRecord>(&format!("challenge/{enquiry}/"))?;
        let mut found = found
            .into_iter()
            .map(|(id, record)| Ok((id.parse().map_err(|_| shape())?, record)))
            .collect::<Result<Vec<(RequestId, _)>, StoreError>>()?;
        found.sort_by_key(|(_, record)| record.made_at);
        Ok(found)
    }

    /// Every challenge, with its enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn all_challenges(
        &self,
    ) -> Result<Vec<(EnquiryRef, RequestId, ChallengeRecord)>, StoreError> {
        self.scan("challenge/")?
            .into_iter()
            .map(|(rest, record)| {
                let (enquiry, id) = rest.split_once('/').ok_or_else(shape)?;
                let enquiry = enquiry.parse().map_err(|_| shape())?;
                Ok((enquiry, id.parse().map_err(|_| shape())?, record))
            })
            .collect()
    }

    /// One request for detail, for one recipient.
    ///
    /// # Errors
    /// When the store fails.
    pub fn release(
        &self,
        enquiry: &EnquiryRef,
        release: &ReleaseRef,
        recipient: &AgencyId,
    ) -> Result<Option<ReleaseRecord>, StoreError> {
        self.get(&format!("release/{enquiry}/{release}/{recipient}"))
    }

    /// Every request for detail of an enquiry, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn releases(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<(ReleaseRef, ReleaseRecord)>, StoreError> {
        let mut found = self
            .scan::<ReleaseRecord>(&format!("release/{enquiry}/"))?
            .into_iter()
            .map(|(rest, record)| {
                let (release, _) = rest.split_once('/').ok_or_else(shape)?;
                Ok((release.parse().map_err(|_| shape())?, record))
            })
            .collect::<Result<Vec<(ReleaseRef, ReleaseRecord)>, StoreError>>()?;
        found.sort_by(|(_, a), (_, b)| (a.asked_at, &a.recipient).cmp(&(b.asked_at, &b.recipient)));
        Ok(found)
    }

    /// Every identity review of an enquiry that was authorised, with agency and person.
    ///
    /// # Errors
    /// When the store fails.
    pub fn identity_reviews(&self, enquiry: &EnquiryRef) -> Result<Vec<ReviewRow>, StoreError> {
        self.scan(&format!("identity/{enquiry}/"))?
            .into_iter()
            .map(|(rest, review)| {
                let (agency, person) = rest.split_once('/').ok_or_else(shape)?;
                let agency = agency.parse().map_err(|_| shape())?;
                Ok((agency, person.parse().map_err(|_| shape())?, review))
            })
            .collect()
    }

    /// Everybody of any enquiry who has a match key.
    #[must_use]
    pub fn under_key(&self, key: &[u8]) -> Vec<(EnquiryRef, PersonRef)> {
        self.findable.under(&self.blind(key))
    }

    /// How many people of enquiries can be found by a match key.
    #[must_use]
    pub fn n_findable(&self) -> u64 {
        self.findable.n_people()
    }

    fn blind(&self, key: &[u8]) -> Blinded {
        self.db.blind("match-key", key)
    }

    /// Takes what leads from elsewhere to an enquiry away: nobody of it is found any more, and no other enquiry names it as an
    /// earlier one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget(&self, enquiry: &EnquiryRef) -> Result<(), StoreError> {
        self.findable.forget(enquiry);
        for (later, mut records) in self.scan::<Vec<EarlierRecord>>("earlier/")? {
            let n_before = records.len();
            records.retain(|record| record.enquiry != *enquiry);
            if later != enquiry.as_str() && records.len() < n_before {
                let mut change = Change::new();
                change.put(&format!("earlier/{later}"), &records)?;
                match self.commit(change) {
                    // It is being erased itself.
                    Ok(()) | Err(StoreError::Erased) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Earlier enquiries about the people of one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn earlier(&self, enquiry: &EnquiryRef) -> Result<Vec<EarlierRecord>, StoreError> {
        Ok(self.get(&format!("earlier/{enquiry}"))?.unwrap_or_default())
    }

    /// The steps of an enquiry's life, in the order in which they were recorded.
    ///
    /// # Errors
    /// When the store fails.
    pub fn steps(&self, enquiry: &EnquiryRef) -> Result<Vec<StepRecord>, StoreError> {
        Ok(self.scan(&format!("step/{enquiry}/"))?.into_iter().map(|(_, record)| record).collect())
    }

    /// The flags of an enquiry, in the order in which they were raised.
    ///
    /// # Errors
    /// When the store fails.
    pub fn flags(&self, enquiry: &EnquiryRef) -> Result<Vec<FlagRecord>, StoreError> {
        Ok(self.get(&format!("flags/{enquiry}"))?.unwrap_or_default())
    }

    /// Enquiries as the budgets count them: those of the last days, for what is older is forgotten with the next opening.
    ///
    /// # Errors
    /// When the store fails.
    pub fn openings(&self) -> Result<Vec<(EnquiryRef, OpeningRecord)>, StoreError> {
        let named = |(name, record): (String, OpeningRecord)| {
            Ok((name.parse().map_err(|_| shape())?, record))
        };
        self.scan("opening/")?.into_iter().map(named).collect()
    }

    /// How the alert with this number in the log was handled.
    ///
    /// # Errors
    /// When the store fails.
    pub fn handled(&self, alert: u64) -> Result<Option<HandledRecord>, StoreError> {
        self.get(&format!("handled/{alert}"))
    }

    /// The question to the log of this name in the store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn question(&self, place: &RequestId) -> Result<Option<QuestionRecord>, StoreError> {
        self.get(&format!("question/{place}"))
    }

    /// Every question to the log that is kept.
    ///
    /// # Errors
    /// When the store fails.
    pub fn questions(&self) -> Result<Vec<(RequestId, QuestionRecord)>, StoreError> {
        let named = |(place, record): (String, QuestionRecord)| {
            Ok((place.parse().map_err(|_| shape())?, record))
        };
        self.scan("question/")?.into_iter().map(named).collect()
    }

    /// A request for access, by its number in the log.
    ///
    /// # Errors
    /// When the store fails.
    pub fn access_request(&self, request: u64) -> Result<Option<AccessRecord>, StoreError> {
        self.get(&format!("access/{request:020}"))
    }

    /// Every request for access, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn access_requests(&self) -> Result<Vec<(u64, AccessRecord)>, StoreError> {
        let numbered = |(number, record): (String, AccessRecord)| {
            Ok((number.parse().map_err(|_| shape())?, record))
        };
        self.scan("access/")?.into_iter().map(numbered).collect()
    }

    /// Notices and news that wait for an agency in an enquiry, each with its place, in the order in which they came.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notices(
        &self,
        enquiry: &EnquiryRef,
        agency: &AgencyId,
    ) -> Result<Vec<(String, NoticeRecord)>, StoreError> {
        let prefix = format!("notice/{enquiry}/{agency}/");
        let found = self.scan::<NoticeRecord>(&prefix)?.into_iter();
        Ok(found.map(|(rest, record)| (format!("{prefix}{rest}"), record)).collect())
    }

    /// Where notices wait.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notices_wait_at(&self) -> Result<BTreeSet<(EnquiryRef, AgencyId)>, StoreError> {
        self.places("notice/")
            .map(|rest| {
                let rest = rest?;
                let mut parts = rest.split('/');
                let (enquiry, agency) = (parts.next(), parts.next());
                let enquiry = enquiry.and_then(|text| text.parse().ok()).ok_or_else(shape)?;
                let agency = agency.and_then(|text| text.parse().ok()).ok_or_else(shape)?;
                Ok((enquiry, agency))
            })
            .collect()
    }

    /// Whether a delivery was taken before.
    ///
    /// # Errors
    /// When the store fails.
    pub fn was_delivered(&self, agency: &AgencyId, id: &RequestId) -> Result<bool, StoreError> {
        self.db.contains(format!("delivered/{agency}/{id}").as_bytes())
    }

    /// The keys and quotas of an agency; none before its first batch.
    ///
    /// # Errors
    /// When the store fails.
    pub fn epochs(&self, agency: &AgencyId) -> Result<EpochsRecord, StoreError> {
        Ok(self.get(&format!("epochs/{agency}"))?.unwrap_or_default())
    }
}

/// A record that does not have its shape: damage, or a later version's.
const fn shape() -> StoreError {
    StoreError::Corrupt { what: "a record does not have its shape" }
}

/// A change of the store that is being put together.
#[derive(Debug, Default)]
pub struct Change {
    batch: Batch,
    /// Who can be found once it is made.
    findable: Vec<(EnquiryRef, PersonRef, Vec<Blinded>)>,
    /// Enquiries of which something changes that others follow.
    enquiries: BTreeSet<EnquiryRef>,
}

impl Change {
    /// An empty change.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn put<T: Serialize>(&mut self, place: &str, value: &T) -> Result<(), StoreError> {
        self.batch.put(place.as_bytes(), serde_json::to_vec(value).map_err(|_| shape())?);
        let mut parts = place.split('/');
        if parts.next().is_some_and(|kind| FOLLOWED.contains(&kind)) {
            self.enquiries.extend(parts.next().and_then(|enquiry| enquiry.parse().ok()));
        }
        Ok(())
    }

    /// One enquiry.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn enquiry(&mut self, name: &EnquiryRef, record: &EnquiryRecord) -> Result<(), StoreError> {
        self.put(&format!("enquiry/{name}"), record)
    }

    /// That an enquiry was opened, for the budgets.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn opening(&mut self, name: &EnquiryRef, record: &OpeningRecord) -> Result<(), StoreError> {
        self.put(&format!("opening/{name}"), record)
    }

    /// An opening is so long ago that no budget counts it.
    pub fn opening_is_over(&mut self, name: &EnquiryRef) {
        self.batch.remove(format!("opening/{name}"));
    }

    /// How an alert was handled.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn handled(&mut self, alert: u64, record: &HandledRecord) -> Result<(), StoreError> {
        self.put(&format!("handled/{alert}"), record)
    }

    /// A question to the log.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn question(
        &mut self,
        place: &RequestId,
        record: &QuestionRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("question/{place}"), record)
    }

    /// A question to the log is not kept any more.
    pub fn question_is_over(&mut self, place: &RequestId) {
        self.batch.remove(format!("question/{place}"));
    }

    /// A request for access, by its number in the log.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn access_request(
        &mut self,
        request: u64,
        record: &AccessRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("access/{request:020}"), record)
    }

    /// The time of a request for access is over.
    pub fn access_request_is_over(&mut self, request: u64) {
        self.batch.remove(format!("access/{request:020}"));
    }

    /// One cell.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn cell(
        &mut self,
        enquiry: &EnquiryRef,
        agency: &AgencyId,
        person: &PersonRef,
        record: &CellRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("cell/{enquiry}/{agency}/{person}"), record)
    }

    /// A signed statement that came in. Names are the signers' own: an agency that uses another's takes nothing
    /// of the other's away.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn statement(
        &mut self,
        enquiry: &EnquiryRef,
        id: &RequestId,
        record: &StatementRecord,
    ) -> Result<(), StoreError> {
        let digest = Digest::of(&record.signed.payload);
        self.put(&format!("statement/{enquiry}/{id}/{digest}"), record)
    }

    /// A request for detail, for one recipient.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn release(
        &mut self,
        enquiry: &EnquiryRef,
        release: &ReleaseRef,
        record: &ReleaseRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("release/{enquiry}/{release}/{}", record.recipient), record)
    }

    /// When this hub took up a version of the agreement.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn agreement_taken_up(
        &mut self,
        digest: AgreementDigest,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.put(&format!("agreement/{digest}"), &at)
    }

    /// A rating that was replaced or withdrawn, under the name of the statement that did it.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn rating_change(
        &mut self,
        enquiry: &EnquiryRef,
        cause: &RequestId,
        record: &RatingChangeRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("changed/{enquiry}/{cause}"), record)
    }

    /// A challenge of a rating.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn challenge(
        &mut self,
        enquiry: &EnquiryRef,
        id: &RequestId,
        record: &ChallengeRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("challenge/{enquiry}/{id}"), record)
    }

    /// Somebody of an enquiry can be found by these match keys.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn findable<K: AsRef<[u8]>>(
        &mut self,
        store: &Store,
        enquiry: &EnquiryRef,
        person: &PersonRef,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), StoreError> {
        let keys: Vec<Blinded> = keys.into_iter().map(|key| store.blind(key.as_ref())).collect();
        let record = FindableRecord { keys };
        self.put(&format!("match/{enquiry}/{person}"), &record)?;
        self.findable.push((enquiry.clone(), person.clone(), record.keys));
        Ok(())
    }

    /// Earlier enquiries about the people of one.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn earlier(
        &mut self,
        enquiry: &EnquiryRef,
        records: &[EarlierRecord],
    ) -> Result<(), StoreError> {
        self.put(&format!("earlier/{enquiry}"), &records)
    }

    /// The next step of an enquiry's life; the change fails when there is one with this number.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn step(
        &mut self,
        enquiry: &EnquiryRef,
        number: usize,
        record: &StepRecord,
    ) -> Result<(), StoreError> {
        let place = format!("step/{enquiry}/{number:08}");
        self.batch.require_absent(place.as_bytes());
        self.put(&place, record)
    }

    /// The flags of an enquiry, all of them.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn flags(
        &mut self,
        enquiry: &EnquiryRef,
        records: &[FlagRecord],
    ) -> Result<(), StoreError> {
        self.put(&format!("flags/{enquiry}"), &records)
    }

    /// An identity review that was authorised.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn identity_review(
        &mut self,
        enquiry: &EnquiryRef,
        agency: &AgencyId,
        person: &PersonRef,
        record: &IdentityReviewRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("identity/{enquiry}/{agency}/{person}"), record)
    }

    /// A notice or news that wait for an agency; told in the order of the times.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn notice(
        &mut self,
        enquiry: &EnquiryRef,
        agency: &AgencyId,
        (received_at, id): (Timestamp, &RequestId),
        record: &NoticeRecord,
    ) -> Result<(), StoreError> {
        let at = received_at.as_nanosecond();
        self.put(&format!("notice/{enquiry}/{agency}/{at:020}-{id}"), record)
    }

    /// The agency has taken the notice at this place.
    pub fn notice_taken(&mut self, place: &str) {
        self.batch.remove(place.as_bytes());
    }

    /// A delivery was taken; the change fails when it was taken before.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn delivered(
        &mut self,
        agency: &AgencyId,
        id: &RequestId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let place = format!("delivered/{agency}/{id}");
        self.batch.require_absent(place.as_bytes());
        self.put(&place, &at)
    }

    /// The keys and quotas of an agency. A secret that is not among them any more is gone.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn epochs(&mut self, agency: &AgencyId, record: &EpochsRecord) -> Result<(), StoreError> {
        self.put(&format!("epochs/{agency}"), record)
    }

    /// That a member of staff is linked to the family of an enquiry.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn conflict(
        &mut self,
        staff: &StaffName,
        enquiry: &EnquiryRef,
        record: &ConflictRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("conflict/{enquiry}/{staff}"), record)
    }
}
