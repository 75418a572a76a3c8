//! Transparency logs as C2SP specifies them: what makes a log that any verifier of that family can check.
//!
//! - [`tree`]: the Merkle tree of RFC 6962 over entries, and its proofs.
//! - [`key`]: verifier keys, log signatures and witness cosignatures (*signed-note*, *tlog-cosignature*).
//! - [`checkpoint`]: signed statements of a log's size and root (*tlog-checkpoint*).
//! - [`policy`]: whose cosignatures make a checkpoint believable (*tlog-policy*).
//! - [`proof`]: receipts that anybody can check (*tlog-proof*).
//! - [`tiles`]: a log as files that any such verifier reads (*tlog-tiles*).
//!
//! This module alone names the crate behind the hashing. It knows nothing of what entries say, of disks that fail,
//! or of who is asked to cosign: that is [`audit`](crate::audit) and [`witness`](crate::witness).
//!
//! What the parts prove together: a proof that checks, against a checkpoint that a policy accepts, shows that the entry stood at its
//! index when the log had that size, and that the quorum's witnesses have seen this one history of the log and no other.

pub mod checkpoint;
pub mod key;
pub mod policy;
pub mod proof;
pub mod tiles;
pub mod tree;

pub use checkpoint::{Checkpoint, CheckpointNote};
pub use key::{KeyKind, NoteKey};
pub use policy::Policy;
pub use proof::Proof;
pub use tree::{Hash, Tree, TreeHead, TreeReader};
