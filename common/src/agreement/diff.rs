//! What a new version of an agreement changes, in words and for whom, so that people can decide whether to sign it.
//!
//! Each change is loosening (more is shared, sooner, for longer, or with more parties), tightening, or neither. What can not be
//! told apart at a glance is called neither, never tightening.

use std::{collections::BTreeSet, fmt};

use super::{
    model::Agreement,
    party::{Party, PartyKeys},
    terms::{Class, Gate, Mode, PartyType},
    values::{Cell, Limit},
};
use crate::{id::AgencyId, time::SignedDuration};

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// More is shared, or more easily.
    Loosens,
    /// Less is shared, or less easily.
    Tightens,
    /// Neither, or both.
    Changes,
}

impl Effect {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Loosens => "loosens",
            Self::Tightens => "tightens",
            Self::Changes => "changes",
        }
    }

    /// Loosening when the number goes up.
    fn up<T: PartialOrd>(old: &T, new: &T) -> Self {
        if new > old { Self::Loosens } else { Self::Tightens }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whom it concerns; `None`: everybody.
    pub whom: Option<AgencyId>,
    /// The section it is in, for example `party` or `gates`.
    pub section: &'static str,
    /// Which way it goes.
    pub effect: Effect,
    /// What changes, in words.
    pub words: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Some(agency) => write!(f, "{agency}: ")?,
            None => f.write_str("everybody: ")?,
        }
        f.write_str(&self.words)?;
        match self.effect {
            Effect::Loosens | Effect::Tightens => write!(f, " ({})", self.effect.word()),
            Effect::Changes => Ok(()),
        }
    }
}

/// Everything that differs, in the order of the file.
#[must_use]
pub fn diff(old: &Agreement, new: &Agreement) -> Vec<Difference> {
    let mut found = Differences { old, new, found: Vec::new() };
    found.header();
    found.parties();
    found.keys();
    found.ratings();
    found.gates();
    found.times();
    found.disclosure();
    found.recipients();
    found.categories();
    found.found
}

struct Differences<'a> {
    old: &'a Agreement,
    new: &'a Agreement,
    found: Vec<Difference>,
}

impl Differences<'_> {
    fn note(&mut self, section: &'static str, effect: Effect, words: String) {
        self.found.push(Difference { whom: None, section, effect, words });
    }

    fn note_for(
        &mut self,
        whom: &AgencyId,
        section: &'static str,
        effect: Effect,
        words: impl Into<String>,
    ) {
        let words = words.into();
        self.found.push(Difference { whom: Some(whom.clone()), section, effect, words });
    }

    /// A value of which more loosens.
    #[expect(clippy::needless_pass_by_value, reason = "values and references alike")]
    fn more<T: PartialOrd + fmt::Display>(
        &mut self,
        section: &'static str,
        what: &str,
        old: T,
        new: T,
    ) {
        if old != new {
            let effect = Effect::up(&old, &new);
            self.note(section, effect, format!("{what}: {new}, was {old}"));
        }
    }

    /// A value of which more tightens.
    #[expect(clippy::needless_pass_by_value, reason = "values and references alike")]
    fn less<T: PartialOrd + fmt::Display>(
        &mut self,
        section: &'static str,
        what: &str,
        old: T,
        new: T,
    ) {
        if old != new {
            let effect = Effect::up(&new, &old);
            self.note(section, effect, format!("{what}: {new}, was {old}"));
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "values and references alike")]
    fn other<T: PartialEq + fmt::Display>(
        &mut self,
        section: &'static str,
        what: &str,
        old: T,
        new: T,
    ) {
        if old != new {
            self.note(section, Effect::Changes, format!("{what}: {new}, was {old}"));
        }
    }

    fn header(&mut self) {
        let (old, new) = (self.old, self.new);
        self.other("agreement", "it is another agreement", old.id(), new.id());
        self.other("agreement", "version", old.version(), new.version());
        self.other("agreement", "environment", old.environment(), new.environment());
        self.other("agreement", "first day", old.valid_from(), new.valid_from());
        self.more("agreement", "last day", old.valid_to(), new.valid_to());
        self.other("agreement", "to be reviewed by", old.review_by(), new.review_by());
        let territory =
            |agreement: &Agreement| agreement.territory().collect::<Vec<_>>().join(", ");
        self.other("agreement", "territory", territory(old), territory(new));
        self.other("agreement", "impact assessment", old.dpia_ref(), new.dpia_ref());
        self.other("agreement", "record of processing", old.ropa_ref(), new.ropa_ref());
        for purpose in new.purposes().difference(old.purposes()) {
            self.note("agreement", Effect::Loosens, format!("{purpose} is a purpose now"));
        }
        for purpose in old.purposes().difference(new.purposes()) {
            self.note("agreement", Effect::Tightens, format!("{purpose} is no purpose any more"));
        }
        let contacts = (old.contacts(), new.contacts());
        self.other(
            "escalation",
            "data protection officer",
            &contacts.0.data_protection_officer,
            &contacts.1.data_protection_officer,
        );
        self.other(
            "escalation",
            "out of hours",
            &contacts.0.out_of_hours,
            &contacts.1.out_of_hours,
        );
        self.other("escalation", "board", &contacts.0.board, &contacts.1.board);
    }

    fn parties(&mut self) {
        let (old, new) = (self.old, self.new);
        for party in new.parties().filter(|party| old.party(party.id()).is_none()) {
            let words = format!("joins as a party: {}, {}", party.name(), party.kind());
            self.note_for(party.id(), "party", Effect::Loosens, words);
        }
        for party in old.parties() {
            match new.party(party.id()) {
                None => self.note_for(
                    party.id(),
                    "party",
                    Effect::Tightens,
                    "is no longer listed; what it signed stays attributable to it by the earlier version",
                ),
                Some(now) => self.party(party, now),
            }
        }
    }

    fn party(&mut self, old: &Party, new: &Party) {
        let id = old.id();
        let mut changed = |what: &str, old: String, new: String| {
            if old != new {
                let words = format!("{what}: {new}, was {old}");
                self.note_for(id, "party", Effect::Changes, words);
            }
        };
        changed("name", old.name().to_owned(), new.name().to_owned());
        changed("kind", old.kind().to_string(), new.kind().to_string());
        changed("answer", old.requirement().to_string(), new.requirement().to_string());
        let when = |party: &Party| {
            let words: Vec<&str> = party.when().iter().map(|when| when.word()).collect();
            if words.is_empty() { "always".to_owned() } else { words.join(", ") }
        };
        changed("its answer is awaited", when(old), when(new));
        let within = |party: &Party| {
            party.answer_within().map_or_else(|| "the default".to_owned(), |time| length(time).0)
        };
        changed("its node answers within", within(old), within(new));
        match (old.withdrawn_at(), new.withdrawn_at()) {
            (None, Some(at)) => self.note_for(
                id,
                "party",
                Effect::Tightens,
                format!("withdraws at {at}: it gets nothing from then on, and what it signed before stays attributable to it"),
            ),
            (Some(_), None) => {
                self.note_for(id, "party", Effect::Loosens, "is a party again");
            }
            (Some(old), Some(new)) if old != new => {
                let effect = Effect::up(&old, &new);
                self.note_for(id, "party", effect, format!("withdraws at {new}, not at {old}"));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn keys(&mut self) {
        let (old, new) = (self.old, self.new);
        for party in new.parties() {
            let Some(before) = old.party(party.id()) else { continue };
            for words in keys_changed(before.keys(), party.keys()) {
                self.note_for(party.id(), "keys", Effect::Changes, words);
            }
        }
        match (old.hub(), new.hub()) {
            (Some(old), Some(new)) => {
                if old.tls != new.tls {
                    let words = format!("the hub's TLS name: {}, was {}", new.tls, old.tls);
                    self.note("keys", Effect::Changes, words);
                }
                if old.signing != new.signing {
                    let words = "the hub has a new signing key".to_owned();
                    self.note("keys", Effect::Changes, words);
                }
            }
            (None, Some(_)) => {
                self.note("keys", Effect::Changes, "the hub has keys now".to_owned())
            }
            (Some(_), None) => {
                self.note("keys", Effect::Changes, "the hub has no keys any more".to_owned());
            }
            (None, None) => {}
        }
        for (key, revoked) in new.revocations() {
            if old.revoked(key).is_some() {
                continue;
            }
            let holder = old.parties().find(|party| {
                party.keys().is_some_and(|keys| {
                    keys.signing.as_bytes() == key || keys.sealing.as_bytes() == key
                })
            });
            let words = format!(
                "a former key is revoked from {} on ({}); what it signed counts only for those who had it before",
                revoked.at, revoked.reason
            );
            match holder.map(Party::id) {
                Some(id) => self.note_for(id, "keys", Effect::Tightens, words),
                None => self.note("keys", Effect::Tightens, words),
            }
        }
    }

    fn ratings(&mut self) {
        let (old, new) = (self.old.rating(), self.new.rating());
        if old.forbid_blue_with_domestic_abuse != new.forbid_blue_with_domestic_abuse {
            let (effect, words) = if new.forbid_blue_with_domestic_abuse {
                (Effect::Tightens, "Blue is forbidden where there is evidence of domestic abuse")
            } else {
                (Effect::Loosens, "Blue is allowed where there is evidence of domestic abuse")
            };
            self.note("rating", effect, words.to_owned());
        }
        let bounds = (old.analysis, new.analysis);
        self.other(
            "rating",
            "characters of an analysis, at least",
            bounds.0.min_chars,
            bounds.1.min_chars,
        );
        self.other(
            "rating",
            "characters of an analysis, at most",
            bounds.0.max_chars,
            bounds.1.max_chars,
        );
        self.longer(
            "rating",
            "a standing rating answers for",
            old.standing_age_max,
            new.standing_age_max,
        );
        let (old, new) = (self.old.matching(), self.new.matching());
        self.less(
            "matching",
            "an identity is disclosed from a probability of",
            old.disclose_from,
            new.disclose_from,
        );
        self.less(
            "matching",
            "a person may compare from a probability of",
            old.review_from,
            new.review_from,
        );
    }

    fn gates(&mut self) {
        let (old, new) = (self.old.gates(), self.new.gates());
        self.less(
            "gates",
            "agencies at Amber that open the Amber gate",
            old.amber_agencies,
            new.amber_agencies,
        );
        self.less(
            "gates",
            "ticks on the Dash that meet the Marac threshold",
            old.marac_dash_ticks,
            new.marac_dash_ticks,
        );
        self.less(
            "gates",
            "reports in twelve months that meet the Marac threshold",
            old.marac_reports,
            new.marac_reports,
        );
        self.less(
            "gates",
            "earlier contacts that count as cumulative history",
            old.cumulative_history,
            new.cumulative_history,
        );
    }

    fn times(&mut self) {
        let (old, new) = (self.old.freshness(), self.new.freshness());
        self.longer("freshness", "an Amber opens gates for", old.amber, new.amber);
        self.longer("freshness", "a Red opens gates for", old.red, new.red);
        let (old, new) = (self.old.clocks(), self.new.clocks());
        for (what, old, new) in [
            ("the section 47 clock", old.section_47, new.section_47),
            ("the clock of a Red", old.red, new.red),
            ("the clock of an Amber", old.amber, new.amber),
            ("the clock of a Green", old.green, new.green),
            ("a notification comes within", old.notification_lag, new.notification_lag),
        ] {
            let words = |limit: Limit| format!("{} ({})", length(limit.limit).0, limit.runs);
            self.other("clocks", what, words(old), words(new));
        }
        let percent =
            |agreement: &Agreement| format!("{}%", agreement.review().escalate_at_percent);
        self.other("review", "a review is escalated at", percent(self.old), percent(self.new));
        for gate in Gate::ALL.iter().copied() {
            let what = format!("a view under {} can be opened for", gate_words(gate));
            self.longer("views", &what, self.old.view(gate), self.new.view(gate));
        }
        let (old, new) = (self.old.retention(), self.new.retention());
        self.other(
            "retention",
            "ratings are kept after closing for",
            old.ratings_after_close.to_string(),
            new.ratings_after_close.to_string(),
        );
        self.other(
            "retention",
            "the log is kept for",
            old.audit_log.to_string(),
            new.audit_log.to_string(),
        );
    }

    fn longer(
        &mut self,
        section: &'static str,
        what: &str,
        old: SignedDuration,
        new: SignedDuration,
    ) {
        self.more(section, what, length(old), length(new));
    }

    fn disclosure(&mut self) {
        for class in Class::ALL.iter().copied() {
            for gate in Gate::ALL.iter().copied() {
                let (old, new) =
                    (self.old.disclosure(class, gate), self.new.disclosure(class, gate));
                if old == new {
                    continue;
                }
                let what = format!("detail of class {class} under {}", gate_words(gate));
                let words =
                    |cell: Option<&Cell>| cell.map_or_else(|| "not at all".to_owned(), cell_words);
                let effect = disclosure_effect(old, new);
                let words = format!("{what}: {}, was {}", words(new), words(old));
                self.note("disclosure", effect, words);
            }
        }
    }

    fn recipients(&mut self) {
        for kind in PartyType::ALL.iter().copied() {
            match (self.old.allow_list(kind), self.new.allow_list(kind)) {
                (None, Some(list)) => {
                    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                    let words = format!("{kind} may receive only {}", list.join(", "));
                    self.note("recipients", Effect::Tightens, words);
                }
                (Some(_), None) => {
                    let words = format!("{kind} may receive every category");
                    self.note("recipients", Effect::Loosens, words);
                }
                (Some(old), Some(new)) => {
                    for added in new.difference(old) {
                        let words = format!("{kind} may receive {added}");
                        self.note("recipients", Effect::Loosens, words);
                    }
                    for gone in old.difference(new) {
                        let words = format!("{kind} may no longer receive {gone}");
                        self.note("recipients", Effect::Tightens, words);
                    }
                }
                (None, None) => {}
            }
            match (self.old.is_client_only(kind), self.new.is_client_only(kind)) {
                (false, true) => {
                    let words = format!("{kind} receives detail only about people it rated itself");
                    self.note("recipients", Effect::Tightens, words);
                }
                (true, false) => {
                    let words =
                        format!("{kind} receives detail also about people it did not rate itself");
                    self.note("recipients", Effect::Loosens, words);
                }
                (true, true) | (false, false) => {}
            }
        }
        let (old, new) = (self.old.specialist_categories(), self.new.specialist_categories());
        for added in new.difference(old) {
            let words = format!("a prompted specialist may receive {added} after review");
            self.note("recipients", Effect::Loosens, words);
        }
        for gone in old.difference(new) {
            let words = format!("a prompted specialist may no longer receive {gone}");
            self.note("recipients", Effect::Tightens, words);
        }
    }

    fn categories(&mut self) {
        let (old, new) = (self.old, self.new);
        let codes: BTreeSet<_> =
            old.categories().keys().chain(new.categories().keys()).copied().collect();
        for code in codes {
            match (old.category(code), new.category(code)) {
                (None, Some(category)) => {
                    let (title, class) = (&category.title, category.class);
                    let words = format!("{code} ({title}) can be released, as class {class}");
                    self.note("category", Effect::Loosens, words);
                }
                (Some(category), None) => {
                    let words = format!("{code} ({}) is not released any more", category.title);
                    self.note("category", Effect::Tightens, words);
                }
                (Some(old), Some(new)) => {
                    if old.class != new.class {
                        let effect = Effect::up(&new.class, &old.class);
                        let words = format!("{code} is of class {}, was {}", new.class, old.class);
                        self.note("category", effect, words);
                    }
                    if old.title != new.title {
                        let words = format!("{code} is `{}`, was `{}`", new.title, old.title);
                        self.note("category", Effect::Changes, words);
                    }
                    for special in new.special.difference(&old.special) {
                        let words = format!("{code} needs the conditions of {special} too");
                        self.note("category", Effect::Tightens, words);
                    }
                    for special in old.special.difference(&new.special) {
                        let words = format!("{code} no longer needs the conditions of {special}");
                        self.note("category", Effect::Loosens, words);
                    }
                }
                (None, None) => {}
            }
        }
    }
}

fn keys_changed(old: Option<&PartyKeys>, new: Option<&PartyKeys>) -> Vec<String> {
    let (Some(old), Some(new)) = (old, new) else {
        return match (old, new) {
            (None, Some(_)) => vec!["has keys now".to_owned()],
            (Some(_), None) => vec!["has no keys any more".to_owned()],
            (None, None) | (Some(_), Some(_)) => Vec::new(),
        };
    };
    let mut words = Vec::new();
    if old.tls != new.tls {
        words.push(format!("TLS name: {}, was {}", new.tls, old.tls));
    }
    if old.signing != new.signing {
        words.push(
            "has a new signing key; what it signed with the former one stays good for its time"
                .to_owned(),
        );
    }
    if old.sealing != new.sealing {
        words.push(
            "has a new sealing key; detail for it is sealed to that one from now on".to_owned(),
        );
    }
    words
}

fn cell_words(cell: &Cell) -> String {
    let mode = match cell.mode {
        Mode::Auto => "automatic",
        Mode::Review => "after one person's approval",
        Mode::Review2 => "after two people's approval",
    };
    match &cell.recipients {
        None => mode.to_owned(),
        Some(only) => {
            let only: Vec<&str> = only.iter().map(AgencyId::as_str).collect();
            format!("{mode}, to {} only", only.join(", "))
        }
    }
}

/// Which way one cell goes; both ways at once is neither.
fn disclosure_effect(old: Option<&Cell>, new: Option<&Cell>) -> Effect {
    let (Some(old), Some(new)) = (old, new) else {
        return if new.is_some() { Effect::Loosens } else { Effect::Tightens };
    };
    let approvals = |mode| match mode {
        Mode::Auto => 0,
        Mode::Review => 1,
        Mode::Review2 => 2,
    };
    let by_mode = approvals(old.mode).cmp(&approvals(new.mode));
    let by_recipients = match (&old.recipients, &new.recipients) {
        (old, new) if old == new => std::cmp::Ordering::Equal,
        (Some(_), None) => std::cmp::Ordering::Greater,
        (None, Some(_)) => std::cmp::Ordering::Less,
        (Some(old), Some(new)) if new.is_superset(old) => std::cmp::Ordering::Greater,
        (Some(old), Some(new)) if new.is_subset(old) => std::cmp::Ordering::Less,
        (_, _) => return Effect::Changes,
    };
    match (by_mode, by_recipients) {
        (std::cmp::Ordering::Less, std::cmp::Ordering::Greater)
        | (std::cmp::Ordering::Greater, std::cmp::Ordering::Less)
        | (std::cmp::Ordering::Equal, std::cmp::Ordering::Equal) => Effect::Changes,
        (std::cmp::Ordering::Greater, _) | (_, std::cmp::Ordering::Greater) => Effect::Loosens,
        (std::cmp::Ordering::Less, _) | (_, std::cmp::Ordering::Less) => Effect::Tightens,
    }
}

fn gate_words(gate: Gate) -> &'static str {
    match gate {
        Gate::G1 => "the person's agreement (g1)",
        Gate::G2 => "Amber (g2)",
        Gate::G3 => "Red (g3)",
        Gate::G4 => "section 47 (g4)",
        Gate::G5 => "Marac (g5)",
        Gate::G6 => "the Care Act (g6)",
    }
}

/// A length of time that reads well and compares as time.
struct Length(String, SignedDuration);

impl PartialEq for Length {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

impl PartialOrd for Length {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.1.partial_cmp(&other.1)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn length(time: SignedDuration) -> Length {
    let seconds = time.as_secs();
    let words = if seconds % 86_400 == 0 {
        format!("{} days", seconds / 86_400)
    } else if seconds % 3600 == 0 {
        format!("{} hours", seconds / 3600)
    } else if seconds % 60 == 0 {
        format!("{} minutes", seconds / 60)
    } else {
        format!("{seconds} seconds")
    };
    Length(words, time)
}

#[cfg(test)]
mod tests;
