//! What a hub that has turned bad can send: any statement it ever saw, in any order and as often as it likes, and
//! statements of its own making, in a request that lies about anything else.
//!
//! Dropping and re-ordering need no action of their own: the hub sends any choice of what exists, at any moment.

use super::world::{Act, Version, World};

/// Who a statement says has made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signer {
    /// A party.
    Police,
    /// A party.
    Service,
    /// A party that has left; its key was never destroyed.
    Left,
    /// No party at all, with a key of its own.
    Stranger,
}

/// Somebody whom a statement names: the reference, and whether the commitment beside it is the true one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    Subject { true_one: bool },
    Second { true_one: bool },
}

/// What a statement says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    /// A colour for the subject or the second person, judged so many hours after the start.
    Rating { of_subject: bool, red: bool, via_second: bool, hour: i32 },
    /// The second person poses risk to the subject.
    Link,
    /// The act's rating no longer counts.
    Withdrawal { of: Act },
    /// Section 47 for the subject.
    Section47,
    /// That the subject's part is unclear.
    NothingOfUse,
}

/// A statement as the holder sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    pub kind: Kind,
    pub signer: Signer,
    /// Whether the named signer's own key has signed it.
    pub truly_signed: bool,
    pub under: Version,
    pub in_enquiry: bool,
    pub names: [Option<Named>; 2],
    pub says: Says,
}

/// Every statement there can be. Bits 0 to 9 are the acts of [`World`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Of(Act),
    /// The police's Red, signed by the hub.
    ForgedRed,
    /// A Red of the party that has left.
    RedOfLeft,
    /// A link of the party that has left.
    LinkOfLeft,
    /// A link of somebody who is no party, well signed with their own key.
    LinkOfStranger,
    /// A Red of the service in the hub's hands.
    BoughtRed,
    /// The same, dated four days ahead so that it would last longer.
    RedAhead,
    /// Section 47, which is for social care alone to state.
    BoughtSection47,
    /// The service withdraws what is not its own: the police's Green.
    WithdrawsAnothers,
    /// The service says something under the name of the police's Green.
    NamedAsAnothers,
}

impl Kind {
    const FORGED: [Self; 4] =
        [Self::ForgedRed, Self::RedOfLeft, Self::LinkOfLeft, Self::LinkOfStranger];
    const BOUGHT: [Self; 5] = [
        Self::BoughtRed,
        Self::RedAhead,
        Self::BoughtSection47,
        Self::WithdrawsAnothers,
        Self::NamedAsAnothers,
    ];

    /// Bits of everything that exists only when the service is in the hub's hands.
    pub const ANY_BOUGHT: u32 = 0b1_1111 << 14;

    pub const fn bit(self) -> u32 {
        match self {
            Self::Of(act) => act.bit(),
            Self::ForgedRed => 1 << 10,
            Self::RedOfLeft => 1 << 11,
            Self::LinkOfLeft => 1 << 12,
            Self::LinkOfStranger => 1 << 13,
            Self::BoughtRed => 1 << 14,
            Self::RedAhead => 1 << 15,
            Self::BoughtSection47 => 1 << 16,
            Self::WithdrawsAnothers => 1 << 17,
            Self::NamedAsAnothers => 1 << 18,
        }
    }

    /// Those of a set of bits.
    pub fn of_bits(bits: u32) -> impl Iterator<Item = Self> {
        let acts = Act::ALL.into_iter().map(Self::Of);
        acts.chain(Self::FORGED).chain(Self::BOUGHT).filter(move |kind| bits & kind.bit() != 0)
    }

    /// What exists to be sent.
    pub fn available(world: &World, bought: bool) -> impl Iterator<Item = Self> {
        let bought = if bought { &Self::BOUGHT[..] } else { &[] };
        world.acts().map(Self::Of).chain(Self::FORGED).chain(bought.iter().copied())
    }

    /// Whether somebody lies with it: it is no party's own statement of these people in this enquiry.
    pub const fn is_forged(self) -> bool {
        matches!(
            self,
            Self::ForgedRed
                | Self::LinkOfStranger
                | Self::Of(Act::RedElsewhere | Act::RedOfAnother | Act::LinkOfAnother)
        )
    }

    /// The statement, sent at the moment `now` when version `under` is the holder's.
    pub fn piece(self, world: &World, under: Version, now: u8) -> Piece {
        let subject = Named::Subject { true_one: true };
        let second = Named::Second { true_one: true };
        let hour = |at: u8| i32::from(at) * 96;
        let red = |hour| Says::Rating { of_subject: true, red: true, via_second: false, hour };
        let done = |act| world.done(act).expect("only what was done is sent");
        let sent = Piece {
            kind: self,
            signer: Signer::Police,
            truly_signed: true,
            under,
            in_enquiry: true,
            names: [Some(subject), None],
            says: red(hour(now)),
        };
        let act = match self {
            Self::ForgedRed => return Piece { truly_signed: false, ..sent },
            Self::RedOfLeft => return Piece { signer: Signer::Left, ..sent },
            Self::LinkOfLeft | Self::LinkOfStranger => {
                let left = self == Self::LinkOfLeft;
                let signer = if left { Signer::Left } else { Signer::Stranger };
                let names = [Some(second), Some(subject)];
                return Piece { signer, names, says: Says::Link, ..sent };
            }
            Self::BoughtRed => return Piece { signer: Signer::Service, ..sent },
            Self::RedAhead => {
                return Piece { signer: Signer::Service, says: red(hour(now) + 96), ..sent };
            }
            Self::BoughtSection47 => {
                return Piece { signer: Signer::Service, says: Says::Section47, ..sent };
            }
            Self::WithdrawsAnothers => {
                let says = Says::Withdrawal { of: Act::ReRate };
                return Piece { signer: Signer::Service, says, ..sent };
            }
            Self::NamedAsAnothers => {
                return Piece { signer: Signer::Service, says: Says::NothingOfUse, ..sent };
            }
            Self::Of(act) => act,
        };
        let at = done(act);
        let truly = Piece { under: at.under, says: red(hour(at.at)), ..sent };
        match act {
            Act::Red => truly,
            Act::ReRate => {
                let hour = hour(at.at) + 1;
                let says = Says::Rating { of_subject: true, red: false, via_second: false, hour };
                Piece { says, ..truly }
            }
            Act::Withdraw => Piece { says: Says::Withdrawal { of: Act::Red }, ..truly },
            Act::RedElsewhere => Piece { in_enquiry: false, ..truly },
            Act::RedOfAnother => {
                Piece { names: [Some(Named::Subject { true_one: false }), None], ..truly }
            }
            Act::RedOfSecond => {
                let hour = hour(at.at);
                let says = Says::Rating { of_subject: false, red: true, via_second: false, hour };
                Piece { names: [Some(second), None], says, ..truly }
            }
            Act::Link => Piece { names: [Some(second), Some(subject)], says: Says::Link, ..truly },
            Act::LinkOfAnother => {
                let names = [Some(Named::Second { true_one: false }), Some(subject)];
                Piece { names, says: Says::Link, ..truly }
            }
            Act::SecondRed => Piece { signer: Signer::Service, ..truly },
            Act::RedVia => {
                let hour = hour(at.at);
                let says = Says::Rating { of_subject: true, red: true, via_second: true, hour };
                let names = [Some(subject), Some(second)];
                Piece { signer: Signer::Service, names, says, ..truly }
            }
        }
    }
}

/// What else is not as it should be about a request; at most one thing at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Lie {
    /// Nothing.
    None,
    /// The subject is said to be somebody else than the holder was told.
    SubjectSwapped,
    /// The second person is said to be somebody else.
    SecondSwapped,
    /// It is made under the other version of the agreement.
    OtherAgreement,
    /// It was made four days ago.
    Late,
    /// It says it is valid for four days.
    TooLong,
    /// Its id was used before.
    Replayed,
    /// For somebody who is no party.
    ToStranger,
    /// For a party that has left.
    ToLeft,
    /// For a kind of party that never receives this category.
    ToUnlisted,
    /// For a party that has nothing to do with the enquiry.
    ToUninvolved,
    /// For a purpose outside the agreement.
    OtherPurpose,
    /// Without a lawful basis.
    NoBasis,
    /// For a category that is never carried.
    NeverCarried,
    /// For one that the holder has restricted.
    Restricted,
    /// For one that no gate here opens.
    Unopened,
    /// For one that a person has to review.
    Reviewed,
    /// About the second person, whom the holder may or may not know.
    AboutSecond,
    /// Sent while the holder can not write its log; the hub filled its disk.
    LogFull,
}

impl Lie {
    pub const ALL: [Self; 19] = [
        Self::None,
        Self::SubjectSwapped,
        Self::SecondSwapped,
        Self::OtherAgreement,
        Self::Late,
        Self::TooLong,
        Self::Replayed,
        Self::ToStranger,
        Self::ToLeft,
        Self::ToUnlisted,
        Self::ToUninvolved,
        Self::OtherPurpose,
        Self::NoBasis,
        Self::NeverCarried,
        Self::Restricted,
        Self::Unopened,
        Self::Reviewed,
        Self::AboutSecond,
        Self::LogFull,
    ];

    /// Whether a request that lies so may be released at all, given the evidence.
    pub const fn may_release(self) -> bool {
        matches!(self, Self::None | Self::SubjectSwapped | Self::SecondSwapped)
    }

    /// Whether a request that lies so must not even be decided.
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Late | Self::TooLong | Self::Replayed)
    }
}

/// A request for detail with a pile of statements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ask {
    pub lie: Lie,
    /// Bits of [`Kind`].
    pub pile: u32,
}

/// The most statements in one request of the model.
const PILE: u32 = 3;

/// Every request that can be sent: piles of at most three statements; a request that lies about something else
/// carries what agencies have truly signed.
pub fn each_request(world: &World, bought: bool, used: bool, now: u8, mut send: impl FnMut(Ask)) {
    let all: u32 = Kind::available(world, bought).map(Kind::bit).sum();
    let own: u32 = world.acts().map(Act::bit).sum();
    let own = if bought { own | Kind::BoughtRed.bit() } else { own };
    for lie in Lie::ALL {
        let possible = match lie {
            Lie::Late => now > 0,
            Lie::Replayed => used,
            _ => true,
        };
        if !possible {
            continue;
        }
        let from = if lie == Lie::None { all } else { own };
        // Every choice of its bits.
        let mut pile = from;
        loop {
            if pile.count_ones() <= PILE {
                send(Ask { lie, pile });
            }
            if pile == 0 {
                break;
            }
            pile = (pile - 1) & from;
        }
    }
}
