//! Signed statements: what one agency says, so that every other can check who said it, about whom, in
//! which enquiry and under which agreement.
//!
//! What the signature proves: the agency named in the payload signed exactly these bytes, for this
//! trust domain, environment and agreement. The payload names the enquiry and the commitment, so a
//! statement about one person or enquiry is never one about another.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    agreement::LinkKind,
    id::{
        AgencyId, AgreementDigest, CategoryCode, Commitment, EnquiryRef, PersonRef, ReleaseRef,
        RequestId, StaffName,
    },
    keys::{BadSignature, Context, SigningKey, VerifyingKey},
    rating::{Colour, Topic},
    reason::Reason,
    time::Timestamp,
};

/// The most bytes of one payload.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024;

/// One person of an enquiry as a statement names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonIn {
    /// Reference within the enquiry.
    pub person: PersonRef,
    /// Commitment to the identity.
    pub commitment: Commitment,
}

/// A rating as signed. The analysis is not in it, only its salted digest: as evidence the colour is enough.
#[derive(Clone, PartialEq, Eq)]
pub struct Rating {
    /// Who is rated.
    pub person: PersonIn,
    /// The colour.
    pub colour: Colour,
    /// Digest of the short analysis, see [`SaltedAnalysis`](crate::rating::SaltedAnalysis).
    pub analysis_digest: [u8; 32],
    /// What it is about.
    pub topics: BTreeSet<Topic>,
    /// When the assessor judged.
    pub rated_at: Timestamp,
    /// The linked person whose record it rests on; `None`: the agency's own record of the person.
    pub via: Option<PersonIn>,
    /// Whether the agency's record shows a person under 18.
    pub subject_is_child: bool,
}

impl fmt::Debug for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rating({} of {})", self.colour, self.person.person)
    }
}

/// The part of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PersonRole {
    /// A victim.
    Victim,
    /// A child.
    Child,
    /// A person posing risk.
    PersonPosingRisk,
    /// Connected in some other way.
    ConnectedPerson,
    /// Looked at, and unclear.
    Unclear,
}

impl PersonRole {
    /// Every role with its word.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Victim, "victim"),
        (Self::Child, "child"),
        (Self::PersonPosingRisk, "person_posing_risk"),
        (Self::ConnectedPerson, "connected_person"),
        (Self::Unclear, "unclear"),
    ];

    /// The word for the role.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, word)| word)
    }

    /// The role with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(role, _)| *role)
    }
}

/// A threshold that only some kinds of agency may state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Threshold {
    /// Children Act 1989 section 47.
    Section47,
    /// The local Marac threshold.
    Marac(MaracGrounds),
    /// Care Act 2014 section 42.
    CareAct42,
}

/// Why the Marac threshold is met; the agreement has the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaracGrounds {
    /// Ticks on the Dash; 0 when not stated.
    pub dash_ticks: u32,
    /// Professional judgement says high risk.
    pub professional_judgement: bool,
    /// Reports in the last twelve months; 0 when not stated.
    pub reports_in_12_months: u32,
    /// The same victim and perpetrator were heard within twelve months.
    pub repeat: bool,
    /// When the meeting is; `None` before it is listed.
    pub meeting_at: Option<Timestamp>,
}

/// A threshold stated for some people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Which threshold.
    pub threshold: Threshold,
    /// Everyone in its scope.
    pub people: Vec<PersonIn>,
}

/// Where a person's own agreement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsentState {
    /// Given.
    Valid,
    /// Asked and refused.
    Refused,
    /// Given and withdrawn.
    Withdrawn,
}

impl ConsentState {
    /// Every state with its word.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Valid, "valid"), (Self::Refused, "refused"), (Self::Withdrawn, "withdrawn")];

    /// The word for the state.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A person's own agreement, as the agency that asked recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Whose.
    pub person: PersonIn,
    /// Where it stands.
    pub state: ConsentState,
    /// Categories it names.
    pub categories: BTreeSet<CategoryCode>,
    /// Recipients it names.
    pub recipients: BTreeSet<AgencyId>,
    /// When it ends of itself.
    pub expires_at: Option<Timestamp>,
    /// Who asked the person; `None`: they were not asked, or came of their own accord.
    pub asked_by: Option<StaffName>,
}

impl Consent {
    /// Whether it is a refusal or withdrawal that takes back an agreement to this category for this recipient: as far as
    /// it names categories and recipients; one that names none takes back everything.
    #[must_use]
    pub fn takes_back(&self, category: CategoryCode, recipient: &AgencyId) -> bool {
        self.state != ConsentState::Valid
            && (self.categories.is_empty() || self.categories.contains(&category))
            && (self.recipients.is_empty() || self.recipients.contains(recipient))
    }
}

/// What a holder decided for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDecision {
    /// The request.
    pub release: ReleaseRef,
    /// The person the detail is about.
    pub person: PersonIn,
    /// The category.
    pub category: CategoryCode,
    /// The recipient.
    pub recipient: AgencyId,
    /// What was decided.
    pub outcome: DecidedOutcome,
}

/// The outcome of a decision, as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedOutcome {
    /// Released.
    Release {
        /// The gate, `g1` to `g6`.
        gate: String,
        /// Obligations.
        obligations: Vec<String>,
        /// When the view ends.
        view_expires_at: Timestamp,
        /// SHA-256 of the sealed detail; `None` before it is sealed.
        sealed_digest: Option<[u8; 32]>,
    },
    /// Waits for people at the holder.
    Review {
        /// The gate.
        gate: String,
        /// Approvals still needed.
        approvals_needed: u32,
        /// Who may act, and until when; `None`: the holder does not say.
        wait: Option<ReviewWait>,
    },
    /// Refused.
    Deny(Reason),
}

/// For whom a review waits, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewWait {
    /// Who may act, by role: never by name.
    pub stage: ReviewStage,
    /// When it ends in a refusal if too few have approved, to the millisecond.
    pub until: Timestamp,
}

/// Who may act on a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewStage {
    /// Approvers.
    Approver,
    /// It was escalated: deputies too.
    DeputyApprover,
}

impl ReviewStage {
    /// The word for whoever was asked last.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approver => "approver",
            Self::DeputyApprover => "deputy_approver",
        }
    }
}

/// Detail that its holder takes back from one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retraction {
    /// The request under which it was released.
    pub release: ReleaseRef,
    /// The person it is about.
    pub person: PersonIn,
    /// The category.
    pub category: CategoryCode,
    /// The recipient.
    pub recipient: AgencyId,
    /// Why.
    pub reason: Reason,
}

/// That a person at the recipient knows of a retraction and has acted on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The retraction's own name.
    pub retraction: RequestId,
    /// The request under which the detail was released.
    pub release: ReleaseRef,
    /// The person it is about.
    pub person: PersonIn,
    /// The agency that took it back.
    pub holder: AgencyId,
}

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A colour and an analysis.
    Rating(Rating),
    /// A relation between two people.
    Link {
        /// The first.
        from: PersonIn,
        /// The second.
        to: PersonIn,
        /// Their relation.
        kind: LinkKind,
    },
    /// The part of a person.
    Role {
        /// Who.
        person: PersonIn,
        /// Their part.
        role: PersonRole,
    },
    /// A threshold.
    Assertion(Assertion),
    /// A person's own agreement.
    Consent(Consent),
    /// An action that the signer has accepted.
    Action {
        /// About whom.
        person: PersonIn,
        /// The action's own name.
        action: RequestId,
    },
    /// A decision on a request for detail.
    Release(ReleaseDecision),
    /// A rating of the signer's own that no longer counts.
    RatingWithdrawn {
        /// Who was rated.
        person: PersonIn,
        /// The rating's own name.
        rating: RequestId,
        /// The signer knows the person and is to rate them anew; otherwise the record was somebody else's.
        still_known: bool,
    },
    /// Another agency's rating, which the signer asks it to look at again.
    RatingChallenged(Challenge),
    /// A rating of the signer's own that stays after a challenge.
    RatingKept(Kept),
    /// Detail that its holder takes back.
    Retraction(Retraction),
    /// That a recipient knows of a retraction.
    Acknowledgement(Acknowledgement),
}

/// A challenge of another agency's rating. It changes nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Who was rated.
    pub person: PersonIn,
    /// Whose rating it is.
    pub of: AgencyId,
    /// Digest of the reason, see [`SaltedAnalysis`](crate::rating::SaltedAnalysis).
    pub reason_digest: [u8; 32],
}

/// A challenge's answer: the rating stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Who was rated.
    pub person: PersonIn,
    /// The challenge's own name.
    pub challenge: RequestId,
    /// The rating's own name.
    pub rating: RequestId,
    /// Digest of the reason, see [`SaltedAnalysis`](crate::rating::SaltedAnalysis).
    pub reason_digest: [u8; 32],
}

impl Body {
    /// A word for the kind of statement.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rating(_) => "rating",
            Self::Link { .. } => "link",
            Self::Role { .. } => "role",
            Self::Assertion(_) => "assertion",
            Self::Consent(_) => "consent",
            Self::Action { .. } => "action",
            Self::Release(_) => "release",
            Self::RatingWithdrawn { .. } => "rating_withdrawn",
            Self::RatingChallenged(_) => "rating_challenged",
            Self::RatingKept(_) => "rating_kept",
            Self::Retraction(_) => "retraction",
            Self::Acknowledgement(_) => "acknowledgement",
        }
    }
}

/// A statement, readable: what [`SignedStatement::verify`] gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The statement's own name.
    pub id: RequestId,
    /// Who says it.
    pub signer: AgencyId,
    /// Under which agreement.
    pub agreement: AgreementDigest,
    /// In which enquiry.
    pub enquiry: EnquiryRef,
    /// When it was signed.
    pub made_at: Timestamp,
    /// Whose act it is; `None` when a program decided by rule.
    pub made_by: Option<StaffName>,
    /// What is stated.
    pub body: Body,
}

/// Where signatures hold: part of what is signed, and known to the verifier from its own agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The partnership's trust domain, as in its TLS names.
    pub trust_domain: String,
    /// The agreement's environment: `test` or `production`.
    pub environment: String,
    /// Digest of the agreement in force.
    pub agreement: AgreementDigest,
}

impl Realm {
    fn parts<'a>(&'a self, payload: &'a [u8]) -> [&'a [u8]; 4] {
        [
            self.trust_domain.as_bytes(),
            self.environment.as_bytes(),
            self.agreement.as_bytes(),
            payload,
        ]
    }
}

/// A statement as it travels and is kept: the bytes that were signed, and the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// Ed25519 signature.
    pub signature: Vec<u8>,
}

impl fmt::Debug for SignedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedStatement({} bytes)", self.payload.len())
    }
}

/// Why a statement is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not a well-formed statement.
    #[error("not a well-formed statement")]
    Malformed,
    /// It was signed under another agreement, or another version.
    #[error("signed under another agreement")]
    OtherAgreement,
    /// It is about another enquiry.
    #[error("signed for another enquiry")]
    OtherEnquiry,
    /// The agency it names is not a party.
    #[error("signed by an agency that is not a party")]
    UnknownSigner,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    BadSignature,
    /// The key has been revoked.
    #[error("signed with a key that has been revoked")]
    RevokedKey,
}

impl From<BadSignature> for Refused {
    fn from(_: BadSignature) -> Self {
        Self::BadSignature
    }
}

impl SignedStatement {
    /// Signs `statement` in `realm`.
    #[must_use]
    pub fn sign(statement: &Statement, realm: &Realm, key: &SigningKey) -> Self {
        let payload = crate::wire::statement::encode(statement);
        let signature = key.sign(Context::Statement, &realm.parts(&payload)).to_vec();
        Self { payload, signature }
    }

    /// Reads the statement without checking who signed it: for display of what one's own store holds.
    ///
    /// # Errors
    /// When it is not well-formed.
    pub fn read_unverified(&self) -> Result<Statement, Refused> {
        crate::wire::statement::decode(&self.payload).map_err(|_| Refused::Malformed)
    }

    /// Verifies the signature by the key that `key_of` gives for the agency the payload names.
    ///
    /// # Errors
    /// When it is malformed, made elsewhere, or not signed by that agency.
    pub fn verify(
        &self,
        realm: &Realm,
        enquiry: &EnquiryRef,
        key_of: impl FnOnce(&AgencyId) -> Option<VerifyingKey>,
    ) -> Result<Statement, Refused> {
        let statement = self.read_unverified()?;
        let key = key_of(&statement.signer).ok_or(Refused::UnknownSigner)?;
        if statement.agreement != realm.agreement {
            // Only a signature that holds in its own realm earns this milder answer.
            let other = Realm { agreement: statement.agreement, ..realm.clone() };
            key.verify(Context::Statement, &other.parts(&self.payload), &self.signature)?;
            return Err(Refused::OtherAgreement);
        }
        key.verify(Context::Statement, &realm.parts(&self.payload), &self.signature)?;
        if statement.enquiry != *enquiry {
            return Err(Refused::OtherEnquiry);
        }
        Ok(statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;

    #[test]
    fn a_review_tells_whom_it_waits_for_and_until_when_or_that_it_does_not_say() {
        let person =
            PersonIn { person: "P1".parse().unwrap(), commitment: Commitment::from_bytes([2; 32]) };
        let until = Timestamp::from_millisecond(1_799_402_400_000).unwrap();
        let waits = |stage| Some(ReviewWait { stage, until });
        for wait in [None, waits(ReviewStage::Approver), waits(ReviewStage::DeputyApprover)] {
            let outcome =
                DecidedOutcome::Review { gate: "g3".to_owned(), approvals_needed: 2, wait };
            let decision = ReleaseDecision {
                release: ReleaseRef::from_random([3; 16]),
                person: person.clone(),
                category: "C35".parse().unwrap(),
                recipient: "CSC".parse().unwrap(),
                outcome,
            };
            let statement = Statement {
                id: RequestId::from_random([1; 16]),
                signer: "SMS".parse().unwrap(),
                agreement: AgreementDigest::from_bytes([1; 32]),
                enquiry: EnquiryRef::from_random([4; 16]),
                made_at: until,
                made_by: None,
                body: Body::Release(decision),
            };
            let payload = crate::wire::statement::encode(&statement);
            assert_eq!(crate::wire::statement::decode(&payload).unwrap(), statement);
        }
    }

    /// The bytes that every signature in the field is over: they must not change by accident.
    #[test]
    fn the_signed_bytes_of_a_rating_are_these() {
        let person = |byte| PersonIn {
            person: "P1".parse().unwrap(),
            commitment: Commitment::from_bytes([byte; 32]),
        };
        let statement = Statement {
            id: "s1".parse().unwrap(),
            signer: "DAS".parse().unwrap(),
            agreement: AgreementDigest::from_bytes([1; 32]),
            enquiry: "e1".parse().unwrap(),
            made_at: Timestamp::from_millisecond(1_000).unwrap(),
            made_by: Some("a.b".parse().unwrap()),
            body: Body::Rating(Rating {
                person: person(2),
                colour: Colour::Red,
                analysis_digest: [3; 32],
                topics: [Topic::Stalking].into(),
                rated_at: Timestamp::from_millisecond(500).unwrap(),
                via: None,
                subject_is_child: true,
            }),
        };
        let payload = crate::wire::statement::encode(&statement);
        let expected = [
            b"\x0a\x02s1".as_slice(), // 1: statement_id
            b"\x12\x03DAS",           // 2: signer
            b"\x1a\x20",              // 3: agreement_digest
            &[1; 32],
            b"\x22\x02e1",                 // 4: enquiry
            b"\x28\xe8\x07",               // 5: made_at_unix_ms
            b"\x32\x03a.b",                // 6: made_by
            b"\x3a\x5b",                   // 7: rating, 91 bytes
            b"\x0a\x26\x0a\x02P1\x12\x20", //   1: person
            &[2; 32],
            b"\x10\x04", //   2: colour red
            b"\x1a\x20", //   3: analysis_digest
            &[3; 32],
            b"\x22\x08stalking", //   4: topics
            b"\x28\xf4\x03",     //   5: rated_at_unix_ms
            b"\x38\x01",         //   7: subject_is_child
        ]
        .concat();
        assert_eq!(payload, expected);
        assert_eq!(crate::wire::statement::decode(&payload).unwrap(), statement);

        let realm = Realm {
            trust_domain: "t".to_owned(),
            environment: "test".to_owned(),
            agreement: AgreementDigest::from_bytes([1; 32]),
        };
        let key = SigningKey::from_seed(SecretBytes::new([4; 32])).unwrap();
        let signed = SignedStatement::sign(&statement, &realm, &key);
        let length = |part: &[u8]| (part.len() as u64).to_be_bytes().to_vec();
        let mut message = b"brag-exchange/v1/statement\0".to_vec();
        for part in [b"t".as_slice(), b"test", &[1; 32], &payload] {
            message.extend(length(part));
            message.extend_from_slice(part);
        }
        assert_eq!(key.verifying_key().verify_note(&message, &signed.signature), Ok(()));
    }
}
