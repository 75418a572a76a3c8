//! What truly happens in the model's small world, kept apart from every message about it.
//!
//! One holder (a substance misuse service) with a record of one person. Two other agencies rate: the police, always
//! honest, and a domestic abuse service, honest or in the hub's hands. Two people, two enquiries, two versions of the
//! agreement, four moments four days apart: long enough that a Red is fresh at the next moment and stale after that.

use brag_common::time::SignedDuration;

/// From one moment to the next. A Red lasts seven days.
pub const STEP: SignedDuration = SignedDuration::from_hours(96);

/// The last moment; by then version one of the agreement has ended, and the holder has left version two.
pub const LAST: u8 = 3;

/// Versions of the agreement. One: a single Red opens. Two: it takes two agencies, or social care's section 47.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Version {
    One,
    Two,
}

/// Something that an agency truly does, with its own key, in good faith. Each happens at most once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// The police rate the subject Red.
    Red,
    /// Later they rate the subject Green.
    ReRate,
    /// They withdraw the Red: it rested on somebody else's record.
    Withdraw,
    /// The police rate the same person Red in another enquiry.
    RedElsewhere,
    /// The hub tells the police that the subject is somebody else, and they rate that person Red.
    RedOfAnother,
    /// The police rate the second person Red.
    RedOfSecond,
    /// The police sign that the second person poses risk to the subject.
    Link,
    /// The hub tells the police that the second person is somebody else; they sign that link.
    LinkOfAnother,
    /// The domestic abuse service rates the subject Red from its own record.
    SecondRed,
    /// It rates the subject Red from its record of the second person.
    RedVia,
}

impl Act {
    pub const ALL: [Self; 10] = [
        Self::Red,
        Self::ReRate,
        Self::Withdraw,
        Self::RedElsewhere,
        Self::RedOfAnother,
        Self::RedOfSecond,
        Self::Link,
        Self::LinkOfAnother,
        Self::SecondRed,
        Self::RedVia,
    ];

    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// When and under which version an act was done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Done {
    pub at: u8,
    pub under: Version,
}

/// Everything that was truly done so far: for each act 0, or when and under which version, packed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct World([u8; 10]);

impl World {
    pub const NOTHING: Self = Self([0; 10]);

    pub fn done(&self, act: Act) -> Option<Done> {
        let packed = self.0[act as usize].checked_sub(1)?;
        let under = if packed % 2 == 0 { Version::One } else { Version::Two };
        Some(Done { at: packed / 2, under })
    }

    pub fn count(&self) -> usize {
        self.0.iter().filter(|packed| **packed != 0).count()
    }

    pub fn acts(&self) -> impl Iterator<Item = Act> {
        Act::ALL.into_iter().filter(|act| self.done(*act).is_some())
    }

    /// Whether an act can happen: once, in its order, and the domestic abuse service rates in one way only.
    pub fn allows(&self, act: Act) -> bool {
        let needed = match act {
            Act::ReRate | Act::Withdraw => self.done(Act::Red).is_some(),
            Act::SecondRed => self.done(Act::RedVia).is_none(),
            Act::RedVia => self.done(Act::SecondRed).is_none(),
            _ => true,
        };
        needed && self.done(act).is_none()
    }

    #[must_use]
    pub fn with(mut self, act: Act, done: Done) -> Self {
        self.0[act as usize] = 1 + done.at * 2 + done.under as u8;
        self
    }

    /// Whether the evidence that the agreement demands for the subject truly exists: of this person, in this
    /// enquiry, under this version, at this moment. `told` are the acts whose statements the holder has been shown,
    /// because nobody can know of a change that was kept from them. `word_of_service`: the domestic abuse service
    /// is in the hub's hands, so its word is the hub's; what it says counts as said, and never as anybody else's.
    pub fn demanded(&self, under: Version, now: u8, told: u32, word_of_service: bool) -> bool {
        let counts = |act: Act| {
            let lasts = |done: Done| done.under == under && STEP * i32::from(now - done.at) <= RED;
            self.done(act).is_some_and(lasts)
        };
        let signed = |act: Act| self.done(act).is_some_and(|done| done.under == under);
        let told_of = |act: Act| signed(act) && told & act.bit() != 0;
        let police = counts(Act::Red) && !told_of(Act::ReRate) && !told_of(Act::Withdraw);
        let linked = signed(Act::Link);
        let service = word_of_service || counts(Act::SecondRed) || (counts(Act::RedVia) && linked);
        let beside = linked && counts(Act::RedOfSecond);
        match under {
            Version::One => police || service || beside,
            Version::Two => (police && service) || ((police || service) && beside),
        }
    }
}

/// How long a Red counts, as the sample agreement has it.
const RED: SignedDuration = SignedDuration::from_hours(7 * 24);
