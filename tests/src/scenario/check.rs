//! What a scenario file can have wrong beyond its form: names of nobody, ratings without a record, rows that nothing
//! is expected of. Every fault is found, not only the first.

use std::collections::BTreeSet;

use brag_common::{
    agreement::{Hypothesis, Purpose},
    id::{AgencyId, PersonRef},
    matching::identity::{Check as NumberCheck, Identifier, IdentifierKind},
    rating::{Analysis, AnalysisBounds, Topic},
    time::Timestamp,
};
use toml::Spanned;

use super::{At, Cell, ConsentSaid, Decided, Expected, Rating, Said, Scenario};

mod life;

/// The fewest characters of a marker: shorter ones would be found by chance.
const MARKER_MIN_CHARS: usize = 12;

/// Bounds of an analysis in the sample agreement.
const ANALYSIS: AnalysisBounds = AnalysisBounds { min_chars: 20, max_chars: 600 };

/// Fields of a request's lawful basis.
const BASIS_FIELDS: [&str; 10] = [
    "art6",
    "art9_condition",
    "art10_authority",
    "dpa_schedule_para",
    "statutory_gateway",
    "confidentiality_justification",
    "agreement_status",
    "necessity",
    "proportionality",
    "not_asked_because",
];

/// Faults with the byte at which they are.
pub(super) fn faults(scenario: &Scenario, agencies: &[AgencyId]) -> Vec<(usize, String)> {
    let mut found = Found { scenario, agencies, faults: Vec::new() };
    found.people();
    found.records();
    found.holdings();
    scenario.rating.iter().for_each(|rating| found.rating(rating));
    found.facts();
    found.releases();
    found.reviews();
    found.troubles();
    found.openings();
    found.life();
    found.checks();
    found.faults.sort();
    found.faults
}

struct Found<'a> {
    scenario: &'a Scenario,
    agencies: &'a [AgencyId],
    faults: Vec<(usize, String)>,
}

impl Found<'_> {
    fn fault<T>(&mut self, at: &Spanned<T>, what: impl Into<String>) {
        self.faults.push((at.span().start, what.into()));
    }

    fn agency(&mut self, agency: &Spanned<AgencyId>) {
        if !self.agencies.contains(agency.get_ref()) {
            self.fault(agency, format!("{} is not a party to the agreement", agency.get_ref()));
        }
    }

    fn label(&mut self, label: &Spanned<String>) {
        if !self.scenario.labels().any(|known| known == label.get_ref()) {
            self.fault(label, format!("`{}` is not the label of a person", label.get_ref()));
        }
    }

    fn has_record(&self, agency: &AgencyId, label: &str) -> bool {
        self.scenario
            .record
            .iter()
            .any(|record| record.agency.get_ref() == agency && record.person.get_ref() == label)
    }

    fn people(&mut self) {
        self.agency(&self.scenario.referral.agency);
        if Purpose::from_word(&self.scenario.purpose).is_none() {
            let at = Spanned::new(0..0, ());
            self.fault(&at, format!("`{}` is not a purpose", self.scenario.purpose));
        }
        let mut labels = BTreeSet::new();
        for person in &self.scenario.person {
            let label = &person.label;
            if label.get_ref().parse::<PersonRef>().is_err() {
                self.fault(label, "a label is 1 to 32 letters, digits, `-` or `_`");
            }
            if !labels.insert(label.get_ref()) {
                self.fault(label, format!("the label `{}` is used twice", label.get_ref()));
            }
            if person.age.is_some() == person.born.is_some() {
                self.fault(label, "a person has either `age` or `born`");
            }
            // Any day will do: what can be wrong does not depend on it.
            if let Err(what) = person.identity(Timestamp::UNIX_EPOCH) {
                self.fault(label, what);
            }
            if let Some(nhs) = &person.nhs {
                let number = Identifier::new(IdentifierKind::Nhs, nhs.get_ref());
                let invented = number.is_ok_and(|n| {
                    n.check() == NumberCheck::Valid && n.normal().starts_with("999")
                });
                if !invented {
                    self.fault(nhs, "not a valid NHS number of the test range 999");
                }
            }
        }
        for link in &self.scenario.link {
            self.label(&link.from);
            link.to.iter().for_each(|to| self.label(to));
        }
    }

    fn records(&mut self) {
        self.scenario.csv.iter().for_each(|agency| self.agency(agency));
        let mut ids = BTreeSet::new();
        for record in &self.scenario.record {
            self.agency(&record.agency);
            self.label(&record.person);
            if !ids.insert((record.agency.get_ref(), &record.id)) {
                self.fault(&record.agency, format!("the id `{}` is used twice", record.id));
            }
        }
    }

    fn holdings(&mut self) {
        let mut markers = BTreeSet::new();
        for holding in &self.scenario.holding {
            self.agency(&holding.agency);
            self.label(&holding.person);
            let (agency, label) = (holding.agency.get_ref(), holding.person.get_ref());
            if !self.has_record(agency, label) {
                self.fault(&holding.person, format!("{agency} has no record of {label}"));
            }
            let marker = holding.marker.get_ref();
            let plain =
                marker.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-');
            if !plain || marker.len() < MARKER_MIN_CHARS {
                let what = "a marker is 12 or more upper-case letters, digits or `-`";
                self.fault(&holding.marker, what);
            }
            if !markers.insert(marker) {
                self.fault(&holding.marker, format!("the marker `{marker}` is used twice"));
            }
            for flag in &holding.flags {
                if flag != "third_party" && flag != "restricted" {
                    self.fault(&holding.category, format!("`{flag}` is not a flag"));
                }
            }
        }
    }

    fn rating(&mut self, rating: &Rating) {
        self.agency(&rating.agency);
        let agency = rating.agency.get_ref();
        if let Err(error) = Analysis::parse(&rating.analysis, ANALYSIS) {
            self.fault(&rating.agency, format!("the analysis: {error}"));
        }
        for topic in rating.topics.iter().filter(|topic| Topic::from_word(topic).is_none()) {
            self.fault(&rating.agency, format!("`{topic}` is not a topic"));
        }
        if let Some(via) = &rating.via {
            self.label(via);
            if rating.at.is_before_start() {
                self.fault(via, "a standing rating rests on the agency's own record");
            }
        }
        if rating.refused.is_some() && rating.at.is_before_start() {
            self.fault(&rating.agency, "a standing rating is not refused, it is not imported");
        }
        for label in rating.colours.keys() {
            self.label(label);
            let rests_on = rating.via.as_ref().unwrap_or(label).get_ref();
            if !self.has_record(agency, rests_on) {
                self.fault(label, format!("{agency} has no record of {rests_on}"));
            }
        }
    }

    fn facts(&mut self) {
        for confirm in &self.scenario.confirm {
            self.agency(&confirm.agency);
            if confirm.at.is_before_start() {
                self.fault(&confirm.agency, "links are signed after the start");
            }
        }
        for assertion in &self.scenario.assertion {
            self.agency(&assertion.agency);
            assertion.people.iter().for_each(|label| self.label(label));
            if assertion.at.is_before_start() {
                self.fault(&assertion.agency, "thresholds are signed after the start");
            }
        }
        for consent in &self.scenario.consent {
            self.agency(&consent.agency);
            self.label(&consent.person);
            consent.recipients.iter().for_each(|recipient| self.agency(recipient));
            if consent.at.is_before_start() {
                self.fault(&consent.agency, "agreements are recorded after the start");
            }
            let names_something = !consent.categories.is_empty() && !consent.recipients.is_empty();
            if consent.said == ConsentSaid::Agreed && !names_something {
                self.fault(&consent.person, "an agreement names categories and recipients");
            }
            if consent.said != ConsentSaid::Agreed && consent.expires.is_some() {
                self.fault(&consent.person, "only an agreement `expires`");
            }
        }
        for accept in &self.scenario.accept {
            self.agency(&accept.agency);
            self.label(&accept.person);
            if accept.at.is_before_start() {
                self.fault(&accept.agency, "actions are accepted after the start");
            }
        }
    }

    fn troubles(&mut self) {
        let scenario = self.scenario;
        let away = scenario.away.iter().map(|away| (&away.agency, away.from, away.until));
        let full = scenario.log_full.iter().map(|full| (&full.agency, full.from, full.until));
        if scenario.hub_restart.iter().any(|restart| !restart.at.is_after_start()) {
            let at = Spanned::new(0..0, ());
            self.fault(&at, "the hub is restarted after the start");
        }
        for (agency, from, until) in away.chain(full) {
            self.agency(agency);
            if until <= from || !until.is_after_start() {
                self.fault(agency, "`until` is after `from` and after the start");
            }
        }
    }

    fn openings(&mut self) {
        let scenario = self.scenario;
        let opened = scenario.open.iter().map(|open| (&open.release, &open.recipient, open.at));
        let back = scenario.acknowledge.iter().map(|back| (&back.release, &back.agency, back.at));
        for (row, recipient, at) in opened.chain(back) {
            if !self.is_asked_before(row.get_ref(), recipient.get_ref(), at) {
                self.fault(row, "no earlier release of this row for this recipient");
            }
        }
    }

    fn is_asked_before(&self, row: &str, recipient: &AgencyId, at: At) -> bool {
        self.scenario.release.iter().any(|release| {
            release.id.get_ref() == row
                && release.to.iter().any(|to| to.get_ref() == recipient)
                && release.at <= at
        })
    }

    fn releases(&mut self) {
        let mut ids = BTreeSet::new();
        for release in &self.scenario.release {
            if !ids.insert(release.id.get_ref()) {
                self.fault(
                    &release.id,
                    format!("the row `{}` is there twice", release.id.get_ref()),
                );
            }
            self.agency(&release.holder);
            self.label(&release.person);
            let asked: BTreeSet<_> = release.to.iter().map(Spanned::get_ref).collect();
            for to in &release.to {
                self.agency(to);
                if !release.expect.keys().any(|expected| expected.get_ref() == to.get_ref()) {
                    self.fault(to, format!("nothing is expected for {}", to.get_ref()));
                }
            }
            for (recipient, expected) in &release.expect {
                if !asked.contains(recipient.get_ref()) {
                    self.fault(recipient, format!("{} is not asked for", recipient.get_ref()));
                }
                self.expected(recipient, expected);
            }
            for by in &release.opened_by {
                if !asked.contains(by.get_ref()) {
                    self.fault(by, format!("{} is not asked for", by.get_ref()));
                }
            }
            for field in release.basis.keys() {
                if !BASIS_FIELDS.contains(&field.get_ref().as_str()) {
                    self.fault(field, format!("`{}` is not a field of the basis", field.get_ref()));
                }
            }
        }
    }

    fn expected<T>(&mut self, at: &Spanned<T>, expected: &Expected) {
        if expected.reason.is_some() != (expected.decision == Decided::Deny) {
            self.fault(at, "a refusal has a `reason`, and nothing else has");
        }
        if expected.approvals.is_some() != (expected.decision == Decided::Review) {
            self.fault(at, "a review has `approvals`, and nothing else has");
        }
        for word in &expected.would_be_released_if {
            if !Hypothesis::ALL.iter().any(|known| known.word() == word) {
                self.fault(at, format!("`{word}` is nothing that would change a refusal"));
            }
        }
    }

    fn reviews(&mut self) {
        for review in &self.scenario.review {
            let (row, recipient) = (review.release.get_ref(), review.recipient.get_ref());
            if !self.is_asked_before(row, recipient, review.at) {
                self.fault(&review.release, "no earlier release of this row for this recipient");
            }
            if review.by.iter().any(|n| !(1..=2).contains(n)) {
                self.fault(&review.release, "`by` names the holder's approvers, 1 and 2");
            }
            if review.by.is_empty() && (review.redact.is_some() || review.refuse.is_some()) {
                self.fault(&review.release, "where nobody acts nothing is redacted or refused");
            }
            if review.redact.is_some() && review.refuse.is_some() {
                self.fault(&review.release, "nobody redacts what they refuse");
            }
            if review.redact.as_ref().is_some_and(|text| text.contains('\n')) {
                self.fault(&review.release, "a redacted text stands on one line");
            }
            self.expected(&review.recipient, &review.expect);
        }
    }

    fn checks(&mut self) {
        let n_people = self.scenario.person.len();
        for check in &self.scenario.check {
            for (agency, cells) in &check.matrix {
                self.agency(agency);
                if cells.len() != n_people {
                    let what = format!("{} cells for {n_people} people", cells.len());
                    self.fault(agency, what);
                }
                for cell in cells {
                    if let Cell { said: Said::Rated { via: Some(via), .. }, .. } = cell
                        && !self.scenario.labels().any(|known| known == via)
                    {
                        self.fault(agency, format!("`{via}` is not the label of a person"));
                    }
                }
            }
            if let Some((row, _)) = check.matrix.first_key_value() {
                for agency in self.agencies {
                    if !check.matrix.keys().any(|row| row.get_ref() == agency) {
                        self.fault(row, format!("the matrix has no row for {agency}"));
                    }
                }
                if check.levels.len() != n_people {
                    let what = format!("{} levels for {n_people} people", check.levels.len());
                    self.fault(row, what);
                }
                if check.uprated.is_none() {
                    self.fault(row, "a matrix says who is `uprated`");
                }
            } else if !check.levels.is_empty() {
                let at = Spanned::new(0..0, ());
                self.fault(&at, format!("the check at {} has levels and no matrix", check.at));
            }
            let people = check.uprated.iter().flatten().chain(&check.divergence);
            people.chain(&check.no_divergence).for_each(|label| self.label(label));
            self.life_of(check);
            for gates in &check.gates {
                gates.people.iter().for_each(|label| self.label(label));
            }
        }
    }
}
