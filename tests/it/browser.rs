//! The consoles in a browser: scenarios that people play on pages, with every check of the player unchanged; and what must be so
//! on every page, whoever works it and however. Nobody is shut out, nothing foreign runs, nothing leaves.
//!
//! What is looked at on each page, in each state and of each answer is said in `browser/observer.mjs`.

use std::{path::Path, sync::Arc};

use brag_tests::{
    browser::Browser,
    partnership,
    player::{self, Consoles, KillHub, Narrator, Options, Played},
    scenario::Scenario,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// How pages are worked, by the words of the driver.
const WAYS: [&str; 5] = ["pointer", "no script", "keyboard", "narrow screen", "zoom of 400 %"];

/// A play in which some people use consoles.
struct Play {
    browser: Arc<Browser>,
    scenario: Scenario,
    narrator: Narrator,
    played: Played,
    _folder: tempfile::TempDir,
}

impl Play {
    async fn of_file(file: &str, of: &[&str], only: &[&'static str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file);
        Self::of(&path, &std::fs::read_to_string(&path).unwrap(), of, only).await
    }

    /// Plays a scenario in which the people of these programs do these acts, or every act, on pages.
    async fn of(path: &Path, text: &str, of: &[&str], only: &[&'static str]) -> Self {
        let agencies = partnership::sample_parties().unwrap();
        let scenario = Scenario::parse(path, text, &agencies).unwrap();
        // Pictures of pages on which something went wrong.
        let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/browser/shots");
        let browser = Arc::new(Browser::start(shots).unwrap());
        let consoles = Consoles {
            browser: Arc::clone(&browser),
            of: of.iter().map(|name| (*name).to_owned()).collect(),
            only: only.iter().copied().collect(),
        };
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            folder: folder.path().join("play"),
            n_people: 60,
            kill_hub: KillHub::AsWritten,
            consoles: Some(consoles),
        };
        let (narrator, never) = (Narrator::default(), CancellationToken::new());
        let played = player::play(&scenario, options, &narrator, &never).await;
        let played = played.unwrap_or_else(|error| panic!("{error:#}"));
        Self { browser, scenario, narrator, played, _folder: folder }
    }

    /// One more act, after the play.
    async fn act(&self, program: &str, who: &str, act: &str, what: Value) -> Value {
        let done = self.played.on_page((program, who), act, what).await;
        done.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Ends it: everything came out as it is written, and nothing was found on any page. What the driver tells.
    async fn end(mut self) -> Value {
        let told = self.browser.act(json!({ "act": "tell" })).await.unwrap();
        self.browser.close().await.unwrap();
        self.played.stop(&self.narrator).await.unwrap();
        self.played.look_back(&self.scenario, &self.narrator).await.unwrap();
        let faults = told["faults"].as_array().unwrap();
        let faults: Vec<&str> = faults.iter().map(|fault| fault.as_str().unwrap()).collect();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        let report = player::text(&self.played.report, brag_hub::render::Paint::Plain);
        assert!(self.played.report.passed, "{report}");
        told
    }
}

/// How often an act was done in a way.
fn n_done(told: &Value, act: &str, way: &str) -> u64 {
    told["done"][act][way].as_u64().unwrap_or_default()
}

/// From opening to close: co-ordinators, and the people of two agencies, do everything on pages; the other agencies use commands.
/// Then information governance reviews it, everybody follows every link, and everything that can be wrong is.
#[tokio::test(flavor = "multi_thread")]
async fn s1_is_played_from_opening_to_close_on_the_pages_of_the_hub_and_two_nodes() {
    let play = Play::of_file("s1.toml", &["hub", "CSC", "DAS"], &[]).await;
    let review =
        json!({ "enquiry": play.played.report.enquiry, "month": "2027-02", "way": "pointer" });
    let reviewed = play.act("hub", "hub.auditor", "review an enquiry", review).await;
    assert!(reviewed["entries"].as_u64().unwrap() > 20, "{reviewed}");
    assert_eq!(reviewed["handled"], 1, "{reviewed}");
    assert!(reviewed["figures"].as_u64().unwrap() > 0, "{reviewed}");
    for (program, who) in [
        ("hub", "hub.coordinator"),
        ("hub", "hub.auditor"),
        ("hub", "hub.governance1"),
        ("CSC", "csc.assessor"),
        ("CSC", "csc.approver1"),
    ] {
        let seen = play.act(program, who, "crawl", json!({ "way": "pointer" })).await;
        assert!(seen["pages"].as_u64().unwrap() > 0, "{who}: {seen}");
    }
    for way in ["narrow screen", "zoom of 400 %"] {
        for (program, who) in
            [("hub", "hub.coordinator"), ("hub", "hub.auditor"), ("CSC", "csc.assessor")]
        {
            play.act(program, who, "crawl", json!({ "way": way })).await;
        }
    }
    for (program, who) in [("hub", "hub.coordinator"), ("CSC", "csc.assessor")] {
        play.act(program, who, "look at what is wrong", json!({ "way": "pointer" })).await;
    }
    let told = play.end().await;
    for way in WAYS {
        for act in ["rate", "ask for detail", "open detail"] {
            assert!(n_done(&told, act, way) > 0, "nobody tried to {act} with {way}");
        }
    }
    let renewed = told["figures"].as_object().unwrap();
    assert!(!renewed.is_empty(), "nobody watched a matrix");
    println!(
        "pages in {} states, {} answers, {renewed:?}",
        told["states"].as_array().unwrap().len(),
        told["answers"]
    );
}

/// The withdrawal of a person's agreement: recorded, taken back, and acknowledged by both recipients on pages.
#[tokio::test(flavor = "multi_thread")]
async fn s5_takes_agreement_back_on_the_pages_of_those_who_recorded_and_received_it() {
    let acts = ["record consent", "withdraw consent", "acknowledge", "open detail"];
    let play = Play::of_file("s5.toml", &["DAS", "HLT", "CSC", "EHT"], &acts).await;
    let told = play.end().await;
    for act in acts {
        assert!(WAYS.iter().any(|way| n_done(&told, act, way) > 0), "nobody tried to {act}");
    }
}

/// Markup, script, formulae, marks that turn writing round, letters under hundreds of marks and words without an end, in every text
/// that people of other agencies can write: they are shown as what they are, run nowhere and break no page.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_run_nowhere_and_break_no_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/hostile.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let marks = |on: &str, n: usize| format!("{on}{}", "\u{0301}\u{0323}\u{0489}".repeat(n / 3));
    let text = text
        .replace("OTHERMARKS", &marks("o", 120))
        .replace("FEWMARKS", &marks("e", 120))
        .replace("MARKS", &marks("a", 600))
        .replace("LINEWORD", &"v".repeat(400))
        .replace("NAMEWORD", &"w".repeat(190))
        .replace("WORD", &"w".repeat(1000))
        .replace("TURNED", "\u{202e}");
    let everybody =
        ["open detail", "rate", "ask for detail", "plan an action", "record a meeting", "open"];
    let play = Play::of(&path, &text, &["hub", "CSC"], &everybody).await;
    for way in ["pointer", "narrow screen"] {
        for (program, who) in [
            ("hub", "hub.coordinator"),
            ("hub", "hub.auditor"),
            ("CSC", "csc.assessor"),
            ("POL", "pol.assessor"),
        ] {
            play.act(program, who, "crawl", json!({ "way": way })).await;
        }
    }
    play.end().await;
}
