//! The people who use a program: who they are comes from their certificate, what they may do from the program's
//! configuration, never from the request.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    audit::entry::{EntryDraft, Word},
    id::StaffName,
    peer::VerifiedPeer,
};

/// What a member of staff may do at one kind of program.
pub trait Role: Copy + Ord + fmt::Debug + DeserializeOwned {
    /// The word for the role, as in the configuration and the log.
    fn word(self) -> &'static str;
}

/// One member of staff.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, bound = "R: Role, L: DeserializeOwned")]
pub struct Staff<R, L> {
    /// As in their certificate.
    pub name: StaffName,
    /// What they may do.
    pub roles: BTreeSet<R>,
    /// People they are linked to outside of work, in the program's own terms: they do not work on enquiries about them.
    #[serde(default = "Vec::new")]
    pub linked_to: Vec<L>,
}

/// The roles of one member of staff, each once; empty: they are none.
#[must_use]
pub fn roles_of<R: Role, L>(staff: &[Staff<R, L>], name: &StaffName) -> BTreeSet<R> {
    let listed = staff.iter().filter(|listed| listed.name == *name);
    listed.flat_map(|listed| listed.roles.iter().copied()).collect()
}

/// Why somebody may not make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAllowed<R> {
    /// Not a person, or not one of the program's staff.
    NotStaff,
    /// Without the role.
    RoleMissing(R),
}

/// A member of staff who has signed in with a certificate and has the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn<R> {
    name: StaffName,
    role: R,
}

impl<R: Role> SignedIn<R> {
    /// Signs in a caller for `role`.
    ///
    /// # Errors
    /// When they are not listed in `staff`, or do not have the role.
    pub fn check<L>(
        staff: &[Staff<R, L>],
        peer: &VerifiedPeer,
        role: R,
    ) -> Result<Self, NotAllowed<R>> {
        let name = peer.name().person().ok_or(NotAllowed::NotStaff)?;
        let roles = roles_of(staff, name);
        if roles.is_empty() {
            return Err(NotAllowed::NotStaff);
        }
        if !roles.contains(&role) {
            return Err(NotAllowed::RoleMissing(role));
        }
        Ok(Self { name: name.clone(), role })
    }

    /// Who.
    #[must_use]
    pub const fn name(&self) -> &StaffName {
        &self.name
    }

    /// In which role.
    #[must_use]
    pub const fn role(&self) -> R {
        self.role
    }

    /// An entry as an act of this person.
    #[must_use]
    pub fn signs(&self, draft: EntryDraft) -> EntryDraft {
        match self.role.word().parse::<Word>() {
            Ok(role) => draft.by(self.name.clone(), role),
            Err(_) => draft,
        }
    }
}
