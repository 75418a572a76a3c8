//! Who may call, and whether the call is alive. Every handler starts here.

use brag_common::{
    agreement::Mismatch,
    audit::LogError,
    durable::StoreError,
    enquiry::Envelope,
    peer::VerifiedPeer,
    replay::NotAdmitted,
    staff::{self, NotAllowed, Role as _},
    status::PeerFacing,
    wire::WireError,
};

use crate::{config::Role, node::Shared};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The caller is not the hub.
    #[error("only the hub may make this call")]
    NotTheHub,
    /// The caller is not a member of this agency's staff.
    #[error("this call is for the staff of this agency; ask its operator to be listed")]
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
    /// This agency has withdrawn from the agreement.
    #[error("this agency has withdrawn from the agreement")]
    PartyWithdrawn,
    /// Stale or repeated.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Not well-formed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The audit log can not be written.
    #[error("the audit log can not be written, so nothing may leave; try again later")]
    Log(#[from] LogError),
    /// The store failed.
    #[error("the store failed; the operator has been told")]
    Store(#[from] StoreError),
    /// A rule of the agreement or of the trade says no.
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
    /// Something that can not fail did, for example the machine's randomness.
    #[error("the node could not do this; the operator has been told")]
    Internal,
}

impl PeerFacing for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotTheHub => "not_the_hub",
            Self::NotStaff => "not_staff",
            Self::RoleMissing(_) => "role_missing",
            Self::AnotherAgreement(_) => "agreement_version_mismatch",
            Self::AgreementExpired => "agreement_expired",
            Self::PartyWithdrawn => "party_withdrawn",
            Self::NotAdmitted(error) => error.code(),
            Self::Wire(error) => error.code(),
            Self::Log(_) => "log_unavailable",
            Self::Store(_) => "store_failed",
            Self::Rule { code, .. } => code,
            Self::NotFound(_) => "not_found",
            Self::Internal => "internal",
        }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        match self {
            Self::NotTheHub | Self::NotStaff | Self::RoleMissing(_) => {
                tonic::Code::PermissionDenied
            }
            Self::AnotherAgreement(_)
            | Self::AgreementExpired
            | Self::PartyWithdrawn
            | Self::Rule { .. } => tonic::Code::FailedPrecondition,
            Self::NotAdmitted(error) => error.grpc(),
            Self::Wire(error) => error.grpc(),
            Self::Log(_) => tonic::Code::Unavailable,
            Self::Store(_) | Self::Internal => tonic::Code::Internal,
            Self::NotFound(_) => tonic::Code::NotFound,
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
    /// The caller is the hub that the agreement names.
    ///
    /// # Errors
    /// When it is anybody else.
    pub fn hub(&self, peer: &VerifiedPeer) -> Result<(), Refusal> {
        let named = self.agreement.agreement().hub().map(|keys| keys.tls.as_str());
        if peer.name().is_hub() && named == Some(peer.name().to_string().as_str()) {
            self.running.hub_called(self.clock.now());
            Ok(())
        } else {
            Err(Refusal::NotTheHub)
        }
    }

    /// The caller is a member of staff with `role`.
    ///
    /// # Errors
    /// When they are not listed, or do not have the role.
    pub fn staff(&self, peer: &VerifiedPeer, role: Role) -> Result<SignedIn, Refusal> {
        Ok(SignedIn::check(&self.config.staff, peer, role)?)
    }

    /// The caller is an approver or, where they are none, a deputy.
    ///
    /// # Errors
    /// When they are not listed, or are neither.
    pub fn reviewer(&self, peer: &VerifiedPeer) -> Result<SignedIn, Refusal> {
        let as_approver = self.staff(peer, Role::Approver);
        as_approver.or_else(|why| self.staff(peer, Role::Deputy).map_err(|_| why))
    }

    /// The request is alive and was not made before.
    ///
    /// # Errors
    /// When it is stale or repeated.
    pub fn admit(&self, envelope: &Envelope) -> Result<(), Refusal> {
        Ok(self.replay.admit(envelope, self.clock.now())?)
    }

    /// The agreement is in force, this agency is a party to it, and the caller works under the same one.
    ///
    /// # Errors
    /// When one of these is not so.
    pub fn under_agreement(&self, envelope: &Envelope) -> Result<(), Refusal> {
        if envelope.agreement != self.agreement.digest() {
            let mismatch = self.agreement.mismatch(envelope.agreement);
            // For this side's operator; the hub has it in the refusal.
            tracing::warn!(%mismatch, "the hub works under another version");
            return Err(Refusal::AnotherAgreement(Box::new(mismatch)));
        }
        self.in_force()
    }

    /// The agreement is in force and this agency is a party to it.
    ///
    /// # Errors
    /// When one of these is not so.
    pub fn in_force(&self) -> Result<(), Refusal> {
        let now = self.clock.now();
        let agreement = self.agreement.agreement();
        if !agreement.in_force(now) {
            return Err(Refusal::AgreementExpired);
        }
        let party = agreement.party(&self.config.agency);
        if party.is_some_and(|party| party.in_force(now)) {
            Ok(())
        } else {
            Err(Refusal::PartyWithdrawn)
        }
    }
}
