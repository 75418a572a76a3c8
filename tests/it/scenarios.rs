//! Every scenario, played by the demo on real processes. What it printed is compared here with the tables by hand, and
//! with the decision cases of the corpus, not with the scenario file that it plays.
//!
//! Everything is asserted of one run of each, because a run takes ten seconds: first what must not be, then what must.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::Value;

/// What came of a play that ended as expected.
pub(crate) struct Played(pub(crate) Value);

impl Played {
    fn new(scenario: &str) -> Self {
        Self::with(scenario, &[])
    }

    /// A play whose data stays in a folder, so that its logs can be read.
    pub(crate) fn keeping(scenario: &str, folder: &Path) -> Self {
        Self::with(scenario, &["--data", folder.to_str().unwrap()])
    }

    fn with(scenario: &str, args: &[&str]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(scenario);
        let output = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["--json", "--people", "100", "--scenario"])
            .arg(file)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (said, printed) =
            (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(0), "{said}\n{printed}");
        let played = Self(serde_json::from_str(&printed).unwrap());
        played.nothing_leaked();
        played.logs_agree();
        assert_eq!(played.0["passed"], true);
        played
    }

    /// CA1: no payload is anywhere but sealed, no name in a log, in metrics or in output.
    fn nothing_leaked(&self) {
        let sweeps = self.0["sweeps"].as_array().unwrap();
        assert_eq!(sweeps.len(), 2);
        for sweep in sweeps {
            assert_eq!(sweep["leaks"].as_array().unwrap().len(), 0);
            assert!(sweep["n_files"].as_u64().unwrap() > 100);
        }
    }

    /// CA2: every log verifies, and every decision stands once at the holder and once at the hub.
    fn logs_agree(&self) {
        assert_eq!(self.0["logs"].as_array().unwrap().len(), 15);
        let receipts = self.0["receipts"].as_array().unwrap();
        assert_eq!(receipts.len(), self.rows().len());
        for receipt in receipts {
            assert_eq!(receipt["expected"], receipt["found"], "{receipt}");
        }
        let reconciled = &self.0["reconciled"];
        assert_eq!((&reconciled["one_sided"], &reconciled["different"]), (&0.into(), &0.into()));
        assert!(reconciled["agreed"].as_u64().unwrap() > 50, "{reconciled}");
    }

    pub(crate) fn rows(&self) -> &[Value] {
        self.0["releases"].as_array().unwrap()
    }

    fn row(&self, id: &str, recipient: &str) -> &Value {
        let found = self.rows().iter().find(|row| row["id"] == id && row["recipient"] == recipient);
        found.unwrap_or_else(|| panic!("no row {id} to {recipient}"))
    }

    /// The `n`th check of the matrix.
    fn check(&self, n: usize) -> &Value {
        let checks = self.0["checks"].as_array().unwrap();
        let of_cells = |check: &&Value| !check["matrix"].as_array().unwrap().is_empty();
        checks.iter().filter(of_cells).nth(n).unwrap()
    }

    /// The cells of an agency at the `n`th check of the matrix, in the order of the people.
    fn cells(&self, n: usize, agency: &str) -> Vec<&str> {
        let lines = self.check(n)["matrix"].as_array().unwrap();
        let line = lines.iter().find(|line| line["agency"] == agency).unwrap();
        found(&line["cells"])
    }

    fn levels(&self, n: usize) -> Vec<&str> {
        found(&self.check(n)["levels"])
    }

    /// Nobody of these agencies knows anybody.
    fn nobody_at(&self, n: usize, agencies: &[&str]) {
        for agency in agencies {
            assert!(self.cells(n, agency).iter().all(|cell| *cell == "NK"), "{agency}");
        }
    }

    /// Compares every decision with the cases of the corpus; gives how many there were.
    fn equals_the_cases(&self, cases: &str) -> usize {
        let cases: Value = serde_json::from_str(cases).unwrap();
        let mut n_compared = 0;
        for request in cases["requests"].as_array().unwrap() {
            let id = request["id"].as_str().unwrap();
            for (recipient, expected) in request["expect"].as_object().unwrap() {
                let decided = &self.row(id, recipient)["decided"];
                assert_eq!(decided["decision"], expected["decision"], "{id} {recipient}");
                if let Some(reason) = expected["reason"].as_str() {
                    assert_eq!(decided["reason"], reason, "{id} {recipient}");
                }
                if let Some(approvals) = expected["approvals"].as_u64() {
                    assert_eq!(decided["approvals"], approvals, "{id} {recipient}");
                }
                n_compared += 1;
            }
        }
        n_compared
    }

    /// What a row came to after people at the holder had acted.
    fn finally(&self, id: &str, recipient: &str) -> &Value {
        &self.row(id, recipient)["finally"]
    }

    /// How many recipients opened something and read exactly what the holder holds.
    fn n_opened(&self) -> usize {
        self.rows().iter().filter(|row| row["opened"]["ok"] == true).count()
    }

    /// Flags of a word, as the scenario would write them, in the order in which they were raised.
    fn flags(&self, word: &str) -> Vec<&str> {
        let all = self.life("flags").iter().map(|line| line["flag"].as_str().unwrap());
        all.filter(|flag| flag.split(' ').next() == Some(word)).collect()
    }

    /// When a flag was raised, and when cleared, relative to the start; no text while it stands.
    fn flag(&self, flag: &str) -> (&str, &str) {
        let line = self.life("flags").iter().find(|line| line["flag"] == flag);
        let line = line.unwrap_or_else(|| panic!("{flag} was never raised"));
        (line["raised"].as_str().unwrap(), line["cleared"].as_str().unwrap_or_default())
    }

    /// The section 47 clock: started, due, how it stands, and when it was met.
    fn section_47(&self) -> [&str; 4] {
        let clock = self.life("clocks").iter().find(|line| line["clock"] == "section_47").unwrap();
        ["started", "due", "state", "ended"].map(|field| clock[field].as_str().unwrap_or_default())
    }

    fn life(&self, part: &str) -> &[Value] {
        self.0["life"][part].as_array().unwrap()
    }

    /// CA5: closing with nothing done is refused, and then it is closed with something that is done.
    fn is_closed_with_something_done(&self, tried: &str, outcome: &str, closed: &str) {
        let tried = format!("closing with no_further_action at {tried}");
        assert_eq!(self.act(&tried), "refused NFA_BLOCKED");
        assert_eq!(self.act(&format!("closing with {outcome} at {closed}")), "closed");
        assert_eq!(self.0["life"]["closed"], format!("{closed} {outcome}"));
        assert!(!self.flags("nfa_blocked").is_empty());
    }

    fn act(&self, what: &str) -> &str {
        let mut acts = self.0["acts"].as_array().unwrap().iter();
        let act = acts.find(|act| act["what"] == what).unwrap_or_else(|| panic!("not: {what}"));
        act["found"].as_str().unwrap()
    }
}

fn found(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["found"].as_str().unwrap()).collect()
}

fn has(obligations: &Value, wanted: &str) -> bool {
    obligations.as_array().unwrap().iter().any(|obligation| obligation == wanted)
}

#[test]
fn s1_comes_out_as_it_is_written() {
    let s1 = Played::new("s1.toml");
    s1.nobody_at(0, &["MHT", "PRO", "EHT", "ASC", "CAM", "YOS", "MRC"]);
    assert_eq!(s1.cells(0, "POL"), ["A", "A", "G", "G", "G", "NK"]);
    assert_eq!(s1.cells(0, "CSC"), ["G", "G", "G", "G", "G", "NK"]);
    assert_eq!(s1.cells(0, "HLT"), ["A", "NK", "G", "G", "G", "NK"]);
    assert_eq!(s1.cells(0, "EDU"), ["NK", "NK", "A", "G", "NK", "NK"]);
    assert_eq!(s1.cells(0, "HOU"), ["G", "G", "NK", "NK", "NK", "NK"]);
    assert_eq!(s1.cells(0, "DAS"), ["R", "R", "A", "A", "A", "NK"]);
    assert_eq!(s1.cells(0, "SMS"), ["NK", "R", "R via P2", "R via P2", "R via P2", "NK"]);
    assert_eq!(s1.levels(0), ["R", "R", "R", "R", "R", "-"]);
    let cases = include_str!("../corpus/agreements/exampleshire/s1.json");
    assert_eq!(s1.equals_the_cases(cases), 24);
    assert_eq!(s1.finally("1.2", "CSC")["reason"], "APPROVER_REFUSED");
    assert_eq!(s1.row("1.5b", "DAS")["decided"]["approvals"], 2);
    assert_eq!(s1.finally("1.5b", "DAS")["reason"], "APPROVAL_TIMEOUT");
    let released = s1.finally("1.11", "CSC");
    assert_eq!(released["decision"], "release");
    assert!(has(&released["obligations"], "NO_HOME_CONTACT"));
    assert_eq!(s1.n_opened(), 15);
    assert_eq!(s1.flags("missing_rating").len(), 0);
    assert_eq!(s1.flags("divergence"), ["divergence P3", "divergence P4", "divergence P5"]);
    assert_eq!(s1.section_47(), ["+4h50m", "+1d4h50m", "met", "+8h30m"]);
    // Actions for everybody but him are none about him.
    assert_eq!(s1.flag("no_action_perpetrator P2"), ("+0h00m", "+5h40m"));
    assert_eq!(s1.act("action A-9 for P1"), "refused ACTION_OWNER_IS_FAMILY");
    assert_eq!(s1.act("action A-9 for family"), "refused ACTION_OWNER_IS_FAMILY");
    s1.is_closed_with_something_done("+2h50m", "multi_agency_plan", "+9h10m");
}

#[test]
fn s2_comes_out_as_it_is_written() {
    let s2 = Played::new("s2.toml");
    // One agency that is away keeps no other answer back, and its silence is not a colour.
    assert!(s2.cells(0, "MHT").iter().all(|cell| cell.starts_with("NR ")));
    assert_eq!(s2.cells(1, "MHT"), ["NK late"; 4]);
    for n in [0, 1] {
        s2.nobody_at(n, &["PRO", "EHT", "ASC", "CAM", "YOS", "MRC"]);
        assert_eq!(s2.cells(n, "POL"), ["G", "A", "G", "NK"]);
        assert_eq!(s2.cells(n, "CSC"), ["A", "A", "A", "NK"]);
        assert_eq!(s2.cells(n, "HLT"), ["R", "NK", "A", "NK"]);
        assert_eq!(s2.cells(n, "DAS"), ["R", "R", "A", "NK"]);
        assert_eq!(s2.cells(n, "EDU"), ["NK", "NK", "G", "NK"]);
        assert_eq!(s2.cells(n, "HOU"), ["G", "G", "NK", "NK"]);
        assert_eq!(s2.cells(n, "SMS"), ["NK", "A", "NK", "NK"]);
        assert_eq!(s2.levels(n), ["R", "R", "A", "-"]);
    }
    let cases = include_str!("../corpus/agreements/exampleshire/s2.json");
    assert_eq!(s2.equals_the_cases(cases), 17);
    assert_eq!(s2.row("2.10a", "CSC")["decided"]["decision"], "no_response");
    let to_the_specialist = s2.finally("2.2", "MHT");
    assert_eq!(to_the_specialist["decision"], "release");
    assert!(!has(&to_the_specialist["obligations"], "DO_NOT_TELL_SUBJECT"));
    let safety_plan = s2.finally("2.7", "CSC");
    assert_eq!(safety_plan["decision"], "release");
    assert!(has(&safety_plan["obligations"], "THIRD_PARTY_REDACTED"));
    assert_eq!(s2.n_opened(), 12);
    for word in ["s47_clock_started", "marac_threshold_met"] {
        assert_eq!(s2.flags(word).len(), 0, "{word}");
    }
    for person in ["P1", "P2", "P3", "P4"] {
        let missing = s2.flag(&format!("missing_rating MHT {person}"));
        assert_eq!(missing, ("+0h00m", "+3h15m"));
    }
    assert_eq!(s2.flag("specialist_prompt MHT P1"), ("+0h40m", ""));
    assert_eq!(s2.0["life"]["lead"], "HLT, health visitor");
    s2.is_closed_with_something_done("+0h30m", "specialist_support", "+5h00m");
}

/// S4, played once for every test that looks at it.
static S4: LazyLock<Played> = LazyLock::new(|| Played::new("s4.toml"));

#[test]
fn s4_comes_out_as_it_is_written() {
    let s4 = &*S4;
    let (friday, saturday, monday_at_8, monday) = (0, 1, 2, 3);
    assert_eq!(s4.cells(friday, "HOU"), ["UN AUDIT_UNAVAILABLE"; 6]);
    assert_eq!(s4.cells(friday, "PRO"), ["NK", "PE", "NK", "NK", "NK", "NK"]);
    for n in [friday, saturday] {
        assert_eq!(s4.cells(n, "EDU"), ["NK", "NK", "PE", "PE", "NK", "NK"]);
    }
    let silent = s4.cells(monday_at_8, "EDU");
    assert!(silent[2].starts_with("NR ") && silent[3].starts_with("NR "), "{silent:?}");
    assert_eq!(s4.cells(monday, "EDU"), ["NK", "NK", "A late", "R late", "NK", "NK"]);
    for n in [saturday, monday_at_8, monday] {
        assert_eq!(s4.cells(n, "PRO"), ["NK", "R", "NK", "NK", "NK", "NK"]);
        assert_eq!(s4.cells(n, "HOU"), ["G", "NK", "NK", "NK", "NK", "NK"]);
    }
    for n in [friday, saturday, monday_at_8, monday] {
        s4.nobody_at(n, &["SMS", "MHT", "EHT", "ASC", "CAM", "YOS", "MRC"]);
        assert_eq!(s4.cells(n, "POL"), ["R", "R", "A", "A", "NK", "NK"]);
        assert_eq!(s4.cells(n, "CSC"), ["A", "R", "R", "R", "G", "G"]);
        assert_eq!(s4.cells(n, "DAS"), ["R", "R", "A", "A", "NK", "NK"]);
        assert_eq!(s4.cells(n, "HLT"), ["A", "NK", "A", "A", "NK", "NK"]);
        assert_eq!(s4.levels(n), ["R", "R", "R", "R", "G", "G"]);
    }
    let cases = include_str!("../corpus/agreements/exampleshire/s4.json");
    assert_eq!(s4.equals_the_cases(cases), 24);
    for (id, recipient) in [("4.2b", "CSC"), ("4.4b", "PRO"), ("4.5", "CSC")] {
        assert_eq!(s4.finally(id, recipient)["decision"], "release", "{id}");
    }
    assert!(has(&s4.finally("4.4b", "PRO")["obligations"], "ROLE_CONFLICT_NOTE"));
    assert_eq!(s4.n_opened(), 15);
    assert_eq!(s4.section_47(), ["+0h50m", "+1d0h50m", "met", "+17h20m"]);
    assert_eq!(s4.flags("s47_clock_breached").len(), 0);
    assert_eq!(s4.flag("missing_rating PRO P2").1, "+10h50m");
    assert_eq!(s4.flag("missing_rating HOU P1").1, "+11h51m");
    assert_eq!(s4.flag("no_action_perpetrator P2"), ("+0h00m", "+13h00m"));
    assert_eq!(s4.flag("encompass_due P4").1, "+2d9h20m");
    for flag in ["specialist_prompt SMS P2", "specialist_prompt MHT P1"] {
        assert!(s4.flags("specialist_prompt").contains(&flag), "{flag}");
    }
    // The school is heard on Monday; before that nobody closes it.
    let early = s4.act("in the way of closing at +17h30m");
    assert_eq!(early, "missing_rating EDU P3, missing_rating EDU P4");
    assert_eq!(s4.act("closing with child_protection_plan at +17h30m"), "refused CLOSE_BLOCKED");
    s4.is_closed_with_something_done("+12h10m", "child_protection_plan", "+2d11h10m");
}

/// The variant in which nobody decides: a second after 24 hours the clock has run out, and still nothing is closed.
#[test]
fn s4x_breaches_the_section_47_clock_and_stays_open() {
    let s4x = Played::new("s4x.toml");
    assert_eq!(s4x.section_47(), ["+0h50m", "+1d0h50m", "breached", ""]);
    assert_eq!(s4x.flag("s47_clock_breached"), ("+1d0h50m", ""));
    assert_eq!(s4x.flags("s47_clock_met").len(), 0);
    assert_eq!(s4x.act("closing with no_further_action at +12h10m"), "refused NFA_BLOCKED");
    assert_eq!(s4x.act("closing with child_protection_plan at +1d0h55m"), "refused CLOSE_BLOCKED");
    assert!(s4x.0["life"]["closed"].is_null());
}

/// The hub is killed before everything that happens, about eighty times, with what came before still on its way. The
/// enquiry, its flags and clocks, every decision and every refusal come out as without that.
#[test]
fn s4_comes_out_the_same_when_the_hub_is_killed_at_every_step() {
    let killed = Played::with("s4.toml", &["--kill-hub-at-every-step"]);
    for part in ["shown", "life", "checks", "acts", "inboxes", "receipts"] {
        assert_eq!(killed.0[part], S4.0[part], "{part}");
    }
    assert_eq!(killed.rows().len(), S4.rows().len());
}

/// The last weekend of March: the night from Saturday to Sunday has twenty-three hours. Nothing that is counted in hours
/// and days may notice.
#[test]
fn s4_comes_out_the_same_when_clocks_change() {
    let s4 = Played::with("s4.toml", &["--start", "2027-03-26T22:10:00Z"]);
    let cases = include_str!("../corpus/agreements/exampleshire/s4.json");
    assert_eq!(s4.equals_the_cases(cases), 24);
    // Saturday 09:05 and seven times 24 hours: 10:05 summer time.
    assert_eq!(s4.row("4.1", "CSC")["decided"]["view_until"], "2027-04-03T09:05:00Z");
    assert_eq!(s4.cells(3, "EDU"), ["NK", "NK", "A late", "R late", "NK", "NK"]);
    // 24 hours that passed, whatever the clock on the wall said.
    assert_eq!(s4.section_47(), ["+0h50m", "+1d0h50m", "met", "+17h20m"]);
}

#[test]
fn s5_comes_out_as_it_is_written() {
    let s5 = Played::new("s5.toml");
    assert_eq!(s5.act("HOU gives P1 blue"), "refused BLUE_NOT_PERMITTED_DA");
    s5.nobody_at(0, &["SMS", "MHT", "PRO", "EHT", "ASC", "CAM", "YOS", "MRC"]);
    assert_eq!(s5.cells(0, "POL"), ["G", "A", "G", "G"]);
    assert_eq!(s5.cells(0, "CSC"), ["G", "G", "G", "G"]);
    assert_eq!(s5.cells(0, "HLT"), ["G", "NK", "A", "G"]);
    assert_eq!(s5.cells(0, "EDU"), ["NK", "NK", "G", "G"]);
    assert_eq!(s5.cells(0, "DAS"), ["A", "A", "G", "G"]);
    assert_eq!(s5.cells(0, "HOU"), ["G", "NK", "NK", "NK"]);
    assert_eq!(s5.levels(0), ["A", "A", "A", "G"]);
    let cases = include_str!("../corpus/agreements/exampleshire/s5.json");
    assert_eq!(s5.equals_the_cases(cases), 13);
    for recipient in ["DAS", "CSC"] {
        assert_eq!(s5.finally("5.3a", recipient)["decision"], "release");
    }
    assert_eq!(
        s5.row("5.1a", "EDU")["decided"]["would_be_released_if"][0],
        "the person agrees to it"
    );
    for recipient in ["EDU", "CAM"] {
        let agreed = &s5.row("5.1b", recipient)["decided"];
        assert_eq!(agreed["view_until"], "2027-05-11T14:00:00Z");
        assert!(!has(&agreed["obligations"], "DO_NOT_TELL_SUBJECT"));
    }
    // No view outlives the agreement that it rests on.
    assert_eq!(s5.row("5.4b", "CSC")["decided"]["view_until"], "2027-05-11T13:30:00Z");
    assert_eq!(s5.n_opened(), 7);
    // One takes her agreement back, and both recipients lose what they had; what rests on the other's stays until its time
    // has passed.
    for (agency, row) in [("CSC", "5.4b"), ("EHT", "5.4c")] {
        assert_eq!(s5.act(&format!("{row} is taken back from {agency}")), "CONSENT_WITHDRAWN");
        let known = s5.act(&format!("{agency} has acknowledged that {row} is taken back"));
        assert_eq!(known, "known to the hub");
        assert_eq!(s5.act(&format!("{agency} opens {row} at +7d0h05m")), "refused view_retracted");
    }
    assert_eq!(s5.act("EDU opens 5.1b at +7d0h20m"), "the holder's text");
    assert_eq!(s5.act("EDU opens 5.1b at +31d0h00m"), "refused view_expired");
    assert_eq!(s5.row("5.8", "CSC")["decided"]["reason"], "CONSENT_WITHDRAWN");
    for word in ["s47_clock_started", "s47_clock_met", "s47_clock_breached", "marac_threshold_met"]
    {
        assert_eq!(s5.flags(word).len(), 0, "{word}");
    }
    assert_eq!(s5.flag("no_action_perpetrator P2"), ("+0h00m", "+5h54m"));
    assert_eq!(s5.flag("blue_rejected HOU"), ("+0h20m", "+0h35m"));
    assert_eq!(s5.flag("early_help_route"), ("+5h54m", ""));
    assert_eq!(s5.0["life"]["lead"], "CSC, social worker");
    s5.is_closed_with_something_done("+0h45m", "early_help_assessment", "+31d0h10m");
}
