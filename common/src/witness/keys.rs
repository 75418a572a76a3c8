//! With which keys a party signs its log and cosigns those of others: stated by the party, signed with the key that the agreement
//! names for it.
//!
//! The agreement has no log keys, and need not: a log's key changes with each of its shards. What is signed is the trust domain, the
//! party and both keys, so a statement of one party, partnership or purpose is nothing in another.

use signed_note::Verifier as _;

use crate::{
    audit::{Origin, Party},
    keys::{BadSignature, Context, Signature, SigningKey, VerifyingKey},
    peer::TrustDomain,
    tlog::{KeyKind, NoteKey},
};

/// A party's keys around logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    /// Signs the checkpoints of the party's log; named by its origin.
    pub log: NoteKey,
    /// Cosigns checkpoints of other logs.
    pub witness: NoteKey,
    /// By the party's statement key.
    pub signature: Signature,
}

/// Keys that their party has not vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotVouched {
    /// They are not named as this party's keys are.
    #[error("the keys are not named as the keys of this party")]
    OtherParty,
    /// One key for two purposes.
    #[error("log and witness must have keys of their own")]
    OneKey,
    /// The signature is not that of the key in the agreement.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl LogKeys {
    /// States a party's keys.
    #[must_use]
    pub fn sign(
        domain: &TrustDomain,
        party: &Party,
        log: NoteKey,
        witness: NoteKey,
        key: &SigningKey,
    ) -> Self {
        let signature = key.sign(Context::LogKeys, &parts(domain, party, &log, &witness));
        Self { log, witness, signature }
    }

    /// Whether `party` has stated these keys, with `key`, which the agreement names for it.
    ///
    /// # Errors
    /// When it has not, or they are not keys that a party may have.
    pub fn verify(
        &self,
        domain: &TrustDomain,
        party: &Party,
        key: &VerifyingKey,
    ) -> Result<(), NotVouched> {
        let origin: Origin = self.log.key_name().parse().map_err(|_| NotVouched::OtherParty)?;
        let expected = Origin::new(domain.as_str(), party.clone(), origin.shard());
        let named = expected.is_ok_and(|expected| expected == origin)
            && self.witness.key_name() == witness_name(domain, party)
            && (self.log.kind(), self.witness.kind()) == (KeyKind::Log, KeyKind::Witness);
        if !named {
            return Err(NotVouched::OtherParty);
        }
        if self.log.key() == self.witness.key() {
            return Err(NotVouched::OneKey);
        }
        let parts = parts(domain, party, &self.log, &self.witness);
        Ok(key.verify(Context::LogKeys, &parts, &self.signature)?)
    }
}

/// The name of a party's witness key.
#[must_use]
pub fn witness_name(domain: &TrustDomain, party: &Party) -> String {
    format!("{domain}/{party}/witness")
}

/// A party's witness key under its name.
#[must_use]
pub fn witness_key(domain: &TrustDomain, party: &Party, key: VerifyingKey) -> NoteKey {
    NoteKey::named(&witness_name(domain, party), KeyKind::Witness, key)
}

fn parts<'a>(
    domain: &'a TrustDomain,
    party: &'a Party,
    log: &'a NoteKey,
    witness: &'a NoteKey,
) -> [&'a [u8]; 6] {
    let party: &[u8] = match party {
        Party::Hub => b"",
        Party::Agency(id) => id.as_str().as_bytes(),
    };
    [
        domain.as_str().as_bytes(),
        party,
        log.key_name().as_bytes(),
        log.key().as_bytes(),
        witness.name().as_bytes(),
        witness.key().as_bytes(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(SecretBytes::new([seed; 32])).unwrap()
    }

    fn stated(party: &str, log_seed: u8) -> (TrustDomain, Party, LogKeys) {
        let domain: TrustDomain = "exampleshire".parse().unwrap();
        let party: Party = party.parse().unwrap();
        let log = Origin::new("exampleshire", party.clone(), "1")
            .unwrap()
            .key(key(log_seed).verifying_key());
        let witness = witness_key(&domain, &party, key(2).verifying_key());
        let keys = LogKeys::sign(&domain, &party, log, witness, &key(3));
        (domain, party, keys)
    }

    #[test]
    fn keys_of_another_party_partnership_or_signer_are_not_vouched_for() {
        let (domain, party, keys) = stated("CSC", 1);
        let public = key(3).verifying_key();
        assert_eq!(keys.verify(&domain, &party, &public), Ok(()));
        assert_eq!(keys.verify(&domain, &Party::Hub, &public), Err(NotVouched::OtherParty));
        let elsewhere = "othershire".parse().unwrap();
        assert_eq!(keys.verify(&elsewhere, &party, &public), Err(NotVouched::OtherParty));
        let other = key(4).verifying_key();
        assert!(matches!(keys.verify(&domain, &party, &other), Err(NotVouched::Signature(_))));
        let (_, _, of_other) = stated("CSC", 7);
        let swapped = LogKeys { log: of_other.log, ..keys };
        assert!(matches!(swapped.verify(&domain, &party, &public), Err(NotVouched::Signature(_))));
    }

    #[test]
    fn one_key_does_not_sign_the_log_and_cosign_others() {
        let (domain, party, keys) = stated("hub", 2);
        let verified = keys.verify(&domain, &party, &key(3).verifying_key());
        assert_eq!(verified, Err(NotVouched::OneKey));
    }
}
