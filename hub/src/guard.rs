//! Who may call, and what a refusal says. Every handler starts here.

use brag_common::{
    agreement::Mismatch,
    audit::LogError,
    durable::StoreError,
    enquiry::Envelope,
    id::{AgencyId, RequestId},
    peer::VerifiedPeer,
    replay::{MAX_VALIDITY, NotAdmitted},
    staff::{self, NotAllowed, Role as _},
    status::PeerFacing,
    wire::WireError,
};

use crate::{config::Role, hub::Shared};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The caller is not an agency of the agreement.
    #[error("only an agency that is a party to the agreement may make this call")]
    NotAParty,
    /// The caller is not a member of the hub's staff.
    #[error("this call is for the hub's staff; ask its operator to be listed")]
    NotStaff,
    /// The caller does not have the role.
    #[error("this call needs the role `{}`", .0.word())]
    RoleMissing(Role),
    /// The caller works under another agreement.
    #[error("{0}")]
    AnotherAgreement(Box<Mismatch>),
    /// The agreement is not in force.
    #[error("AGREEMENT_EXPIRED: the information sharing agreement is not in force today")]
    AgreementExpired,
    /// The agency has withdrawn from the agreement.
    #[error("this agency has withdrawn from the agreement")]
    PartyWithdrawn,
    /// Stale or repeated.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Not well-formed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The audit log can not be written.
    #[error("the audit log can not be written, so nothing may be asked; try again later")]
    Log(#[from] LogError),
    /// The store failed.
    #[error("the store failed; the operator has been told")]
    Store(#[from] StoreError),
    /// A signed statement is not accepted.
    #[error("a signed statement is not accepted: {0}")]
    Statement(&'static str),
    /// A rule says no.
    #[error("{text}")]
    Rule {
        /// Stable code.
        code: &'static str,
        /// What to do.
        text: String,
    },
    /// There is no such thing here.
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    /// The recipient of sealed detail can not be reached; the hub keeps none of it.
    #[error("the recipient's node can not be reached; deliver again later")]
    RecipientUnreachable,
    /// Something that can not fail did, for example the machine's randomness.
    #[error("the hub could not do this; the operator has been told")]
    Internal,
}

impl PeerFacing for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAParty => "not_a_party",
            Self::NotStaff => "not_staff",
            Self::RoleMissing(_) => "role_missing",
            Self::AnotherAgreement(_) => "agreement_version_mismatch",
            Self::AgreementExpired => "agreement_expired",
            Self::PartyWithdrawn => "party_withdrawn",
            Self::NotAdmitted(error) => error.code(),
            Self::Wire(error) => error.code(),
            Self::Log(_) => "log_unavailable",
            Self::Store(_) => "store_failed",
            Self::Statement(_) => "statement_refused",
            Self::Rule { code, .. } => code,
            Self::NotFound(_) => "not_found",
            Self::RecipientUnreachable => "recipient_unreachable",
            Self::Internal => "internal",
        }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        use tonic::Code;
        match self {
            Self::NotAParty | Self::NotStaff | Self::RoleMissing(_) => Code::PermissionDenied,
            Self::AnotherAgreement(_)
            | Self::AgreementExpired
            | Self::PartyWithdrawn
            | Self::Rule { .. } => Code::FailedPrecondition,
            Self::NotAdmitted(error) => error.grpc(),
            Self::Wire(error) => error.grpc(),
            Self::Log(_) | Self::RecipientUnreachable => Code::Unavailable,
            Self::Store(_) | Self::Internal => Code::Internal,
            Self::Statement(_) => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
        }
    }
}

impl Refusal {
    /// A refusal by rule.
    #[must_use]
    pub fn rule(code: &'static str, text: impl Into<String>) -> Self {
        Self::Rule { code, text: text.into() }
    }
}

/// A member of staff who has signed in with a certificate and has a role.
pub type SignedIn = staff::SignedIn<Role>;

impl From<NotAllowed<Role>> for Refusal {
    fn from(why: NotAllowed<Role>) -> Self {
        match why {
            NotAllowed::NotStaff => Self::NotStaff,
            NotAllowed::RoleMissing(role) => Self::RoleMissing(role),
        }
    }
}

impl Shared {
    /// The agency that the caller's certificate names, if it is a party that has not withdrawn.
    ///
    /// # Errors
    /// When it is anybody else.
    pub fn party(&self, peer: &VerifiedPeer) -> Result<AgencyId, Refusal> {
        let name = peer.name();
        let agency = name.agency().ok_or(Refusal::NotAParty)?;
        let party = self.agreement.agreement().party(agency).ok_or(Refusal::NotAParty)?;
        let named = party.keys().is_some_and(|keys| keys.tls.as_str() == name.to_string());
        if !named {
            Err(Refusal::NotAParty)
        } else if party.in_force(self.clock.now()) {
            Ok(agency.clone())
        } else {
            Err(Refusal::PartyWithdrawn)
        }
    }

    /// An agency is a party now. Nothing is asked of one that has withdrawn, and nothing is passed on to it.
    ///
    /// # Errors
    /// When it has withdrawn, or is none.
    pub fn still_party(&self, agency: &AgencyId) -> Result<(), Refusal> {
        match self.agreement.agreement().party(agency) {
            Some(party) if party.in_force(self.clock.now()) => Ok(()),
            Some(_) | None => Err(Refusal::PartyWithdrawn),
        }
    }

    /// The caller is a member of the hub's staff with `role`.
    ///
    /// # Errors
    /// When they are not listed, or do not have the role.
    pub fn staff(&self, peer: &VerifiedPeer, role: Role) -> Result<SignedIn, Refusal> {
        Ok(SignedIn::check(&self.config.staff, peer, role)?)
    }

    /// Admits a request that names no time at which it is dead: once, remembered as long as if it named the latest
    /// that any may name.
    ///
    /// # Errors
    /// When its id was used before, or too many requests are remembered.
    pub fn once(&self, request: &RequestId) -> Result<(), Refusal> {
        let now = self.clock.now();
        let envelope = Envelope {
            request_id: request.clone(),
            agreement: self.agreement.digest(),
            valid_until: now.checked_add(MAX_VALIDITY).map_err(|_| Refusal::Internal)?,
        };
        Ok(self.replay.admit(&envelope, now)?)
    }

    /// The agreement is in force.
    ///
    /// # Errors
    /// When it is not.
    pub fn in_force(&self) -> Result<(), Refusal> {
        if self.agreement.agreement().in_force(self.clock.now()) {
            Ok(())
        } else {
            Err(Refusal::AgreementExpired)
        }
    }
}
