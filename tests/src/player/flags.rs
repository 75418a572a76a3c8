//! Flags, clocks, the plan and how an enquiry was closed: what was found beside what had to be, and in words.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{time::Timestamp, wire::pb};

use super::report::{ActionLine, ClockLine, FlagLine, LifeReport, Row};
use crate::scenario::{At, Check, ClockStands, Flags, Mark};

type Labels = BTreeMap<String, String>;

/// Compares flags, clocks, what stands in the way of closing, who leads and whether it is closed with a check.
pub fn rows(
    check: &Check,
    shown: &pb::ShowResponse,
    start: Timestamp,
    labels: &Labels,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for flag in check.flags.iter().map(toml::Spanned::get_ref) {
        let found = Came::of(flag, shown, labels);
        rows.push(Row::compare(format!("flag {flag}"), "stands".to_owned(), found.words()));
    }
    for flag in check.no_flags.iter().map(toml::Spanned::get_ref) {
        let found = Came::of(flag, shown, labels);
        let found = if found.standing.is_empty() { "no".to_owned() } else { found.words() };
        rows.push(Row::compare(format!("flag {flag} standing"), "no".to_owned(), found));
    }
    rows.extend(check.clocks.iter().map(|clock| clock_row(clock, shown, start)));
    if let Some(expected) = &check.unmet {
        let expected = expected.iter().map(toml::Spanned::get_ref);
        rows.push(unmet("in the way of closing", expected, shown, labels));
    }
    if let Some(lead) = &check.lead {
        let found = shown.lead.as_ref().map_or("nobody", |lead| &lead.agency).to_owned();
        rows.push(Row::compare("lead".to_owned(), lead.get_ref().to_string(), found));
    }
    if let Some(closed) = check.closed {
        let words = |closed: bool| if closed { "closed" } else { "open" }.to_owned();
        let found = words(shown.closed.is_some());
        rows.push(Row::compare("the enquiry".to_owned(), words(closed), found));
    }
    rows
}

/// What stands in the way of closing, exactly, whatever its order.
pub fn unmet<'a>(
    what: &str,
    expected: impl Iterator<Item = &'a Mark>,
    shown: &pb::ShowResponse,
    labels: &Labels,
) -> Row {
    let list = |marks: BTreeSet<String>| match marks.len() {
        0 => "nothing".to_owned(),
        _ => marks.into_iter().collect::<Vec<_>>().join(", "),
    };
    let found = shown.unmet.iter().map(|unmet| {
        Mark::found(&unmet.condition, &unmet.agency, label(labels, &unmet.person)).to_string()
    });
    let expected = expected.map(ToString::to_string).collect();
    Row::compare(what.to_owned(), list(expected), list(found.collect()))
}

/// What became of flags by the end, beside what had to.
pub fn at_the_end(flags: &Flags, shown: &pb::ShowResponse, labels: &Labels) -> Vec<Row> {
    let mut rows = Vec::new();
    for flag in flags.appear.iter().map(toml::Spanned::get_ref) {
        let came = Came::of(flag, shown, labels);
        let found = if came.raised == 0 { "never raised" } else { "raised" };
        rows.push(Row::compare(format!("flag {flag}"), "raised".to_owned(), found.to_owned()));
    }
    let in_the_end = [(&flags.cleared, CLEARED), (&flags.standing, STANDS), (&flags.never, NEVER)];
    for (flags, expected) in in_the_end {
        for flag in flags.iter().map(toml::Spanned::get_ref) {
            let found = Came::of(flag, shown, labels).words();
            rows.push(Row::compare(format!("flag {flag} in the end"), expected.to_owned(), found));
        }
    }
    rows
}

const STANDS: &str = "stands";
const CLEARED: &str = "cleared";
const NEVER: &str = "never raised";

/// What became of every flag that one, as it is written, means.
struct Came {
    /// How often it was raised.
    raised: usize,
    /// Those that stand.
    standing: Vec<Mark>,
}

impl Came {
    fn of(flag: &Mark, shown: &pb::ShowResponse, labels: &Labels) -> Self {
        let mut came = Self { raised: 0, standing: Vec::new() };
        for found in &shown.flags {
            let mark = mark_of(found, labels);
            if flag.means(&mark) {
                came.raised += 1;
                if found.cleared_at_unix_ms == 0 {
                    came.standing.push(mark);
                }
            }
        }
        came
    }

    fn words(&self) -> String {
        match (self.raised, self.standing.is_empty()) {
            (0, _) => NEVER,
            (_, true) => CLEARED,
            (_, false) => STANDS,
        }
        .to_owned()
    }
}

fn clock_row(expected: &ClockStands, shown: &pb::ShowResponse, start: Timestamp) -> Row {
    let name = expected.clock.word();
    let times = [expected.started, expected.due, expected.ended];
    let words = |state: &str, [started, due, ended]: [Option<At>; 3]| {
        let time = |what: &str, at: Option<At>| at.map(|at| format!(", {what} {at}"));
        let times = [time("started", started), time("due", due), time("ended", ended)];
        format!("{state}{}", times.into_iter().flatten().collect::<String>())
    };
    let wanted = words(expected.state.word(), times);
    let found = shown.clocks.iter().filter(|clock| clock.clock == name).map(|clock| {
        // Only what is expected is compared, and only that is told.
        let at = |n: usize, unix_ms| times[n].and(when(unix_ms, start));
        let [started, due] = [at(0, clock.started_at_unix_ms), at(1, clock.due_at_unix_ms)];
        words(&clock.state, [started, due, at(2, clock.ended_at_unix_ms)])
    });
    let found: Vec<String> = found.collect();
    let as_wanted = found.iter().find(|found| **found == wanted);
    let found = as_wanted.or(found.last()).cloned().unwrap_or_else(|| "no such clock".to_owned());
    Row::compare(format!("clock {name}"), wanted, found)
}

/// Where the enquiry's life stands, in words, with times relative to the start.
pub fn report(
    shown: &pb::ShowResponse,
    start: Timestamp,
    labels: &Labels,
    rows: Vec<Row>,
) -> LifeReport {
    let time = |unix_ms| when(unix_ms, start).map(|at| at.to_string());
    let lasting = shown.flags.iter().filter(|flag| !is_momentary(flag));
    let mut flags: Vec<(Mark, &pb::Flag)> =
        lasting.map(|flag| (mark_of(flag, labels), flag)).collect();
    // Which of one moment was raised first is chance.
    flags.sort_by(|(a, x), (b, y)| (x.raised_at_unix_ms, a).cmp(&(y.raised_at_unix_ms, b)));
    let flags = flags.into_iter().map(|(mark, flag)| FlagLine {
        flag: mark.to_string(),
        raised: time(flag.raised_at_unix_ms).unwrap_or_default(),
        cleared: time(flag.cleared_at_unix_ms),
    });
    let clocks = shown.clocks.iter().map(|clock| ClockLine {
        clock: clock.clock.clone(),
        started: time(clock.started_at_unix_ms).unwrap_or_default(),
        due: time(clock.due_at_unix_ms).unwrap_or_default(),
        state: clock.state.clone(),
        ended: time(clock.ended_at_unix_ms),
    });
    let plan = shown.plan.iter().map(|action| ActionLine {
        action: action.action.clone(),
        word: action.word.clone(),
        owner: action.owner.clone(),
        person: label(labels, &action.person).to_owned(),
        what: action.what.clone(),
        due: time(action.due_at_unix_ms),
        state: action.state.clone(),
        since: time(action.since_unix_ms),
    });
    let events = shown.events.iter().map(|event| {
        let people: BTreeSet<&str> = event.people.iter().map(|p| label(labels, p)).collect();
        let about =
            people.into_iter().chain([event.agency.as_str()]).filter(|text| !text.is_empty());
        let about: String = about.map(|text| format!(" {text}")).collect();
        format!("{} {}{about}", time(event.at_unix_ms).unwrap_or_default(), event.word)
    });
    let lead = shown.lead.as_ref().map(|lead| match lead.role.as_str() {
        "" => lead.agency.clone(),
        role => format!("{}, {role}", lead.agency),
    });
    let closed = shown.closed.as_ref().map(|closed| {
        format!("{} {}", time(closed.at_unix_ms).unwrap_or_default(), closed.outcome)
    });
    LifeReport {
        flags: flags.collect(),
        clocks: clocks.collect(),
        events: events.collect(),
        plan: plan.collect(),
        lead,
        closed,
        rows,
    }
}

/// Whether a flag came and went in one moment of the stage's clock: whether anybody looked in between is chance.
pub fn is_momentary(flag: &pb::Flag) -> bool {
    flag.raised_at_unix_ms == flag.cleared_at_unix_ms
}

fn mark_of(flag: &pb::Flag, labels: &Labels) -> Mark {
    Mark::found(&flag.flag, &flag.agency, label(labels, &flag.person))
}

/// The label of somebody; `?` for somebody whom nobody entered.
fn label<'a>(labels: &'a Labels, person: &str) -> &'a str {
    match person {
        "" => "",
        person => labels.get(person).map_or("?", String::as_str),
    }
}

/// A moment of the hub's, relative to the start; `None` when there is none.
fn when(unix_ms: i64, start: Timestamp) -> Option<At> {
    let moment = (unix_ms != 0).then(|| Timestamp::from_millisecond(unix_ms).ok()).flatten();
    moment.map(|moment| At::of(moment, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(word: &str, agency: &str, person: &str, cleared_at_unix_ms: i64) -> pb::Flag {
        pb::Flag {
            flag: word.to_owned(),
            agency: agency.to_owned(),
            person: person.to_owned(),
            raised_at_unix_ms: 1,
            cleared_at_unix_ms,
        }
    }

    fn an_enquiry() -> (pb::ShowResponse, Labels) {
        let flags = vec![
            flag("missing_rating", "MHT", "ref-1", 60_000),
            flag("missing_rating", "MHT", "ref-2", 0),
            flag("uprated", "", "ref-1", 0),
            flag("nfa_blocked", "", "", 5),
        ];
        let clock = pb::Clock {
            clock: "section_47".to_owned(),
            started_at_unix_ms: 3_000_000,
            due_at_unix_ms: 89_400_000,
            state: "met".to_owned(),
            ended_at_unix_ms: 62_400_000,
        };
        let shown = pb::ShowResponse { flags, clocks: vec![clock], ..pb::ShowResponse::default() };
        let labels = [("ref-1", "P1"), ("ref-2", "P2")];
        (shown, labels.map(|(r, l)| (r.to_owned(), l.to_owned())).into())
    }

    fn check(text: &str) -> Check {
        toml::from_str(&format!("at = '+1h'\n{text}")).unwrap()
    }

    fn differences(text: &str) -> Vec<String> {
        let (shown, labels) = an_enquiry();
        let rows = rows(&check(text), &shown, Timestamp::UNIX_EPOCH, &labels);
        rows.into_iter().filter_map(|row| row.difference).collect()
    }

    #[test]
    fn a_flag_that_does_not_stand_is_told_and_so_is_one_that_must_not() {
        let found = differences(
            "flags = ['missing_rating MHT P1', 'divergence', 'missing_rating MHT']\n\
             no_flags = ['uprated', 'nfa_blocked', 'missing_rating POL']",
        );
        assert_eq!(
            found,
            [
                "flag missing_rating MHT P1: expected stands, found cleared",
                "flag divergence: expected stands, found never raised",
                "flag uprated standing: expected no, found stands",
            ]
        );
    }

    #[test]
    fn a_clock_is_compared_in_what_is_expected_of_it_and_nothing_else() {
        let clock = |rest: &str| format!("clocks = [{{ clock = 'section_47', {rest} }}]");
        let right = "started = '+50m', due = '+24h50m', state = 'met', ended = '+17h20m'";
        assert!(differences(&clock(right)).is_empty());
        assert!(differences(&clock("state = 'met'")).is_empty());
        assert_eq!(
            differences(&clock("due = '+24h50m1s', state = 'running'")),
            ["clock section_47: expected running, due +1d0h50m01s, found met, due +1d0h50m"]
        );
        assert_eq!(
            differences("clocks = [{ clock = 'response', state = 'met' }]"),
            ["clock response: expected met, found no such clock"]
        );
    }

    #[test]
    fn flags_at_the_end_are_those_that_came_stayed_and_went() {
        let (shown, labels) = an_enquiry();
        let flags: Flags = toml::from_str(
            "appear = ['uprated P1', 'uprated P2']\ncleared = ['nfa_blocked', 'missing_rating']\n\
             standing = ['missing_rating P2', 'nfa_blocked']\nnever = ['divergence', 'uprated']",
        )
        .unwrap();
        let rows = at_the_end(&flags, &shown, &labels);
        let wrong: Vec<&str> = rows.iter().filter_map(|row| row.difference.as_deref()).collect();
        assert_eq!(
            wrong,
            [
                "flag uprated P2: expected raised, found never raised",
                "flag missing_rating in the end: expected cleared, found stands",
                "flag nfa_blocked in the end: expected stands, found cleared",
                "flag uprated in the end: expected never raised, found stands",
            ]
        );
    }

    #[test]
    fn what_stands_in_the_way_is_compared_as_a_set() {
        let mut shown = pb::ShowResponse::default();
        let labels = Labels::from([("ref-1".to_owned(), "P1".to_owned())]);
        let stands = |condition: &str, agency: &str, person: &str| pb::Unmet {
            condition: condition.to_owned(),
            agency: agency.to_owned(),
            person: person.to_owned(),
        };
        shown.unmet = vec![
            stands("missing_rating", "MHT", "ref-1"),
            stands("lead_professional_missing", "", ""),
        ];
        let row = |texts: &[&str]| {
            let marks: Vec<Mark> = texts.iter().map(|text| text.parse().unwrap()).collect();
            unmet("it", marks.iter(), &shown, &labels)
        };
        assert!(row(&["lead_professional_missing", "missing_rating MHT P1"]).ok);
        assert!(!row(&["lead_professional_missing", "missing_rating MHT"]).ok);
        assert!(!row(&["lead_professional_missing"]).ok);
        assert_eq!(row(&[]).expected, "nothing");
    }
}
