//! The holder's decision as a list of checks, each of which can be taken away.
//!
//! It is written apart from the product, from its rules; [`super::product`] then holds what it decides against what
//! the product's own code decides on the same requests with real signatures.

use brag_common::reason::Reason;

use super::{
    hub::{Ask, Kind, Lie, Named, Piece, Says, Signer},
    world::{Act, LAST, Version, World},
};

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One check that a holder makes. The text of each names the code that makes it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Check { $($(#[$doc])* $name,)* }

        impl Check {
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

checks! {
    /// `SignedStatement::verify`: the named agency's key has signed these bytes.
    Signature,
    /// `SignedStatement::verify`, asked by `Evidence::verify` for the key in the agreement: the signer is a party.
    SignerIsParty,
    /// `Facts::current_ratings` and `Evidence::accept`: the signer has not left.
    SignerInForce,
    /// `SignedStatement::verify`: it was signed under the agreement in force here.
    AgreementOfStatement,
    /// `SignedStatement::verify`: it was signed for this enquiry.
    EnquiryOfStatement,
    /// `Evidence::verify`: the commitment beside the subject's reference is the subject's.
    CommitmentOfSubject,
    /// `Evidence::verify`: so is that of every other person the statement names.
    CommitmentOfOthers,
    /// `case::people_as_opened`: what the node itself was told of a person outranks what the hub says now.
    OwnOpening,
    /// `Facts::current_ratings`: of an agency's ratings of a person only the newest counts.
    NewestCounts,
    /// `Evidence::is_withdrawn`: a rating that its agency has withdrawn proves nothing.
    WithdrawnCountsNot,
    /// `Evidence::verify`, by keeping withdrawals under their signer: nobody withdraws another's rating.
    OwnWithdrawalsOnly,
    /// `Evidence::verify`: a statement's name is its signer's own, and takes no other statement's place.
    OwnNames,
    /// `Case::weigh`: statements that were verified once are kept, so that they can not be left out later.
    StatementsKept,
    /// `gates::View::new`: a rating is not older than the agreement allows.
    Freshness,
    /// `Facts::is_ahead`: nor is it from the future.
    NotAhead,
    /// `gates::View::new`: a rating from knowing somebody else counts beside a signed link only.
    ViaNeedsLink,
    /// `gates::View::assertions`: a threshold counts from those who may state it.
    MayAssert,
    /// `Evaluation::check_evidence`: one forged statement spoils the request.
    ForgerySpoils,
    /// `Evaluation::check_evidence`: so does one made under another agreement.
    OtherAgreementSpoils,
    /// `Evaluation::best_way`: the open gate opens this class.
    GateOpensClass,
    /// `Evaluation::run`: what is to be reviewed waits.
    ReviewFirst,
    /// `Evaluation::check_never`: the category is one that is carried.
    Carried,
    /// `Evaluation::check_holder`: the holder has not restricted the record.
    NotRestricted,
    /// `admission::party_of`: the recipient is a party.
    RecipientIsParty,
    /// `Evaluation::check_agreement`: the recipient has not left.
    RecipientInForce,
    /// `Recipient::admit`: its kind may receive the category.
    RecipientListed,
    /// `Recipient::may_receive`: it is involved.
    RecipientInvolved,
    /// `Evaluation::check_enquiry`: the purpose is one of the agreement's.
    Purpose,
    /// `LawfulBasis::check`: the lawful basis is stated.
    Basis,
    /// `Evaluation::check_identity`: it is settled who the person is in the holder's records.
    IdentitySettled,
    /// `Evaluation::check_agreement`: the agreement has not ended.
    AgreementInForce,
    /// `Evaluation::check_agreement`: the holder has not left it.
    HolderInForce,
    /// `Evaluation::check_agreement`: the request is made under the same version.
    AgreementOfRequest,
    /// `Evaluation::check_log`: what is decided can be recorded.
    LogWritable,
    /// `ReplayGuard::admit`: a request id is used once …
    UsedOnce,
    /// `ReplayGuard::remember`: … also after the node has started again.
    RememberedAfterRestart,
    /// `ReplayGuard::admit`: a request is dead after its time …
    NotExpired,
    /// `ReplayGuard::admit`: … which is short.
    NotTooFarAhead,
}

/// Which checks are made.
#[derive(Clone, Copy, Debug)]
pub struct Checks(u64);

impl Checks {
    pub const ALL: Self = Self((1 << Check::ALL.len()) - 1);

    #[must_use]
    pub const fn without(self, check: Check) -> Self {
        Self(self.0 & !(1 << check as u64))
    }

    /// Whether ids that were used are known again after a restart.
    pub const fn remembers_after_restart(self) -> bool {
        !self.pass(Check::RememberedAfterRestart, false)
    }

    /// Whether the check passes: because the condition holds, or because nobody looks.
    const fn pass(self, check: Check, holds: bool) -> bool {
        holds || self.0 & (1 << check as u64) == 0
    }
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decision {
    Release,
    Review,
    Deny(Reason),
    /// Denied because no gate is open, or none that opens this for this recipient: which, is a matter of words.
    NoWay,
    /// Not decided at all.
    NotAdmitted,
}

/// What a holder knows by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Holder {
    /// The version it works under.
    pub under: Version,
    /// Statements that it keeps, as bits of acts.
    pub kept: u32,
    /// Whether its replay guard holds the ids that were used.
    pub remembers: bool,
}

/// What the holder makes of a request: the decision, and which statements it keeps now.
pub fn decide(lens: &Lens, holder: Holder, ask: Ask) -> (Decision, u32) {
    let checks = lens.checks;
    let alive = checks.pass(Check::NotExpired, ask.lie != Lie::Late)
        && checks.pass(Check::NotTooFarAhead, ask.lie != Lie::TooLong)
        && checks.pass(Check::UsedOnce, ask.lie != Lie::Replayed || !holder.remembers);
    if !alive {
        return (Decision::NotAdmitted, holder.kept);
    }
    let mut believed = (holder.kept | ask.pile) & lens.believed;
    let same_name = believed & Kind::NamedAsAnothers.bit() != 0;
    if !checks.pass(Check::OwnNames, false) {
        // Names are kept apart by signer.
    } else if same_name && holder.kept & Act::ReRate.bit() == 0 {
        believed &= !Act::ReRate.bit();
    }
    let forget = checks.pass(Check::StatementsKept, false);
    let kept = if forget { holder.kept } else { holder.kept | (believed & ACTS) };
    (lens.decide(believed, ask), kept)
}

/// How many statements there can be.
const KINDS: usize = 19;

/// Bits of statements that are acts, and not of the hub's making.
const ACTS: u32 = (1 << Act::ALL.len()) - 1;

/// What a holder makes of each statement there is, under one version at one moment: bits of [`Kind`].
#[derive(Clone, Copy, Debug)]
pub struct Lens {
    checks: Checks,
    under: Version,
    now: u8,
    /// What it is: by its signer, under this agreement, in this enquiry, of these people.
    believed: u32,
    forged: u32,
    other_agreement: u32,
    links: u32,
    section_47: u32,
    /// Ratings of signers in force, by whom and of whom.
    by: [u32; 3],
    of_subject: u32,
    of_second: u32,
    /// Ratings that count by colour and time.
    timely: u32,
    via: u32,
    /// For each rating, those by which the same agency replaced it.
    replaced_by: [u32; KINDS],
    /// For each statement, the rating that it withdraws.
    withdraws: [u32; KINDS],
}

impl Lens {
    /// Looks at everything that can be sent. Whom the request swaps decides what a commitment is held against.
    pub fn new(
        checks: Checks,
        under: Version,
        world: &World,
        now: u8,
        bought: bool,
        lie: Lie,
    ) -> Self {
        let mut lens = Self {
            checks,
            under,
            now,
            believed: 0,
            forged: 0,
            other_agreement: 0,
            links: 0,
            section_47: 0,
            by: [0; 3],
            of_subject: 0,
            of_second: 0,
            timely: 0,
            via: 0,
            replaced_by: [0; KINDS],
            withdraws: [0; KINDS],
        };
        let pieces: Vec<Piece> =
            Kind::available(world, bought).map(|kind| kind.piece(world, under, now)).collect();
        for piece in &pieces {
            let bit = piece.kind.bit();
            match lens.believes(piece, lie) {
                Ok(()) => lens.believed |= bit,
                Err(Reason::AgreementVersionMismatch) => lens.other_agreement |= bit,
                Err(_) => lens.forged |= bit,
            }
            lens.read(piece, &pieces);
        }
        lens
    }

    fn believes(&self, piece: &Piece, lie: Lie) -> Result<(), Reason> {
        let pass = |check, holds| {
            if self.checks.pass(check, holds) { Ok(()) } else { Err(Reason::EvidenceUnsigned) }
        };
        pass(Check::SignerIsParty, piece.signer != Signer::Stranger)?;
        pass(Check::Signature, piece.truly_signed)?;
        if !self.checks.pass(Check::AgreementOfStatement, piece.under == self.under) {
            return Err(Reason::AgreementVersionMismatch);
        }
        pass(Check::EnquiryOfStatement, piece.in_enquiry)?;
        for named in piece.names.into_iter().flatten() {
            match named {
                Named::Subject { true_one } => {
                    let by_hub = self.checks.pass(Check::OwnOpening, false);
                    let expected = !(by_hub && lie == Lie::SubjectSwapped);
                    pass(Check::CommitmentOfSubject, true_one == expected)?;
                }
                Named::Second { true_one } => {
                    let expected = lie != Lie::SecondSwapped;
                    pass(Check::CommitmentOfOthers, true_one == expected)?;
                }
            }
        }
        Ok(())
    }

    /// What a statement would say if it were believed.
    fn read(&mut self, piece: &Piece, all: &[Piece]) {
        let (bit, checks) = (piece.kind.bit(), self.checks);
        let in_force = checks.pass(Check::SignerInForce, piece.signer != Signer::Left);
        match piece.says {
            Says::NothingOfUse => {}
            Says::Link => self.links |= if in_force { bit } else { 0 },
            Says::Section47 => {
                self.section_47 |= if checks.pass(Check::MayAssert, false) { bit } else { 0 };
            }
            Says::Withdrawal { of } => {
                let own = all
                    .iter()
                    .any(|rating| rating.kind == Kind::Of(of) && rating.signer == piece.signer);
                if checks.pass(Check::OwnWithdrawalsOnly, own) {
                    self.withdraws[bit.trailing_zeros() as usize] = of.bit();
                }
            }
            Says::Rating { of_subject, red, via_second, hour } => {
                if !in_force {
                    return;
                }
                let whom = if of_subject { &mut self.of_subject } else { &mut self.of_second };
                *whom |= bit;
                let by = match piece.signer {
                    Signer::Police => 0,
                    Signer::Service => 1,
                    Signer::Left | Signer::Stranger => 2,
                };
                self.by[by] |= bit;
                let now = i32::from(self.now) * 96 + 2;
                let timely = checks.pass(Check::Freshness, now - hour <= 7 * 24)
                    && checks.pass(Check::NotAhead, hour <= now);
                self.timely |= if red && timely { bit } else { 0 };
                self.via |= if via_second { bit } else { 0 };
                let newer = all.iter().filter(|other| match other.says {
                    Says::Rating { of_subject: of, hour: at, .. } => {
                        other.signer == piece.signer && of == of_subject && at > hour
                    }
                    _ => false,
                });
                self.replaced_by[bit.trailing_zeros() as usize] =
                    newer.map(|other| other.kind.bit()).sum();
            }
        }
    }

    fn decide(&self, believed: u32, ask: Ask) -> Decision {
        let (checks, lie) = (self.checks, ask.lie);
        let over = self.now == LAST;
        let before_the_gate = [
            (Check::LogWritable, lie != Lie::LogFull, Reason::LogUnavailable),
            (
                Check::AgreementInForce,
                !(over && self.under == Version::One),
                Reason::AgreementExpired,
            ),
            (
                Check::AgreementOfRequest,
                lie != Lie::OtherAgreement,
                Reason::AgreementVersionMismatch,
            ),
            (Check::HolderInForce, !(over && self.under == Version::Two), Reason::PartyWithdrawn),
            (Check::RecipientInForce, lie != Lie::ToLeft, Reason::PartyWithdrawn),
            (Check::Purpose, lie != Lie::OtherPurpose, Reason::PurposeNotPermitted),
            (Check::IdentitySettled, lie != Lie::AboutSecond, Reason::IdentityAmbiguous),
            (Check::Carried, lie != Lie::NeverCarried, Reason::CategoryNever),
            (Check::RecipientIsParty, lie != Lie::ToStranger, Reason::RecipientNotParty),
            (Check::RecipientListed, lie != Lie::ToUnlisted, Reason::RecipientCategoryNotPermitted),
            (Check::Basis, lie != Lie::NoBasis, Reason::LawfulBasisIncomplete),
            (Check::ForgerySpoils, ask.pile & self.forged == 0, Reason::EvidenceUnsigned),
            (
                Check::OtherAgreementSpoils,
                ask.pile & self.other_agreement == 0,
                Reason::AgreementVersionMismatch,
            ),
        ];
        for (check, holds, reason) in before_the_gate {
            if !checks.pass(check, holds) {
                return Decision::Deny(reason);
            }
        }
        if !self.has_way(believed, lie) {
            return Decision::NoWay;
        }
        if !checks.pass(Check::NotRestricted, lie != Lie::Restricted) {
            return Decision::Deny(Reason::RestrictedRecord);
        }
        let at_once = checks.pass(Check::ReviewFirst, lie != Lie::Reviewed);
        if at_once { Decision::Release } else { Decision::Review }
    }

    /// Whether an open gate opens what is asked for to whom it is asked for.
    fn has_way(&self, believed: u32, lie: Lie) -> bool {
        let linked = believed & self.links != 0;
        let ratings = self.current(believed);
        let counting = ratings & self.timely;
        let founded = self.checks.pass(Check::ViaNeedsLink, linked);
        let counting = if founded { counting } else { counting & !self.via };
        let (subject, other) = match lie {
            Lie::AboutSecond => (self.of_second, self.of_subject),
            _ => (self.of_subject, self.of_second),
        };
        let n_agencies = self.by.iter().filter(|by| counting & subject & **by != 0).count();
        let beside = linked && counting & other != 0;
        let g2 = n_agencies >= 2 || (n_agencies == 1 && beside);
        let g3 = n_agencies >= 1 || beside;
        let g4 = believed & self.section_47 != 0 && lie != Lie::AboutSecond;
        // Who is no party has no kind that anything else could go by. Core parties are involved; under gate 2 nobody
        // is who has not rated the person, and there the service asks.
        let core = self.checks.pass(Check::RecipientInvolved, lie != Lie::ToUninvolved);
        let rated = core && ratings & subject & self.by[1] != 0;
        let rated = self.checks.pass(Check::RecipientInvolved, rated);
        let open = [g2 && rated, g3 && core, g4 && core];
        let opens = match (lie, self.under) {
            (Lie::Unopened, _) => [false; 3],
            (Lie::Reviewed, _) => [false, true, true],
            (_, Version::One) => [false, true, false],
            (_, Version::Two) => [true, false, true],
        };
        let class = (open[0] && opens[0]) || (open[1] && opens[1]) || (open[2] && opens[2]);
        (open[0] || open[1] || open[2]) && self.checks.pass(Check::GateOpensClass, class)
    }

    /// The current rating of each person by each agency.
    fn current(&self, believed: u32) -> u32 {
        let mut withdrawn = 0;
        let mut ratings = believed & (self.of_subject | self.of_second);
        for (at, withdraws) in self.withdraws.iter().enumerate() {
            if *withdraws != 0 && believed & (1 << at) != 0 {
                withdrawn |= withdraws;
            }
        }
        if !self.checks.pass(Check::WithdrawnCountsNot, withdrawn == 0) {
            ratings &= !withdrawn;
        }
        let mut current = ratings;
        for (at, newer) in self.replaced_by.iter().enumerate() {
            if *newer != 0 && !self.checks.pass(Check::NewestCounts, ratings & newer == 0) {
                current &= !(1 << at);
            }
        }
        current
    }
}

/// What the holder was truly told of, whether or not it keeps it: the acts that a request shows it, as they are.
pub fn told(world: &World, under: Version, ask: Ask) -> u32 {
    let genuine = |act: Act| {
        world.done(act).is_some_and(|done| done.under == under)
            && matches!(act, Act::ReRate | Act::Withdraw)
    };
    Act::ALL.into_iter().filter(|act| genuine(*act)).map(Act::bit).sum::<u32>() & ask.pile
}
