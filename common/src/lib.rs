//! What hub and agency nodes share.
//!
//! Layers, in reading order; each may use only those above it:
//!
//! 1. words: [`id`], [`time`], [`rating`], [`reason`], [`secret`], [`keys`]
//! 2. who asks, about whom: [`peer`], [`matching`]
//! 3. policy: [`agreement`] and the decision
//! 4. evidence: [`tlog`], [`audit`], [`durable`], [`witness`]
//! 5. shell: [`status`], [`config`], [`keyfile`], [`telemetry`], [`tls`], [`serve`], [`standing`], [`admin`], [`console`]
//! 5. shell: [`status`], [`config`], [`keyfile`], [`telemetry`], [`tls`], [`serve`], [`admin`], [`console`], [`backup`]
//! 5. shell: [`status`], [`config`], [`keyfile`], [`telemetry`], [`tls`], [`certificate`], [`serve`], [`admin`], [`console`],
//!    [`doctor`]
//! 5. shell: [`status`], [`config`], [`keyfile`], [`telemetry`], [`tls`], [`fetch`], [`serve`], [`admin`], [`console`]

pub mod admin;
pub mod agreement;
pub mod alert;
pub mod audit;
pub mod backup;
pub mod certificate;
pub mod config;
pub mod console;
pub mod doctor;
pub mod durable;
pub mod enquiry;
pub mod erasure;
pub mod evidence;
pub mod fetch;
pub mod forward;
pub mod id;
pub mod keyfile;
pub mod keys;
pub mod lifecycle;
pub mod lint;
pub mod machine;
pub mod matching;
pub mod news;
pub mod peer;
pub mod profile;
pub mod program;
pub mod rating;
pub mod reason;
pub mod release;
pub mod replay;
pub mod seal;
pub mod secret;
pub mod serve;
pub mod staff;
pub mod standing;
pub mod statement;
pub mod status;
pub mod store_key;
pub mod stored;
mod symmetric;
pub mod telemetry;
mod text_form;
pub mod time;
pub mod tlog;
pub mod tls;
pub mod version_folder;
pub mod versions;
pub mod view;
pub mod wire;
pub mod witness;

#[cfg(feature = "test-util")]
pub mod testing;
