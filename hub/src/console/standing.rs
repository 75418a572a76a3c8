//! What there is to see to in an enquiry: flags that stand, clocks, and what stands in the way of closing it, each with the page
//! where it is put right.

use brag_common::{
    console::shown::{spoken, when},
    wire::pb,
};

use super::enquiry::whom;

/// What there is to see to.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) flags: Vec<(String, String)>,
    pub(super) clocks: Vec<Clock>,
    pub(super) unmet: Vec<Unmet>,
    pub(super) mismatches: Vec<String>,
}

/// A clock in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) breached: bool,
}

/// Something that stands in the way of closing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unmet {
    pub(super) text: String,
    /// Where it is put right, and what to do there; empty: not on a page.
    pub(super) address: String,
    pub(super) todo: &'static str,
}

impl Standing {
    pub(super) fn of(show: &pb::ShowResponse) -> Self {
        let standing = show.flags.iter().filter(|flag| flag.cleared_at_unix_ms == 0);
        let flags = standing.map(|flag| {
            let text = about(show, &flag_words(&flag.flag), &flag.agency, &flag.person);
            (text, when(flag.raised_at_unix_ms))
        });
        let mismatch = |one: &pb::AgreementMismatch| format!("{}: {}", one.agency, one.explanation);
        Self {
            flags: flags.collect(),
            clocks: show.clocks.iter().map(Clock::of).collect(),
            unmet: show.unmet.iter().map(|one| Unmet::of(show, one)).collect(),
            mismatches: show.agreement_mismatches.iter().map(mismatch).collect(),
        }
    }
}

/// What a flag says, in words of people.
pub(super) fn flag_words(flag: &str) -> String {
    match flag {
        "s47_clock_started" => "Section 47 clock has started".to_owned(),
        "s47_clock_met" => "Section 47 decision came in time".to_owned(),
        "s47_clock_breached" => "Section 47 decision did not come in time".to_owned(),
        "excluded_by_s47_timescale" => {
            "Answer was missing when the section 47 decision fell".to_owned()
        }
        "nfa_blocked" => "Closing with no further action was refused".to_owned(),
        "encompass_due" => "School is to be told (Operation Encompass)".to_owned(),
        other => spoken(other),
    }
}

/// Something with the agency and the person whom it is about.
pub(super) fn about(show: &pb::ShowResponse, what: &str, agency: &str, person: &str) -> String {
    let mut text = what.to_owned();
    if !agency.is_empty() {
        text = format!("{text}: {agency}");
    }
    if !person.is_empty() {
        let whom = whom(show, person);
        text =
            if agency.is_empty() { format!("{text}: {whom}") } else { format!("{text}, {whom}") };
    }
    text
}

impl Clock {
    fn of(clock: &pb::Clock) -> Self {
        let name = match clock.clock.as_str() {
            "section_47" => "Section 47 decision",
            "response" => "All answers in the time of the level",
            _ => "Clock",
        };
        let due = when(clock.due_at_unix_ms);
        let text = match (clock.state.as_str(), clock.ended_at_unix_ms) {
            ("running", _) => format!("runs, due {due}"),
            ("met", ended) => format!("met {}, was due {due}", when(ended)),
            ("breached", 0) => format!("breached, was due {due}"),
            ("breached", ended) => format!("breached, was due {due}, came {}", when(ended)),
            (other, _) => spoken(other).to_lowercase(),
        };
        Self { name: name.to_owned(), text, breached: clock.state == "breached" }
    }
}

impl Unmet {
    pub(super) fn of(show: &pb::ShowResponse, one: &pb::Unmet) -> Self {
        let base = format!("/enquiries/{}", show.enquiry);
        let whom = match one.person.as_str() {
            "" => "somebody".to_owned(),
            person => whom(show, person),
        };
        let action = format!("{base}/plan/action?person={}", one.person);
        let (text, address, todo) = match one.condition.as_str() {
            "missing_rating" => (
                format!("{} has not answered about {whom}", one.agency),
                format!("{base}#cell-{}-{}", one.agency, one.person),
                "See the matrix",
            ),
            "lead_professional_missing" => {
                ("Nobody leads".to_owned(), format!("{base}/plan/lead"), "Say who leads")
            }
            "no_action_for_member" => {
                (format!("There is no action for {whom}"), action, "Add an action")
            }
            "no_action_perpetrator" => (
                format!("There is no action about the risk that {whom} poses"),
                action,
                "Add an action about that risk",
            ),
            "section_47_decision_missing" => (
                "The section 47 decision is not recorded".to_owned(),
                format!("{base}/plan/event"),
                "Record it",
            ),
            "domestic_abuse" => (
                "There is evidence of domestic abuse, so no further action is no outcome"
                    .to_owned(),
                String::new(),
                "",
            ),
            other => (spoken(other), String::new(), ""),
        };
        Self { text, address, todo }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show() -> pb::ShowResponse {
        pb::ShowResponse {
            enquiry: "e1".to_owned(),
            people: vec![pb::MatrixPerson {
                label: "P1".to_owned(),
                person: "r1".to_owned(),
                name: "Nadia".to_owned(),
                ..pb::MatrixPerson::default()
            }],
            ..pb::ShowResponse::default()
        }
    }

    #[test]
    fn a_flag_that_was_cleared_is_nothing_to_see_to() {
        let flag = |cleared| pb::Flag {
            flag: "divergence".to_owned(),
            person: "r1".to_owned(),
            raised_at_unix_ms: 1,
            cleared_at_unix_ms: cleared,
            ..pb::Flag::default()
        };
        let mut shown = show();
        shown.flags = vec![flag(0), flag(2)];
        let standing = Standing::of(&shown);
        assert_eq!(standing.flags.len(), 1);
        assert_eq!(standing.flags[0].0, "Divergence: P1 Nadia");
    }

    #[test]
    fn everything_unmet_that_a_page_can_mend_leads_there() {
        let shown = show();
        let unmet = |condition: &str| {
            let (agency, person) = ("CSC".to_owned(), "r1".to_owned());
            Unmet::of(&shown, &pb::Unmet { condition: condition.to_owned(), agency, person })
        };
        for (condition, address) in [
            ("missing_rating", "/enquiries/e1#cell-CSC-r1"),
            ("lead_professional_missing", "/enquiries/e1/plan/lead"),
            ("no_action_for_member", "/enquiries/e1/plan/action?person=r1"),
            ("no_action_perpetrator", "/enquiries/e1/plan/action?person=r1"),
            ("section_47_decision_missing", "/enquiries/e1/plan/event"),
            ("domestic_abuse", ""),
        ] {
            assert_eq!(unmet(condition).address, address);
        }
    }

    #[test]
    fn a_clock_that_is_breached_says_so_in_words() {
        let clock = pb::Clock {
            clock: "section_47".to_owned(),
            state: "breached".to_owned(),
            due_at_unix_ms: 1_000,
            ..pb::Clock::default()
        };
        let shown = Clock::of(&clock);
        assert!(shown.breached && shown.text.starts_with("breached, was due"));
    }
}
