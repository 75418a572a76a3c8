//! The node's store: typed records over the one durable, sealed store.
//!
//! Places hold only random references, record numbers and blinded ids, so that the keys of the store say
//! nothing about anyone. Every function blocks; callers on the runtime use [`Store::run`].
//!
//! What belongs to an enquiry is at `<kind>/<enquiry>…`, for the kinds in [`KINDS`], and is sealed under the enquiry's own key. A
//! record of a new kind that says anything about an enquiry needs its kind there; nothing else has to be done to be erasable.
//! The agency's own records are under the store's key alone, in this store or in one of their own ([`own_records`]).

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use brag_common::{
    audit::entry::Digest,
    durable::{Batch, Durable, Layout, Scopes, StoreError, store_folder},
    enquiry::RatedAnswer,
    id::{
        AgencyId, AgreementDigest, EnquiryRef, PersonRef, ReleaseRef, RequestId, StaffName, WorkRef,
    },
    rating::SaltedAnalysis,
    secret::SecretBytes,
    statement::SignedStatement,
    time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};

pub mod own_records;
pub mod shapes;

pub use own_records::{Records, SharedRecords, person_place, standing_place};

use shapes::{
    AnalysisRecord, ChallengeRecord, ConflictRecord, ConsentRecord, EnquiryPerson, EnquiryRecord,
    HandledRecord, InboxRecord, KeptStatement, NewsRecord, NoticeRecord, ReleasedRecord, Review,
};

/// Kinds of places that belong to the enquiry in their second part.
pub const KINDS: &[&str] = &[
    "analysis",
    "blob",
    "challenge",
    "conflict",
    "consent",
    "enquiry",
    "erasure",
    "hold",
    "in",
    "inbox",
    "news",
    "notice",
    "released",
    "review",
    "statement",
];

/// How records are laid out, and how those of older versions are brought up. A change of a place or of the form of a value that the present
/// code does not read in its old form gets a version and a row here.
pub const LAYOUT: Layout = Layout { version: 1, migrations: &[] };

/// Memory that the store may use for pages, in bytes.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Values longer than this are kept in pieces: the store takes values under 63 KiB.
const PIECE_BYTES: usize = 48 * 1024;

/// The node's store.
#[derive(Debug, Clone)]
pub struct Store {
    db: Durable,
    records: Records,
    n_detail_reads: Arc<AtomicU64>,
}

/// What was released, by request and recipient.
pub type ReleasedRow = ((ReleaseRef, AgencyId), ReleasedRecord);

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
        let records = Records::within(db.clone(), key);
        Ok(Self { db, records, n_detail_reads: Arc::default() })
    }

    /// The same store, with the agency's records where `records` keeps them, apart from it.
    #[must_use]
    pub fn with_records(self, records: Records) -> Self {
        Self { records, ..self }
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
    /// When the disk fails; then nothing of it is taken.
    pub fn commit(&self, change: Change) -> Result<(), StoreError> {
        self.db.commit(change.0)
    }

    /// Commits a change unless it is empty.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn commit_if_any(&self, change: Change) -> Result<(), StoreError> {
        if change.is_empty() { Ok(()) } else { self.commit(change) }
    }

    /// The database of what this partnership's node knows of enquiries and has enrolled.
    #[must_use]
    pub const fn durable(&self) -> &Durable {
        &self.db
    }

    fn get<T: DeserializeOwned>(&self, place: &str) -> Result<Option<T>, StoreError> {
        get(&self.db, place)
    }

    fn scan<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(String, T)>, StoreError> {
        scan(&self.db, prefix)
    }

    /// The record of this kind and name, whatever its enquiry. Looks through the places of the kind, not through the records.
    fn named<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Result<Option<T>, StoreError> {
        let last = format!("/{name}");
        for place in self.db.keys(format!("{kind}/").as_bytes()) {
            let place = String::from_utf8(place?).map_err(|_| shape())?;
            if place.ends_with(&last) {
                return self.get(&place);
            }
        }
        Ok(None)
    }

    /// What the node was told of an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enquiry(&self, enquiry: &EnquiryRef) -> Result<Option<EnquiryRecord>, StoreError> {
        self.get(&format!("enquiry/{enquiry}"))
    }

    /// Every enquiry the node was told of.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enquiries(&self) -> Result<Vec<(EnquiryRef, EnquiryRecord)>, StoreError> {
        parse_rest(self.scan("enquiry/")?)
    }

    /// A person of an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn person_in(
        &self,
        enquiry: &EnquiryRef,
        person: &PersonRef,
    ) -> Result<Option<EnquiryPerson>, StoreError> {
        self.get(&format!("in/{enquiry}/{person}"))
    }

    /// Everyone of an enquiry whose commitment the node was told.
    ///
    /// # Errors
    /// When the store fails.
    pub fn people_in(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<(PersonRef, EnquiryPerson)>, StoreError> {
        parse_rest(self.scan(&format!("in/{enquiry}/"))?)
    }

    /// Every statement this node has signed or verified in an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn statements(&self, enquiry: &EnquiryRef) -> Result<Vec<SignedStatement>, StoreError> {
        let kept = self.scan::<KeptStatement>(&format!("statement/{enquiry}/"))?;
        Ok(kept.into_iter().map(|(_, kept)| kept.signed).collect())
    }

    /// The analysis of a rating that this node has signed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn analysis(
        &self,
        enquiry: &EnquiryRef,
        id: &RequestId,
    ) -> Result<Option<SaltedAnalysis>, StoreError> {
        let kept = self.get::<AnalysisRecord>(&format!("analysis/{enquiry}/{id}"))?;
        Ok(kept.map(|AnalysisRecord { salt, text }| SaltedAnalysis { salt, text }))
    }

    /// What this node keeps of what people of an enquiry said about sharing, by the statement's name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn consents(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<(RequestId, ConsentRecord)>, StoreError> {
        parse_rest(self.scan(&format!("consent/{enquiry}/"))?)
    }

    /// A release that waits, or waited, for people.
    ///
    /// # Errors
    /// When the store fails.
    pub fn review(&self, work: &WorkRef) -> Result<Option<Review>, StoreError> {
        self.named("review", work.as_str())
    }

    /// Every release that waits, or waited, for people.
    ///
    /// # Errors
    /// When the store fails.
    pub fn reviews(&self) -> Result<Vec<(WorkRef, Review)>, StoreError> {
        parse_last(self.scan("review/")?)
    }

    /// Releases of one enquiry that wait, or waited, for people.
    ///
    /// # Errors
    /// When the store fails.
    pub fn reviews_in(&self, enquiry: &EnquiryRef) -> Result<Vec<(WorkRef, Review)>, StoreError> {
        parse_rest(self.scan(&format!("review/{enquiry}/"))?)
    }

    /// When this node took up a version of the agreement; `None` when it has not.
    ///
    /// # Errors
    /// When the store fails.
    pub fn agreement_taken_up(
        &self,
        digest: AgreementDigest,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.get(&format!("agreement/{digest}"))
    }

    /// One challenge of a rating of this agency's.
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

    /// Challenges in one enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn challenges_in(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<(RequestId, ChallengeRecord)>, StoreError> {
        parse_rest(self.scan(&format!("challenge/{enquiry}/"))?)
    }

    /// Every challenge, with its enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn challenges(&self) -> Result<Vec<(EnquiryRef, RequestId, ChallengeRecord)>, StoreError> {
        self.scan("challenge/")?
            .into_iter()
            .map(|(rest, record)| {
                let (enquiry, id) = rest.split_once('/').ok_or_else(shape)?;
                let enquiry = enquiry.parse().map_err(|_| shape())?;
                Ok((enquiry, id.parse().map_err(|_| shape())?, record))
            })
            .collect()
    }

    /// The names of everything that is to be delivered to the hub, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outgoing(&self) -> Result<Vec<String>, StoreError> {
        let mut outgoing = Vec::new();
        for place in self.db.keys(b"blob/") {
            let place = String::from_utf8(place?).map_err(|_| shape())?;
            let first = place.strip_suffix("/0000").and_then(|name| name.strip_prefix("blob/"));
            let Some(name) = first else { continue };
            if let Some((_, order)) = name.split_once("/out/") {
                outgoing.push((order.to_owned(), name.to_owned()));
            }
        }
        outgoing.sort();
        Ok(outgoing.into_iter().map(|(_, name)| name).collect())
    }

    /// A value of any size, kept in pieces.
    ///
    /// # Errors
    /// When the store fails.
    pub fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut whole: Option<Vec<u8>> = None;
        for row in self.db.scan(format!("blob/{name}/").as_bytes()) {
            whole.get_or_insert_default().extend_from_slice(&row?.1);
        }
        Ok(whole)
    }

    /// One view of the inbox.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_item(&self, release: &ReleaseRef) -> Result<Option<InboxRecord>, StoreError> {
        self.named("inbox", release.as_str())
    }

    /// The whole inbox.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox(&self) -> Result<Vec<(ReleaseRef, InboxRecord)>, StoreError> {
        parse_last(self.scan("inbox/")?)
    }

    /// The views of one enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_in(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<(ReleaseRef, InboxRecord)>, StoreError> {
        parse_rest(self.scan(&format!("inbox/{enquiry}/"))?)
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

    /// How the alert with this number in the log was handled.
    ///
    /// # Errors
    /// When the store fails.
    pub fn handled(&self, alert: u64) -> Result<Option<HandledRecord>, StoreError> {
        self.get(&format!("handled/{alert}"))
    }

    /// What this node released in an enquiry, by request and recipient.
    ///
    /// # Errors
    /// When the store fails.
    pub fn released(&self, enquiry: &EnquiryRef) -> Result<Vec<ReleasedRow>, StoreError> {
        self.scan(&format!("released/{enquiry}/"))?
            .into_iter()
            .map(|(rest, record)| {
                let (release, recipient) = rest.split_once('/').ok_or_else(shape)?;
                let recipient = recipient.parse().map_err(|_| shape())?;
                Ok(((release.parse().map_err(|_| shape())?, recipient), record))
            })
            .collect()
    }

    /// One notice that a holder took detail back.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notice(&self, notice: &RequestId) -> Result<Option<NoticeRecord>, StoreError> {
        self.named("notice", notice.as_str())
    }

    /// Notices in one enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notices_in(
        &self,
        enquiry: &EnquiryRef,
    ) -> Result<Vec<(RequestId, NoticeRecord)>, StoreError> {
        parse_rest(self.scan(&format!("notice/{enquiry}/"))?)
    }

    /// Every notice that a holder took detail back.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notices(&self) -> Result<Vec<(RequestId, NoticeRecord)>, StoreError> {
        parse_last(self.scan("notice/")?)
    }

    /// All news, with their enquiries.
    ///
    /// # Errors
    /// When the store fails.
    pub fn news(&self) -> Result<Vec<(EnquiryRef, NewsRecord)>, StoreError> {
        let enquiry = |rest: &str| rest.split_once('/')?.0.parse().ok();
        let all = self.scan("news/")?.into_iter();
        all.map(|(rest, record)| Ok((enquiry(&rest).ok_or_else(shape)?, record))).collect()
    }

    /// News of one enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn news_in(&self, enquiry: &EnquiryRef) -> Result<Vec<NewsRecord>, StoreError> {
        let found = self.scan(&format!("news/{enquiry}/"))?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// Where all news are, with their enquiries.
    ///
    /// # Errors
    /// When the store fails.
    pub fn news_places(&self) -> Result<Vec<(EnquiryRef, String)>, StoreError> {
        let places = self.db.keys(b"news/").map(|place| {
            let place = String::from_utf8(place?).map_err(|_| shape())?;
            let enquiry = place.split('/').nth(1).and_then(|name| name.parse().ok());
            Ok((enquiry.ok_or_else(shape)?, place))
        });
        places.collect()
    }

    /// Where the news of one enquiry are, those that came first first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn news_places_of(&self, enquiry: &EnquiryRef) -> Result<Vec<String>, StoreError> {
        let places = self.db.keys(format!("news/{enquiry}/").as_bytes());
        places.map(|place| String::from_utf8(place?).map_err(|_| shape())).collect()
    }
}

fn get<T: DeserializeOwned>(db: &Durable, place: &str) -> Result<Option<T>, StoreError> {
    let Some(bytes) = db.get(place.as_bytes())? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|_| shape())
}

/// Every record whose place starts with `prefix`, with the rest of the place.
fn scan<T: DeserializeOwned>(db: &Durable, prefix: &str) -> Result<Vec<(String, T)>, StoreError> {
    let mut found = Vec::new();
    for row in db.scan(prefix.as_bytes()) {
        let (place, bytes) = row?;
        let rest = place
            .get(prefix.len()..)
            .and_then(|rest| std::str::from_utf8(rest).ok())
            .ok_or_else(shape)?;
        let value = serde_json::from_slice(&bytes).map_err(|_| shape())?;
        found.push((rest.to_owned(), value));
    }
    Ok(found)
}

/// A record that does not have its shape: damage, or a later version's.
const fn shape() -> StoreError {
    StoreError::Corrupt { what: "a record does not have its shape" }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_rest<K: std::str::FromStr, T>(rows: Vec<(String, T)>) -> Result<Vec<(K, T)>, StoreError> {
    rows.into_iter().map(|(rest, value)| Ok((rest.parse().map_err(|_| shape())?, value))).collect()
}

/// As [`parse_rest`], of places that have the enquiry before the name.
fn parse_last<K: std::str::FromStr, T>(rows: Vec<(String, T)>) -> Result<Vec<(K, T)>, StoreError> {
    let last = |rest: &str| rest.rsplit('/').next().and_then(|name| name.parse().ok());
    rows.into_iter().map(|(rest, value)| Ok((last(&rest).ok_or_else(shape)?, value))).collect()
}

/// A change of the store that is being put together.
#[derive(Debug, Default)]
pub struct Change(Batch);

impl Change {
    /// An empty change.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts any record; the typed functions below are the ones to use.
    ///
    /// # Errors
    /// When the record can not be encoded.
    pub fn put<T: Serialize>(&mut self, place: &str, value: &T) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).map_err(|_| shape())?;
        self.0.put(place.as_bytes(), bytes);
        Ok(())
    }

    /// Whether nothing was put in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the node was told of an enquiry.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn enquiry(&mut self, name: &EnquiryRef, record: &EnquiryRecord) -> Result<(), StoreError> {
        self.put(&format!("enquiry/{name}"), record)
    }

    /// A person of an enquiry.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn person_in(
        &mut self,
        enquiry: &EnquiryRef,
        person: &PersonRef,
        record: &EnquiryPerson,
    ) -> Result<(), StoreError> {
        self.put(&format!("in/{enquiry}/{person}"), record)
    }

    /// A statement this node has signed or verified. Names are the signers' own: two that share one, of whatever
    /// signers, are two statements.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn statement(
        &mut self,
        enquiry: &EnquiryRef,
        id: &RequestId,
        signed: &SignedStatement,
    ) -> Result<(), StoreError> {
        let kept = KeptStatement { signed: signed.clone() };
        let digest = Digest::of(&signed.payload);
        self.put(&format!("statement/{enquiry}/{id}/{digest}"), &kept)
    }

    /// A rating this node has signed, with its analysis.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn rating(
        &mut self,
        enquiry: &EnquiryRef,
        id: &RequestId,
        rated: &RatedAnswer,
    ) -> Result<(), StoreError> {
        self.statement(enquiry, id, &rated.signed)?;
        self.words_of(enquiry, id, &rated.analysis)
    }

    /// The words that go with a statement of this node's: an analysis, or a reason.
    ///
    /// # Errors
    /// When they can not be encoded.
    pub fn words_of(
        &mut self,
        enquiry: &EnquiryRef,
        id: &RequestId,
        words: &SaltedAnalysis,
    ) -> Result<(), StoreError> {
        let SaltedAnalysis { salt, text } = words.clone();
        self.put(&format!("analysis/{enquiry}/{id}"), &AnalysisRecord { salt, text })
    }

    /// When this node took up a version of the agreement.
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

    /// A challenge of a rating of this agency's.
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

    /// What stays here of what a person said about sharing.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn consent(
        &mut self,
        enquiry: &EnquiryRef,
        id: &RequestId,
        record: &ConsentRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("consent/{enquiry}/{id}"), record)
    }

    /// A release that waits, or waited, for people.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn review(&mut self, work: &WorkRef, review: &Review) -> Result<(), StoreError> {
        self.put(&format!("review/{}/{work}", review.enquiry), review)
    }

    /// Something of an enquiry to deliver to the hub; delivered in the order of time.
    pub fn outgoing(
        &mut self,
        enquiry: &EnquiryRef,
        at: Timestamp,
        request_id: &RequestId,
        request: &[u8],
    ) {
        self.blob(&format!("{enquiry}/out/{:020}-{request_id}", at.as_nanosecond()), request);
    }

    /// A value of any size, kept in pieces. Its name begins with the enquiry it belongs to, and a `/`.
    pub fn blob(&mut self, name: &str, bytes: &[u8]) {
        for (n, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            self.0.put(format!("blob/{name}/{n:04}").as_bytes(), piece);
        }
    }

    /// A value kept in pieces is no longer needed; `n_bytes` is its length.
    pub fn remove_blob(&mut self, name: &str, n_bytes: usize) {
        for n in 0..n_bytes.div_ceil(PIECE_BYTES) {
            self.0.remove(format!("blob/{name}/{n:04}").as_bytes());
        }
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

    /// How an alert was handled.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn handled(&mut self, alert: u64, record: &HandledRecord) -> Result<(), StoreError> {
        self.put(&format!("handled/{alert}"), record)
    }

    /// A view of the inbox.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn inbox(
        &mut self,
        enquiry: &EnquiryRef,
        release: &ReleaseRef,
        record: &InboxRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("inbox/{enquiry}/{release}"), record)
    }

    /// What this node released to one recipient.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn released(
        &mut self,
        enquiry: &EnquiryRef,
        release: &ReleaseRef,
        recipient: &AgencyId,
        record: &ReleasedRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("released/{enquiry}/{release}/{recipient}"), record)
    }

    /// A notice that a holder took detail back.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn notice(
        &mut self,
        enquiry: &EnquiryRef,
        notice: &RequestId,
        record: &NoticeRecord,
    ) -> Result<(), StoreError> {
        self.put(&format!("notice/{enquiry}/{notice}"), record)
    }

    /// News that the hub has told. Their place says when they came, and tells them from others of the enquiry.
    ///
    /// # Errors
    /// When they can not be encoded.
    pub fn news(&mut self, enquiry: &EnquiryRef, record: &NewsRecord) -> Result<(), StoreError> {
        let (came, name) = (record.received_at.as_nanosecond(), record.news.name());
        self.put(&format!("news/{enquiry}/{came:020}-{name}"), record)
    }

    /// News that are kept no longer, by their place.
    pub fn forget_news(&mut self, place: &str) {
        self.0.remove(place.as_bytes());
    }
}
