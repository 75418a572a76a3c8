//! Every scenario, played by the demo on real processes. What it printed is compared here with the tables by hand, and
//! with the decision cases of the corpus, not with the scenario file that it plays.
//!
//! Everything is asserted of one run of each, because a run takes ten seconds: first what must not be, then what must.

use std::{
    path::Path,
    process::{Command, Stdio},
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

    /// The cells of an agency at the `n`th check, in the order of the people.
    fn cells(&self, n: usize, agency: &str) -> Vec<&str> {
        let lines = self.0["checks"][n]["matrix"].as_array().unwrap();
        let line = lines.iter().find(|line| line["agency"] == agency).unwrap();
        found(&line["cells"])
    }

    fn levels(&self, n: usize) -> Vec<&str> {
        found(&self.0["checks"][n]["levels"])
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
    assert_eq!(s1.finally("1.5b", "DAS")["decision"], "review");
    let released = s1.finally("1.11", "CSC");
    assert_eq!(released["decision"], "release");
    assert!(has(&released["obligations"], "NO_HOME_CONTACT"));
    assert_eq!(s1.n_opened(), 15);
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
}

#[test]
fn s4_comes_out_as_it_is_written() {
    let s4 = Played::new("s4.toml");
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
}
