//! What is asked, and the circumstances at the holder's node when it is decided.

use super::{lawful::LawfulBasis, terms::Purpose};
use crate::{
    id::{AgencyId, CategoryCode, PersonRef},
    time::Timestamp,
};

/// A request for one category about one person, for some recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose node decides and, if it may, releases.
    pub holder: AgencyId,
    /// About whom.
    pub person: PersonRef,
    /// What.
    pub category: CategoryCode,
    /// For whom; each gets its own decision, in this order.
    pub recipients: Vec<AgencyId>,
    /// What for; absent when the request names a purpose that does not exist.
    pub purpose: Option<Purpose>,
    /// On what lawful basis.
    pub basis: LawfulBasis,
}

/// Whether the holder has settled who the person is in its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It has.
    Resolved,
    /// It has not.
    Ambiguous,
}

/// What the holder holds of the category about the person, and its own stricter rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Nothing.
    NotHeld,
    /// A record.
    Held {
        /// It is also about somebody else: a person at the holder has to redact it.
        third_party: bool,
        /// The holder has restricted it.
        restricted: bool,
        /// Its handling code forbids sharing.
        handling_code: bool,
        /// Sharing would harm the person more than not sharing.
        more_detrimental: bool,
    },
}

impl Holding {
    /// A record with no rule of its own.
    pub const PLAIN: Self = Self::Held {
        third_party: false,
        restricted: false,
        handling_code: false,
        more_detrimental: false,
    };
}

/// The circumstances at the holder's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// Whether the audit log can be written.
    pub log_available: bool,
    /// Whether the request was made under the agreement this node has.
    pub agreement_matches: bool,
    /// Whether the enquiry is open and accepted.
    pub enquiry_open: bool,
    /// Whether the asking party is within its budget of requests.
    pub within_budget: bool,
    /// Whether the person is settled.
    pub identity: Identity,
    /// What the holder holds.
    pub holding: Holding,
}

impl Moment {
    /// A moment when nothing stands in the way.
    #[must_use]
    pub const fn fair(now: Timestamp) -> Self {
        Self {
            now,
            log_available: true,
            agreement_matches: true,
            enquiry_open: true,
            within_budget: true,
            identity: Identity::Resolved,
            holding: Holding::PLAIN,
        }
    }
}
