//! Enquiries that co-ordinators are still writing on the pages of the console, saved as they go.
//!
//! A draft is its writer's alone. It lies in the hub's store, sealed like everything there, and is erased when it is opened or thrown
//! away, or some days after it was last saved (`drafts.kept`). That somebody looks at one is recorded, for it names people.

use std::{sync::Arc, time::Duration};

use brag_common::{
    audit::entry::Action,
    id::{RequestId, StaffName},
    secret::random_bytes,
    status::to_status,
    time::{SignedDuration, Timestamp},
    tls::peer_of,
    wire::{
        id,
        pb::{self, coordinator_service_server::CoordinatorService as _},
    },
};
use tokio::sync::Mutex;
use tonic::{Request, Status};

use crate::{
    config::Role,
    file_problems::{Found, Problem},
    guard::{Refusal, SignedIn},
    hub::Shared,
    service::ForCoordinators,
    store::{Change, drafts::DraftRecord},
    written_enquiry::{WrittenEnquiry, request},
};

/// Drafts of one person at a time.
const MAX_DRAFTS: usize = 50;

/// How often drafts whose time has passed are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// How opening a draft went.
pub(crate) enum Opened {
    /// The reference of the enquiry.
    Enquiry(String),
    /// What is wrong with what is written, and that itself; nothing was asked.
    Problems(Vec<Problem>, Box<WrittenEnquiry>),
}

/// The drafts of a hub.
#[derive(Debug)]
pub(crate) struct Drafts {
    shared: Arc<Shared>,
    /// Held while one is read and changed, and while one is opened: of two at once the second finds what the first left.
    changing: Mutex<()>,
}

impl Drafts {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, changing: Mutex::default() }
    }

    fn signed_in<T>(&self, request: Request<T>) -> Result<(SignedIn, T), Status> {
        let who = self.shared.staff(peer_of(&request)?, Role::Coordinator);
        Ok((who.map_err(|refusal| to_status(&refusal))?, request.into_inner()))
    }

    /// One's own drafts, the last saved first, each with when that was. They are named by nothing else here.
    ///
    /// # Errors
    /// When the caller is no co-ordinator, or the store fails.
    pub(crate) async fn list(
        &self,
        request: Request<()>,
    ) -> Result<Vec<(RequestId, Timestamp)>, Status> {
        let (who, ()) = self.signed_in(request)?;
        self.own(who.name()).await.map_err(|refusal| to_status(&refusal))
    }

    async fn own(&self, who: &StaffName) -> Result<Vec<(RequestId, Timestamp)>, Refusal> {
        let now = self.shared.clock.now();
        let all = self.shared.store.run(|store| store.drafts()).await?;
        let own = all.into_iter().filter(|(of, _, saved)| of == who && self.is_kept(*saved, now));
        let mut own: Vec<_> = own.map(|(_, draft, saved)| (draft, saved)).collect();
        own.sort_by_key(|(_, saved)| std::cmp::Reverse(*saved));
        Ok(own)
    }

    fn is_kept(&self, saved_at: Timestamp, now: Timestamp) -> bool {
        is_kept(&self.shared, saved_at, now)
    }

    /// Begins a draft.
    ///
    /// # Errors
    /// When the caller is no co-ordinator or has too many, or the store fails.
    pub(crate) async fn start(&self, request: Request<()>) -> Result<RequestId, Status> {
        let (who, ()) = self.signed_in(request)?;
        let started = async {
            if self.own(who.name()).await?.len() >= MAX_DRAFTS {
                let text = "you have fifty drafts; open some or throw them away";
                return Err(Refusal::rule("TOO_MANY_DRAFTS", text));
            }
            let draft =
                random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?;
            let now = self.shared.clock.now();
            let enquiry = WrittenEnquiry::default();
            let record = DraftRecord { started_at: now, saved_at: now, enquiry };
            self.keep(who.name(), &draft, (record, 0)).await?;
            Ok(draft)
        };
        started.await.map_err(|refusal: Refusal| to_status(&refusal))
    }

    /// One of one's own drafts. That it is looked at is recorded first.
    ///
    /// # Errors
    /// When there is none of this name any more, the caller is no co-ordinator, or it can not be recorded.
    pub(crate) async fn read(&self, request: Request<String>) -> Result<WrittenEnquiry, Status> {
        let (who, draft) = self.signed_in(request)?;
        let read = async {
            let draft: RequestId = id("draft", &draft)?;
            let record = self.find(who.name(), &draft).await?;
            self.look(&who).await?;
            Ok(record.enquiry)
        };
        read.await.map_err(|refusal: Refusal| to_status(&refusal))
    }

    async fn look(&self, who: &SignedIn) -> Result<(), Refusal> {
        let mut entry = self.shared.draft(Action::ReportRead);
        entry.decision = "draft".parse().ok();
        self.shared.log.record(who.signs(entry)).await?;
        Ok(())
    }

    /// Changes one of one's own drafts and saves it; what `change` makes of it.
    ///
    /// # Errors
    /// As [`Drafts::read`].
    pub(crate) async fn change<R>(
        &self,
        request: Request<String>,
        change: impl FnOnce(&mut WrittenEnquiry) -> R + Send,
    ) -> Result<R, Status> {
        let (who, draft) = self.signed_in(request)?;
        let changed = async {
            let draft: RequestId = id("draft", &draft)?;
            let _alone = self.changing.lock().await;
            let mut record = self.find(who.name(), &draft).await?;
            let n_before = record.enquiry.person.len();
            let made = change(&mut record.enquiry);
            record.saved_at = self.shared.clock.now();
            self.keep(who.name(), &draft, (record, n_before)).await?;
            Ok(made)
        };
        changed.await.map_err(|refusal: Refusal| to_status(&refusal))
    }

    /// Throws one of one's own drafts away.
    ///
    /// # Errors
    /// As [`Drafts::read`].
    pub(crate) async fn discard(&self, request: Request<String>) -> Result<(), Status> {
        let (who, draft) = self.signed_in(request)?;
        let discarded = async {
            let draft: RequestId = id("draft", &draft)?;
            let _alone = self.changing.lock().await;
            let record = self.find(who.name(), &draft).await?;
            self.erase(who.name().clone(), draft, record.enquiry.person.len()).await
        };
        discarded.await.map_err(|refusal: Refusal| to_status(&refusal))
    }

    /// Opens an enquiry as it is written, and erases the draft. `call` makes the call of whoever opens it.
    ///
    /// # Errors
    /// As [`Drafts::read`], and what opening an enquiry says; the draft then stays.
    pub(crate) async fn open(
        &self,
        named: Request<String>,
        coordinators: &ForCoordinators,
        call: impl FnOnce(pb::OpenRequest) -> Request<pb::OpenRequest> + Send,
    ) -> Result<Opened, Status> {
        let (who, draft) = self.signed_in(named)?;
        let draft: RequestId = id("draft", &draft).map_err(|error| to_status(&error))?;
        let _alone = self.changing.lock().await;
        let record = self.find(who.name(), &draft).await.map_err(|r| to_status(&r))?;
        let mut found = Found::default();
        let message = request(&record.enquiry, &mut found);
        let problems = found.problems();
        if !problems.is_empty() {
            self.look(&who).await.map_err(|r| to_status(&r))?;
            return Ok(Opened::Problems(problems, Box::new(record.enquiry)));
        }
        let opened = coordinators.open(call(message)).await?.into_inner();
        // When this fails the draft stays a while: opening it again is asking again, which needs a reason.
        let erased = self.erase(who.name().clone(), draft, record.enquiry.person.len()).await;
        erased.map_err(|refusal| to_status(&refusal))?;
        Ok(Opened::Enquiry(opened.enquiry))
    }

    async fn find(&self, who: &StaffName, draft: &RequestId) -> Result<DraftRecord, Refusal> {
        let (of, name) = (who.clone(), draft.clone());
        let record = self.shared.store.run(move |store| store.draft(&of, &name)).await?;
        let now = self.shared.clock.now();
        let kept = record.filter(|record| self.is_kept(record.saved_at, now));
        kept.ok_or(Refusal::NotFound("draft"))
    }

    async fn keep(
        &self,
        who: &StaffName,
        draft: &RequestId,
        (record, n_before): (DraftRecord, usize),
    ) -> Result<(), Refusal> {
        let mut change = Change::new();
        change.draft(who, draft, (&record, n_before))?;
        Ok(self.shared.store.run(move |store| store.commit(change)).await?)
    }

    async fn erase(&self, who: StaffName, draft: RequestId, n: usize) -> Result<(), Refusal> {
        let mut change = Change::new();
        change.draft_is_over(&who, &draft, n);
        Ok(self.shared.store.run(move |store| store.commit(change)).await?)
    }
}

fn is_kept(shared: &Shared, saved_at: Timestamp, now: Timestamp) -> bool {
    let kept = SignedDuration::try_from(shared.config.drafts.kept.get());
    kept.is_ok_and(|kept| now.duration_since(saved_at) < kept)
}

/// Erases drafts whose time has passed, until the hub stops.
pub(crate) async fn keep_clearing(shared: Arc<Shared>) {
    loop {
        if let Err(error) = clear(&shared).await {
            tracing::warn!(code = error.code(), "old drafts are not erased; tried again later");
        }
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn clear(shared: &Arc<Shared>) -> Result<(), brag_common::durable::StoreError> {
    let now = shared.clock.now();
    let all = shared.store.run(|store| store.drafts()).await?;
    for (of, draft, _) in all.into_iter().filter(|(_, _, saved)| !is_kept(shared, *saved, now)) {
        shared
            .store
            .run(move |store| {
                let Some(record) = store.draft(&of, &draft)? else { return Ok(()) };
                let mut change = Change::new();
                change.draft_is_over(&of, &draft, record.enquiry.person.len());
                store.commit(change)
            })
            .await?;
    }
    Ok(())
}
