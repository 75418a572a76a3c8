//! Views: detail that another agency released to this one, from its arrival to its end.
//!
//! Each is sealed under a key of its own (`brag_common::view`), which lies in a folder outside of the store
//! (`brag_common::durable::KeyFolder`). [`close`] is the one way in which a view ends, whatever the reason: it destroys the
//! key first, for that must not wait for a log or a store that fails, then records, then erases what was sealed.
//!
//! INVARIANTS
//! - A view that has ended does not open, also not from a copy of the data folder that is put back, because no such copy
//!   ever had its key. Whoever copies the folder of keys as well defeats this; docs/agency-it.md says so.
//! - Only a person opens, who has accepted the obligations; that they do is recorded before the text is opened.
//! - What arrived is not kept in the form in which the agency's long-term sealing key opens it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use brag_common::{
    agreement::Obligation,
    audit::{
        Recordable, Recorded,
        entry::{Action, Digest, EntryDraft},
    },
    durable::{KeyFolder, StoreError},
    id::{EnquiryRef, ReleaseRef},
    time::Timestamp,
    view::ViewKey,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    conflict,
    guard::{Refusal, SignedIn},
    node::Shared,
    receive::View,
    store::{
        Change, Store,
        shapes::{CloseReason, Closed, InboxRecord},
    },
};

/// How often the clock is looked at for views whose time has passed. Looking costs nothing while none has.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The keys of views, and what guards them.
#[derive(Debug)]
pub struct Views {
    keys: KeyFolder,
    /// Held while a view arrives, is opened or is closed, so that none is opened while it is being closed.
    pub(crate) alone: tokio::sync::Mutex<()>,
    /// The first time at which an open view ends, in Unix milliseconds; a time before it is looked at once.
    due_ms: AtomicI64,
}

impl Views {
    /// Opens the folder of keys, and makes it when there is none.
    ///
    /// # Errors
    /// When it is in the data folder, or can not be used.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let folder: PathBuf = config.view_key_folder();
        anyhow::ensure!(
            !folder.starts_with(config.data.as_path()),
            "`view_keys` lies in the data folder, so a copy of the data would hold the keys of views"
        );
        let keys = KeyFolder::open(&folder).with_context(|| {
            format!("can not use the folder of view keys `{}`", folder.display())
        })?;
        Ok(Self { keys, alone: tokio::sync::Mutex::default(), due_ms: AtomicI64::new(i64::MIN) })
    }

    /// Runs blocking work on the keys off the runtime's threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KeyFolder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let keys = self.keys.clone();
        tokio::task::spawn_blocking(move || work(&keys)).await.map_err(|_| StoreError::Failed)?
    }

    /// Destroys the keys of every view of an enquiry that is being erased. Blocks.
    ///
    /// # Errors
    /// When a key can not be destroyed, or the store fails.
    pub(crate) fn destroy_all(
        &self,
        store: &Store,
        enquiry: &EnquiryRef,
    ) -> Result<(), StoreError> {
        let _alone = self.alone.blocking_lock();
        for (release, _) in store.inbox_in(enquiry)? {
            self.keys.destroy(&release)?;
        }
        Ok(())
    }

    /// A view that ends then is open now.
    pub(crate) fn expect(&self, ends: Timestamp) {
        self.due_ms.fetch_min(ends.as_millisecond(), Ordering::SeqCst);
    }
}

/// Ends a view: destroys its key, records that and why, and erases what was sealed. Gives whether it was open.
///
/// # Errors
/// When the key can not be destroyed; or when it is destroyed, and that can not be recorded or kept: called again, it does
/// what is left.
pub async fn close(
    shared: &Arc<Shared>,
    release: &ReleaseRef,
    why: CloseReason,
) -> Result<bool, Refusal> {
    let _alone = shared.views.alone.lock().await;
    let name = release.clone();
    let record = shared.store.run(move |store| store.inbox_item(&name)).await?;
    match record {
        Some(record) if record.closed.is_none() => {
            close_alone(shared, release, record, why).await?;
            Ok(true)
        }
        Some(_) | None => Ok(false),
    }
}

/// As [`close`], for an open view, by a caller that holds the guard.
async fn close_alone(
    shared: &Arc<Shared>,
    release: &ReleaseRef,
    record: InboxRecord,
    why: CloseReason,
) -> Result<(), Refusal> {
    let name = release.clone();
    shared.views.run(move |keys| keys.destroy(&name)).await?;
    let view = View::read(shared, &record)?;
    let mut draft = view.draft(shared, Action::DetailClosed);
    draft.decision = why.word().parse().ok();
    shared.log.record(draft).await?;
    let closed = Some(Closed { why, at: shared.clock.now() });
    let record = InboxRecord { closed, ..record };
    let (name, enquiry) = (release.clone(), view.enquiry);
    let erase = move |store: &Store| {
        let place = blob_place(&enquiry, &name);
        let n_bytes = store.blob(&place)?.map_or(0, |wrapped| wrapped.len());
        let mut change = Change::new();
        change.inbox(&enquiry, &name, &record)?;
        change.remove_blob(&place, n_bytes);
        store.commit(change)
    };
    Ok(shared.store.run(erase).await?)
}

/// Where the sealed detail of a view is.
#[must_use]
pub fn blob_place(enquiry: &EnquiryRef, release: &ReleaseRef) -> String {
    format!("{enquiry}/inbox/{release}")
}

/// Why no view may be open now; `None` while the agreement is in force for this agency.
fn agreement_says(shared: &Shared) -> Option<CloseReason> {
    match shared.in_force() {
        Ok(()) => None,
        Err(Refusal::PartyWithdrawn) => Some(CloseReason::PartyWithdrawn),
        Err(_) => Some(CloseReason::AgreementEnded),
    }
}

/// An opening by a person, to be recorded first.
struct Opening {
    draft: EntryDraft,
}

impl Recordable for Opening {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

/// Opens one view for a person who has accepted its obligations. That they opened it, or that it had ended when they
/// wanted to, is recorded with their name.
///
/// # Errors
/// When there is no such view, it has ended, its key is not there, an obligation is not known to this version, or the
/// opening can not be recorded.
pub async fn open_detail(
    shared: &Arc<Shared>,
    who: &SignedIn,
    release: ReleaseRef,
    obligations_accepted: bool,
) -> Result<(View, String), Refusal> {
    let _alone = shared.views.alone.lock().await;
    let name = release.clone();
    let record = shared.store.run(move |store| store.inbox_item(&name)).await?;
    let record = record.ok_or(Refusal::NotFound("release in the inbox"))?;
    let view = View::read(shared, &record)?;
    conflict::free(shared, who, &view.enquiry).await?;
    let time_is_over = (view.expires <= shared.clock.now()).then_some(CloseReason::Expired);
    let ended = match record.closed {
        Some(closed) => Some(closed.why),
        None => agreement_says(shared).or(time_is_over),
    };
    if let Some(why) = ended {
        if record.closed.is_none() {
            close_alone(shared, &release, record, why).await?;
        }
        return Err(not_opened(shared, who, &view, why.word(), why.text()).await?);
    }
    if view.obligations.iter().any(|word| Obligation::from_word(word).is_none()) {
        return Err(Refusal::rule(
            "obligation_unknown",
            "the detail comes with an obligation that this version does not know; tell your operator",
        ));
    }
    if !obligations_accepted {
        return Err(Refusal::rule(
            "obligations_not_accepted",
            format!("read and accept the obligations first: {}", view.obligations.join(", ")),
        ));
    }
    let name = release.clone();
    let Some(key) = shared.views.run(move |keys| keys.key(&name)).await? else {
        let text = "VIEW_CLOSED: the key of this view does not exist any more; the data was put back from a copy, and \
                    the view may have ended since: ask for the detail again";
        return Err(not_opened(shared, who, &view, "view_key_missing", text).await?);
    };
    let place = blob_place(&view.enquiry, &release);
    let wrapped = shared.store.run(move |store| store.blob(&place)).await?;
    let wrapped = wrapped.ok_or(Refusal::Internal)?;
    let draft = who.signs(view.draft(shared, Action::DetailOpened));
    let opening = shared.log.record(Opening { draft }).await?;
    let text = unseal(&ViewKey::from_secret(key), &record, &wrapped, &opening)?;
    Ok((view, text))
}

/// Records that somebody wanted to open a view that does not open, and gives what they are told.
async fn not_opened(
    shared: &Arc<Shared>,
    who: &SignedIn,
    view: &View,
    code: &'static str,
    text: &str,
) -> Result<Refusal, Refusal> {
    let mut draft = who.signs(view.draft(shared, Action::DetailExpired));
    draft.decision = code.parse().ok();
    shared.log.record(draft).await?;
    Ok(Refusal::rule(code, text))
}

/// Opens the text for an opening that the log holds.
fn unseal(
    key: &ViewKey,
    record: &InboxRecord,
    wrapped: &[u8],
    _opening: &Recorded<Opening>,
) -> Result<String, Refusal> {
    let text = key.open(&Digest::of(&record.permit.payload), wrapped).map_err(|_| {
        Refusal::rule("can_not_open", "what is kept of the detail does not open with its key")
    })?;
    String::from_utf8(text.to_vec()).map_err(|_| Refusal::Internal)
}

/// Closes views as their time comes, and all of them when the agreement ends, until `shutdown`.
pub async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut none_left = false;
    loop {
        let now = shared.clock.now();
        let no_agreement = agreement_says(&shared);
        let due = shared.views.due_ms.load(Ordering::SeqCst) <= now.as_millisecond();
        if due || (no_agreement.is_some() && !none_left) {
            match sweep(&shared, no_agreement).await {
                Ok(()) => none_left = no_agreement.is_some(),
                Err(error) => {
                    use brag_common::status::PeerFacing as _;
                    tracing::warn!(
                        code = error.code(),
                        "could not close every view; it is tried again"
                    );
                }
            }
        }
        none_left &= no_agreement.is_some();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Closes what has ended, and destroys keys that no open view has: a run that was cut off may leave one.
async fn sweep(shared: &Arc<Shared>, no_agreement: Option<CloseReason>) -> Result<(), Refusal> {
    let now = shared.clock.now();
    // Views that arrive meanwhile bring the time forward again.
    shared.views.due_ms.store(i64::MAX, Ordering::SeqCst);
    let outcome = sweep_at(shared, no_agreement, now).await;
    if outcome.is_err() {
        shared.views.due_ms.store(i64::MIN, Ordering::SeqCst);
    }
    outcome
}

async fn sweep_at(
    shared: &Arc<Shared>,
    no_agreement: Option<CloseReason>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let alone = shared.views.alone.lock().await;
    let inbox = shared.store.run(|store| store.inbox()).await?;
    let keys = shared.views.run(|keys| keys.names()).await?;
    let mut open = Vec::new();
    for (release, record) in inbox {
        if record.closed.is_none() {
            open.push((release, View::read(shared, &record)?.expires));
        }
    }
    for name in keys {
        if !open.iter().any(|(release, _)| *release == name) {
            shared.views.run(move |keys| keys.destroy(&name)).await?;
        }
    }
    drop(alone);
    // One that can not be recorded holds up no other: the keys of all of them go now.
    let mut failed = None;
    for (release, expires) in open {
        let time_is_over = (expires <= now).then_some(CloseReason::Expired);
        match no_agreement.or(time_is_over) {
            Some(why) => failed = close(shared, &release, why).await.err().or(failed),
            None => shared.views.expect(expires),
        }
    }
    failed.map_or(Ok(()), Err)
}
