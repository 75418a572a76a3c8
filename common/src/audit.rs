//! The audit log: what was asked, answered, refused or left unanswered, durable before anything
//! leaves.
//!
//! It is not a log for operators (that is `tracing`, which may be dropped or filtered), and it holds
//! no personal data: an entry is made of references only (see [`entry`]).
//!
//! INVARIANTS
//! - [`Recorded`] exists only for an entry that has been written *and* synced.
//! - Writes are signed, entries numbered without gaps and chained; nothing already acknowledged is ever
//!   cut or rewritten by the program. A write of several entries is in the log whole or not at all.
//! - After an error of write or sync nothing is acknowledged until the disk has been read again.
//!
//! Reading order: [`entry`] is what is said, [`frame`] its bytes in a file, [`chain`] what makes a
//! list of frames a log, [`storage`] the disk, [`log`] the writer, [`verify`] the check that needs no
//! running program, [`backwards`] the reading from its end, [`reconcile`] the comparison of both sides of every exchange, [`export`] the log as a table,
//! [`command`] the words for them on the command line.
//!
//! [`restored`] is what is said of a log that was put back from a backup.
//!
//! [`checkpoints`] are what the log has signed of itself and others have seen; [`shard`] is how a log that can not go on is followed
//! by another.
//!
//! What the segments alone do not show: entries cut from the very end, at the border of a frame, leave a shorter log that is in order, and who
//! has the key can write another. Checkpoints that somebody else has cosigned show both ([`verify::witnessed`]), and so does
//! comparing both sides of every exchange.

pub mod backwards;
pub mod chain;
pub mod checkpoints;
pub mod command;
pub mod entry;
pub mod export;
pub mod frame;
pub mod log;
pub mod reconcile;
mod recover;
pub mod restored;
#[cfg(feature = "test-util")]
pub mod rewrite;
mod segment;
pub mod shard;
pub mod storage;
pub mod tail;
pub mod verify;
mod writer;

#[cfg(test)]
mod crash;
#[cfg(test)]
pub(crate) mod fixtures;

pub use chain::{Origin, What};
pub use entry::{
    Action, Actor, AgreementStamp, Digest, Entry, EntryDraft, InvalidWord, Party, Word,
};
pub use log::{
    AuditLog, LogError, LogOptions, LogShard, NotedEntry, OpenLogError, Recordable, Recorded,
    also_noting, noting,
};
#[cfg(any(test, feature = "test-util"))]
pub use storage::FaultSwitch;
pub use verify::{Fault, Summary, VerifyError, entries, verify_dir, verify_every_signature};
