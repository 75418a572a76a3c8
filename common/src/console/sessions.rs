//! Sessions: who has signed in, from when until when.
//!
//! The browser holds a random token in a cookie; the store holds the token's digest, so that nobody can take up a session from a
//! copy of the store. A session is durable before its cookie leaves, and gone from the store before signing out is answered. When
//! it was last used is kept in memory: after a restart of the program it counts from when it was last written, at most a minute
//! before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{ConsoleConfig, Problem};
use crate::{
    audit::Digest,
    durable::{Batch, Durable, StoreError},
    id::StaffName,
    secret::random_bytes,
    time::Timestamp,
};

/// Where sessions lie in a program's store.
const KIND: &str = "session/";
/// Where the last used step of one-time codes lies.
const STEPS: &str = "one-time-step/";
/// Sessions at one time; the oldest ends when there are more.
const MAX_SESSIONS: usize = 10_000;
/// How often, at most, it is written that a session was used.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// The digest of a token.
pub(super) type Key = Digest;

/// How somebody has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Means {
    /// With a local account of this serial number: it ends when the account changes.
    Account(String),
    /// With a sign-in service; nothing of it is kept but that it was one.
    Service,
}

/// A session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Who.
    pub(crate) name: StaffName,
    /// How they signed in.
    pub(crate) means: Means,
    /// When they signed in.
    pub(crate) since: Timestamp,
    /// When it was last used, as far as it is written.
    pub(crate) used: Timestamp,
    /// The secret that forms carry.
    pub(crate) csrf: String,
}

/// A session in memory.
#[derive(Debug)]
struct Live {
    session: Session,
    used: Timestamp,
    notice: Option<String>,
}

/// Sessions of a program.
#[derive(Debug)]
pub(crate) struct Sessions {
    store: Durable,
    idle: Duration,
    longest: Duration,
    live: Mutex<HashMap<Key, Live>>,
}

impl Sessions {
    pub(super) fn open(store: Durable, config: &ConsoleConfig) -> Result<Self, StoreError> {
        let mut live = HashMap::new();
        for row in store.scan(KIND.as_bytes()) {
            let (place, value) = row?;
            let session = serde_json::from_slice::<Session>(&value).ok();
            let key = key_at(&place);
            if let (Some(key), Some(session)) = (key, session) {
                live.insert(key, Live { used: session.used, session, notice: None });
            }
        }
        let (idle, longest) = (config.idle.get(), config.longest.get());
        Ok(Self { store, idle, longest, live: Mutex::new(live) })
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session; the token for the cookie. `step` is that of the one-time code, which is used up with it.
    pub(super) async fn begin(
        self: &Arc<Self>,
        name: StaffName,
        means: Means,
        now: Timestamp,
        step: Option<u64>,
    ) -> Result<String, Problem> {
        let token =
            BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>().map_err(|_| Problem::Failed)?);
        let csrf =
            BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>().map_err(|_| Problem::Failed)?);
        let session = Session { name, means, since: now, used: now, csrf };
        let key = key_of(&token);
        let sessions = Arc::clone(self);
        blocking(move || sessions.keep(key, session, step, now)).await?;
        Ok(token)
    }

    fn keep(
        &self,
        key: Key,
        session: Session,
        step: Option<u64>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(place(&key), serde_json::to_vec(&session).unwrap_or_default());
        if let Some(step) = step {
            batch.put(format!("{STEPS}{}", session.name), step.to_be_bytes());
        }
        for over in self.over(now) {
            batch.remove(place(&over));
        }
        self.store.commit(batch)?;
        self.live().insert(key, Live { used: session.used, session, notice: None });
        Ok(())
    }

    /// Takes sessions that are over out of memory, and the least used when there are too many.
    fn over(&self, now: Timestamp) -> Vec<Key> {
        let mut live = self.live();
        let mut over: Vec<Key> = live
            .iter()
            .filter(|(_, live)| self.ended(&live.session, live.used, now))
            .map(|(key, _)| *key)
            .collect();
        if live.len() - over.len() >= MAX_SESSIONS {
            over.extend(live.iter().min_by_key(|(_, live)| live.used).map(|(key, _)| *key));
        }
        live.retain(|key, _| !over.contains(key));
        over
    }

    fn ended(&self, session: &Session, used: Timestamp, now: Timestamp) -> bool {
        // A clock that was set back ends a session rather than prolong it.
        let since = |then: Timestamp| now.duration_since(then).unsigned_abs();
        since(used) >= self.idle || since(session.since) >= self.longest
    }

    /// The session of a token, which is now used.
    pub(super) async fn of_token(
        self: &Arc<Self>,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<(Key, Session)>, Problem> {
        let key = key_of(token);
        let (session, write) = {
            let mut all = self.live();
            let Some(live) = all.get_mut(&key) else { return Ok(None) };
            if self.ended(&live.session, live.used, now) {
                return Ok(None);
            }
            live.used = now;
            let write = now.duration_since(live.session.used).unsigned_abs() >= WRITE_EVERY;
            if write {
                live.session.used = now;
            }
            (live.session.clone(), write)
        };
        if write {
            let (sessions, session) = (Arc::clone(self), session.clone());
            blocking(move || {
                let mut batch = Batch::new();
                batch.put(place(&key), serde_json::to_vec(&session).unwrap_or_default());
                sessions.store.commit(batch)
            })
            .await?;
        }
        Ok(Some((key, session)))
    }

    /// Whether a session stands, without using it.
    pub(super) fn stands(&self, key: &Key, now: Timestamp) -> bool {
        self.live().get(key).is_some_and(|live| !self.ended(&live.session, live.used, now))
    }

    /// Ends a session.
    pub(super) async fn end(self: &Arc<Self>, key: Key) -> Result<(), Problem> {
        let sessions = Arc::clone(self);
        blocking(move || {
            let mut batch = Batch::new();
            batch.remove(place(&key));
            sessions.store.commit(batch)
        })
        .await?;
        self.live().remove(&key);
        Ok(())
    }

    /// The last step of a one-time code that this person has used.
    pub(super) async fn last_step(
        self: &Arc<Self>,
        name: &StaffName,
    ) -> Result<Option<u64>, Problem> {
        let (sessions, place) = (Arc::clone(self), format!("{STEPS}{name}"));
        let bytes = blocking(move || sessions.store.get(place.as_bytes())).await?;
        Ok(bytes.and_then(|bytes| bytes.as_slice().try_into().ok().map(u64::from_be_bytes)))
    }

    /// Says something on the next page of a session, once.
    pub(super) fn tell(&self, key: &Key, notice: String) {
        if let Some(live) = self.live().get_mut(key) {
            live.notice = Some(notice);
        }
    }

    /// What the next page is to say.
    pub(super) fn told(&self, key: &Key) -> Option<String> {
        self.live().get_mut(key)?.notice.take()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Problem::Failed)?;
    Ok(done?)
}

fn key_of(token: &str) -> Key {
    Digest::of(token.as_bytes())
}

fn place(key: &Key) -> String {
    format!("{KIND}{key}")
}

fn key_at(place: &[u8]) -> Option<Key> {
    str::from_utf8(place).ok()?.strip_prefix(KIND)?.parse().ok()
}
