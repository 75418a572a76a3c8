//! A party's channel for a test that calls in the party's name: its requests show the party's log, as it lies on the disk. The answers'
//! receipts are not looked at.

use std::{
    path::Path,
    task::{Context, Poll},
};

use brag_common::{
    audit::{Origin, Party, entries},
    keyfile,
    peer::TrustDomain,
    program::LOG_SHARD,
    tlog::{Checkpoint, Hash, Tree},
    tls::Channel,
    wire::{pb, witness::behind_request},
    witness::keys::{LogKeys, witness_key},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt as _};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tonic::{body::Body, codegen::StdError};
use tower_service::Service;

/// The channel.
#[derive(Debug, Clone)]
pub struct Shown {
    channel: Channel,
    behind: Bytes,
}

impl Shown {
    /// Calls of the party whose folder this is.
    ///
    /// # Panics
    /// When its log or a key can not be read.
    #[must_use]
    pub fn new(channel: Channel, domain: &TrustDomain, party: &Party, folder: &Path) -> Self {
        Self::showing(channel, witnessing(domain, party, folder))
    }

    /// Calls that show just this.
    #[must_use]
    pub fn showing(channel: Channel, witnessing: pb::Witnessing) -> Self {
        Self { channel, behind: behind_request(witnessing).into() }
    }
}

/// What shows a party's log, to one who need not have seen anything of it.
///
/// # Panics
/// When its log or a key can not be read.
#[must_use]
pub fn witnessing(domain: &TrustDomain, party: &Party, folder: &Path) -> pb::Witnessing {
    let key = |name: &str| keyfile::read_signing_key(&folder.join("keys").join(name)).unwrap();
    let origin = Origin::new(domain.as_str(), party.clone(), LOG_SHARD).unwrap();
    let (log, witness) = (key("log.key"), key("witness.key"));
    let public = origin.key(log.verifying_key());
    let own = witness_key(domain, party, witness.verifying_key());
    let statements = keyfile::read_signing_ring(&folder.join("keys/statements.key")).unwrap();
    let keys = LogKeys::sign(domain, party, public.clone(), own, &statements[0]);
    let mut tree = Tree::new(tempfile::tempfile().unwrap());
    // A party that never ran has none.
    if let Ok(entries) = entries(&folder.join("data/log").join(LOG_SHARD)) {
        for entry in entries.map_while(Result::ok) {
            tree.push(Hash::of_leaf(&entry.encode())).unwrap();
        }
    }
    let checkpoint =
        Checkpoint { origin: origin.as_str().into(), head: tree.reader().unwrap().head() };
    pb::Witnessing {
        keys: Some((&keys).into()),
        checkpoint: checkpoint.sign(&public, &log).unwrap().to_bytes().unwrap(),
        ..pb::Witnessing::default()
    }
}

/// The one frame of a unary body, with more behind its message.
#[must_use]
pub fn with_behind(frame: &[u8], behind: &[u8]) -> Bytes {
    let message = &frame[5..];
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len() + behind.len()).unwrap());
    bytes.put_slice(message);
    bytes.put_slice(behind);
    bytes.freeze()
}

impl Service<Request<Body>> for Shown {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Response<Body>, StdError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let next = self.channel.clone();
        let mut channel = std::mem::replace(&mut self.channel, next);
        let behind = self.behind.clone();
        async move {
            let (head, body) = request.into_parts();
            let frame = body.collect().await.unwrap().to_bytes();
            let body = Body::new(Full::new(with_behind(&frame, &behind)));
            channel.call(Request::from_parts(head, body)).await
        }
        .boxed()
    }
}
