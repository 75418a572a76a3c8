//! The plays, each of which is played once, for every test that asks what came of it.

use std::{path::Path, sync::Arc};

use brag_common::{
    console::testing::ORIGIN,
    time::{Clock as _, SystemClock},
};
use brag_tests::{
    browser::Browser,
    partnership::{self, AUDITOR, AUDITOR_COLLEAGUES, COORDINATOR, HUB_GOVERNANCE},
    player::{self, Consoles, KillHub, Narrator, Options, Played},
    scenario::Scenario,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// What is done on pages in the play about agreement that is taken back.
pub(super) const CONSENT_ACTS: [&str; 4] =
    ["record consent", "withdraw consent", "acknowledge", "open detail"];

/// What marks the hostile detail, which leaves no program but to its recipient.
pub(super) const MARKERS: [&str; 3] =
    ["OPEN-HOSTILE-POL-P1-C11", "OPEN-HOSTILE-POL-P2-C14", "OPEN-HOSTILE-CSC-P2-C01"];

/// A play in which some people use consoles.
struct Play {
    browser: Arc<Browser>,
    scenario: Scenario,
    narrator: Narrator,
    played: Played,
    _folder: tempfile::TempDir,
}

/// Where pictures of pages go on which something went wrong.
fn shots() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/browser/shots")
}

/// What the driver tells at the end; nothing may have been found on any page.
async fn told_by(browser: &Browser) -> Value {
    let told = browser.act(json!({ "act": "tell" })).await.unwrap();
    browser.close().await.unwrap();
    let faults = told["faults"].as_array().unwrap();
    let faults: Vec<&str> = faults.iter().map(|fault| fault.as_str().unwrap()).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    told
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
        let browser = Arc::new(Browser::start(shots()).unwrap());
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
    async fn act(&self, program: &str, who: &str, act: &str, mut what: Value) -> Value {
        if what.get("enquiry").is_none() {
            what["enquiry"] = self.played.report.enquiry.clone().into();
        }
        let done = self.played.on_page((program, who), act, what).await;
        done.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Everybody here follows every link.
    async fn crawl(&self, everybody: &[(&str, &str)], way: &str) {
        for (program, who) in everybody {
            let seen = self.act(program, who, "crawl", json!({ "way": way })).await;
            assert!(seen["pages"].as_u64().unwrap() > 0, "{who}: {seen}");
        }
    }

    /// Who somebody is, as they say it of themselves.
    fn identity(&self, label: &str) -> Value {
        let known = self.scenario.person.iter().find(|person| person.label.get_ref() == label);
        let known = known.unwrap_or_else(|| panic!("no {label}"));
        json!({
            "given": known.given,
            "family": known.family,
            "born": known.birth(self.scenario.starts_at()),
            "sex": known.sex.map_or("", |sex| sex.word()),
            "nhs": known.nhs.as_ref().map_or("", |nhs| nhs.get_ref()),
        })
    }

    /// What information governance does besides: searches, reports, and a person's request for access.
    async fn govern(&self, label: &str, analyses_of: &str) {
        let person = self.identity(label);
        let month = self.scenario.starts_at().to_string().get(..7).unwrap().to_owned();
        let pointer = |mut what: Value| {
            what["way"] = "pointer".into();
            what
        };
        let asked = pointer(json!({ "person": person }));
        let found = self.act("hub", AUDITOR, "search by person", asked).await;
        let from = pointer(json!({ "from": found["found"] }));
        self.act("hub", AUDITOR, "crawl", from).await;
        let made =
            self.act("hub", AUDITOR, "make reports", pointer(json!({ "month": month }))).await;
        for address in made["made"].as_array().unwrap() {
            self.act(
                "hub",
                AUDITOR,
                "crawl",
                pointer(json!({ "from": address, "below": address })),
            )
            .await;
        }
        let begun = json!({ "person": person, "analyses_of": analyses_of });
        let begun = self.act("hub", AUDITOR, "begin subject access", pointer(begun)).await;
        let request = json!({ "person": person, "number": begun["number"] });
        for colleague in AUDITOR_COLLEAGUES {
            let approved = self
                .act("hub", colleague, "approve subject access", pointer(request.clone()))
                .await;
            assert!(approved["notice"].as_str().unwrap().starts_with("Approved"), "{approved}");
        }
        self.act("hub", AUDITOR, "issue subject access", pointer(request)).await;
    }

    /// The enquiry is held, let go, and erased by two people.
    async fn erase(&self, reason: &str) {
        let [first, second] = HUB_GOVERNANCE;
        let asked = json!({ "reason": reason, "way": "pointer" });
        self.act("hub", first, "ask for erasure", asked).await;
        let done = self.act("hub", second, "confirm an erasure", json!({ "way": "pointer" })).await;
        assert!(done["notice"].as_str().unwrap().starts_with("Erased"), "{done}");
        self.crawl(&[("hub", first)], "pointer").await;
    }

    /// Ends it: everything came out as it is written, and nothing was found on any page. What the driver tells.
    async fn end(mut self) -> Value {
        let told = told_by(&self.browser).await;
        self.played.stop(&self.narrator).await.unwrap();
        self.played.look_back(&self.scenario, &self.narrator).await.unwrap();
        let report = player::text(&self.played.report, brag_hub::render::Paint::Plain);
        assert!(self.played.report.passed, "{report}");
        told
    }
}

/// S1 from opening to close on the pages of the hub and two agencies, then its review.
pub(super) async fn s1() -> &'static Value {
    static TOLD: OnceCell<Value> = OnceCell::const_new();
    TOLD.get_or_init(async || play_s1().await.0.end().await).await
}

/// S1, and what its review found.
async fn play_s1() -> (Play, Value) {
    let play = Play::of_file("s1.toml", &["hub", "CSC", "DAS"], &[]).await;
    let review = json!({ "month": "2027-02", "way": "pointer" });
    let reviewed = play.act("hub", AUDITOR, "review an enquiry", review).await;
    assert!(reviewed["entries"].as_u64().unwrap() > 20, "{reviewed}");
    assert_eq!(reviewed["handled"], 1, "{reviewed}");
    assert!(reviewed["figures"].as_u64().unwrap() > 0, "{reviewed}");
    (play, reviewed)
}

/// The same, and then what nobody does in a scenario, everybody's links, and what is printed.
pub(super) async fn s1_and_the_rest() -> &'static Value {
    static TOLD: OnceCell<Value> = OnceCell::const_new();
    TOLD.get_or_init(async || {
        let (play, reviewed) = play_s1().await;
        let draft = json!({
            "purpose": "child_safeguarding", "agency": "CSC", "reference": "R-2", "way": "pointer",
            "people": [{ "label": "P1", "given": "Iris", "family": "Example", "born": "2015", "other_names": [], "addresses": [] }],
        });
        play.act("hub", COORDINATOR, "begin a draft", draft).await;
        let everybody = [
            ("hub", COORDINATOR),
            ("hub", AUDITOR),
            ("hub", HUB_GOVERNANCE[0]),
            ("CSC", "csc.assessor"),
            ("CSC", "csc.approver1"),
            ("CSC", "csc.operator"),
        ];
        play.crawl(&everybody, "pointer").await;
        for (program, who) in [("hub", COORDINATOR), ("CSC", "csc.assessor")] {
            play.act(program, who, "look at what is wrong", json!({ "way": "pointer" })).await;
        }
        play.govern("P1", "").await;
        let report = json!({
            "address": "/reports/dpia/2027-02/full", "way": "pointer", "into": kept("report.pdf"),
        });
        let exchange = json!({
            "address": reviewed["exchange"], "way": "pointer", "into": kept("exchange.pdf"),
        });
        let mut printed = Vec::new();
        for page in [report, exchange] {
            printed.push(play.act("hub", AUDITOR, "print", page).await);
        }
        play.erase("Opened by mistake.").await;
        let mut told = play.end().await;
        told["printed"] = printed.into();
        told
    })
    .await
}

/// Where what was printed lies, for whoever wants to look at it.
fn kept(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/browser/printed");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name).display().to_string()
}

/// S5 with what a person said about sharing on the pages of four agencies.
pub(super) async fn s5() -> &'static Value {
    static TOLD: OnceCell<Value> = OnceCell::const_new();
    TOLD.get_or_init(async || {
        let play = Play::of_file("s5.toml", &["DAS", "HLT", "CSC", "EHT"], &CONSENT_ACTS).await;
        play.end().await
    })
    .await
}

/// An enquiry that is full of hostile texts, on the pages of the hub and two agencies.
pub(super) async fn hostile() -> &'static Value {
    static TOLD: OnceCell<Value> = OnceCell::const_new();
    TOLD.get_or_init(async || play_hostile().await.end().await).await
}

/// The same, everybody's links, and then what nobody does in a scenario: a challenge, a meeting that is watched, subject access, erasure.
pub(super) async fn hostile_and_the_rest() -> &'static Value {
    static TOLD: OnceCell<Value> = OnceCell::const_new();
    TOLD.get_or_init(async || {
        let play = play_hostile().await;
        do_the_rest(&play).await;
        play.end().await
    })
    .await
}

async fn play_hostile() -> Play {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/hostile.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let marks = |on: &str, n: usize| format!("{on}{}", "\u{0301}\u{0323}\u{0489}".repeat(n / 3));
    let few = marks("e", 120);
    let text = text
        .replace("OTHERMARKS", &marks("o", 120))
        .replace("FEWMARKS", &few)
        .replace("MARKS", &marks("a", 600))
        .replace("LINEWORD", &"v".repeat(400))
        .replace("NAMEWORD", &"w".repeat(190))
        .replace("WORD", &"w".repeat(1000))
        .replace("TURNED", "\u{202e}");
    let everything =
        ["open detail", "rate", "ask for detail", "plan an action", "record a meeting", "open"];
    let play = Play::of(&path, &text, &["hub", "CSC"], &everything).await;
    let person = play.played.reference("P2").await.unwrap();
    let address = format!("/people/{}/{person}", play.played.report.enquiry);
    // What the police brought in a table is shown to their own staff as it was.
    let held = "-1+1\"\"</textarea><script>executed=1</script>, \"quoted\"; +2+2\t@SUM(1)\t<img src=x onerror=executed=1>";
    let texts = json!([format!("{held} {few} \u{202e}"), "=1+1"]);
    let reads = json!({ "address": address, "texts": texts, "way": "pointer" });
    play.act("POL", "pol.assessor", "read", reads).await;
    play
}

async fn do_the_rest(play: &Play) {
    for way in ["pointer", "narrow screen"] {
        let everybody = [
            ("hub", COORDINATOR),
            ("hub", AUDITOR),
            ("CSC", "csc.assessor"),
            ("POL", "pol.assessor"),
            ("POL", "pol.approver1"),
            ("POL", "pol.operator"),
        ];
        play.crawl(&everybody, way).await;
    }
    let person = play.played.reference("P2").await.unwrap();
    let hostile = "<b id=executed>=HYPERLINK(1)</b> does not fit what the agency has seen";
    let challenge =
        json!({ "person": person, "agency": "POL", "reason": hostile, "way": "pointer" });
    play.act("CSC", "csc.assessor", "challenge", challenge).await;
    let answer = json!({ "person": person, "reason": hostile, "way": "pointer" });
    play.act("POL", "pol.assessor", "answer a challenge", answer).await;
    let meeting = json!({ "person": person, "agency": "CSC", "way": "pointer" });
    play.act("hub", COORDINATOR, "watch a meeting", meeting).await;
    play.govern("P2", "POL").await;
    play.erase("=1+1 <b id=executed>by mistake</b>").await;
}

/// A console that sends people to a sign-in service; no play.
pub(super) async fn service() -> &'static Value {
    static TOLD: OnceCell<Value> = OnceCell::const_new();
    TOLD.get_or_init(async || {
        let (mut stage, service) = crate::console_sign_in::served().await;
        let host = ORIGIN.strip_prefix("https://").unwrap();
        let hosts = format!("{host}:443 {}", stage.address());
        let browser = Browser::start_with(shots(), &hosts).unwrap();
        for way in super::WAYS {
            for (act, login) in [
                ("leave for a service", ""),
                ("sign in with a service", "j.okafor"),
                ("be refused by a service", "m.stranger"),
                ("be refused by a service", ""),
            ] {
                // The service has the machine's clock.
                stage.advance(SystemClock.now().duration_since(stage.now()));
                let what = json!({
                    "act": act, "who": "j.okafor", "site": ORIGIN, "now": stage.now().as_millisecond(),
                    "login": login, "elsewhere": service.issuer(), "way": way,
                });
                browser.act(what).await.unwrap_or_else(|error| panic!("{error:#}"));
            }
        }
        let told = told_by(&browser).await;
        stage.stop().await;
        service.stop().await;
        told
    })
    .await
}
