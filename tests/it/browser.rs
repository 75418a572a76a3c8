//! The consoles in a browser: scenarios that people play on pages, with every check of the player unchanged; and what must be so
//! on every page, whoever works it and however. Nobody is shut out, nothing foreign runs, nothing leaves.
//!
//! What is looked at on each page, in each state and of each answer is said in `browser/observer.mjs`; each kind of page is looked at
//! in every way in which pages are worked. [`plays`] are the plays, and [`routes`] finds out that no page was left out.

mod plays;
mod routes;

use serde_json::Value;

/// How pages are worked, by the words of the driver.
const WAYS: [&str; 5] = ["pointer", "no script", "keyboard", "narrow screen", "zoom of 400 %"];

/// How often an act was done in a way.
fn n_done(told: &Value, act: &str, way: &str) -> u64 {
    told["done"][act][way].as_u64().unwrap_or_default()
}

/// What was taken away under a name that begins so.
fn taken<'a>(told: &'a Value, name: &str) -> Vec<&'a str> {
    let all = told["downloads"].as_array().unwrap().iter();
    let named = all.filter(|one| one["name"].as_str().unwrap().starts_with(name));
    named.map(|one| one["text"].as_str().unwrap()).collect()
}

/// From opening to close: co-ordinators, and the people of two agencies, do everything on pages; the other agencies use commands.
/// Then information governance reviews it, everybody follows every link, and everything that can be wrong is.
#[tokio::test(flavor = "multi_thread")]
async fn s1_is_played_from_opening_to_close_on_the_pages_of_the_hub_and_two_nodes() {
    let told = plays::s1().await;
    for way in WAYS {
        for act in ["rate", "ask for detail", "open detail"] {
            assert!(n_done(told, act, way) > 0, "nobody tried to {act} with {way}");
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
    let told = plays::s5().await;
    for act in plays::CONSENT_ACTS {
        assert!(WAYS.iter().any(|way| n_done(told, act, way) > 0), "nobody tried to {act}");
    }
}

/// Markup, script, formulae, marks that turn writing round, letters under hundreds of marks and words without an end, in every text
/// that people of other agencies can write or bring in a table: they are shown as what they are, run nowhere and break no page.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_run_nowhere_and_break_no_page() {
    plays::hostile().await;
}

/// Whoever takes something away from a page gets no formula in any cell and no script in any document, and what was written stands
/// there as it was written.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes long, and has not passed yet"]
async fn what_is_taken_away_holds_no_formula_and_no_script_and_every_text_as_it_was_written() {
    // That no cell begins as a formula does, and nothing runs, is looked at as each file comes.
    let told = plays::hostile_and_the_rest().await;
    let entries = taken(told, "entries.csv");
    assert!(!entries.is_empty() && entries.iter().all(|text| text.lines().count() > 2));
    for text in taken(told, "") {
        for marker in plays::MARKERS {
            assert!(!text.contains(marker), "detail was taken away");
        }
    }
    let [page, text, json] = ["html", "txt", "json"].map(|end| {
        let mut all = told["downloads"].as_array().unwrap().iter();
        let name = |one: &&Value| {
            let name = one["name"].as_str().unwrap();
            name.starts_with("subject-access-") && name.ends_with(end)
        };
        all.find(name).unwrap_or_else(|| panic!("no {end}"))["text"].as_str().unwrap()
    });
    let of_police = "<details open ontoggle=ran=1><u id=ran>not text</u>";
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(of_police), "{text}");
    assert!(
        serde_json::from_str::<Value>(json).unwrap().to_string().contains("<u id=ran>not text")
    );
    assert!(!page.contains(of_police) && page.contains("&lt;u id=ran&gt;"), "{page}");
    for kind in ["dpia", "performance", "nfa-audit", "re-audit", "article-30", "policy"] {
        assert!(!taken(told, kind).is_empty(), "no {kind} was taken away");
    }
}

/// On the way to an organisation's own sign-in service and back, pages of ours are as any others.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_for_signing_in_with_a_service_are_for_everybody() {
    let told = plays::service().await;
    for act in ["sign in with a service", "be refused by a service"] {
        assert!(WAYS.iter().all(|way| n_done(told, act, way) > 0), "{act}");
    }
}

/// A report and both sides of an exchange, printed as a browser does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes long, and has not passed yet"]
async fn a_report_and_an_exchange_are_printed_with_their_headings() {
    let told = plays::s1_and_the_rest().await;
    let printed = told["printed"].as_array().unwrap();
    assert_eq!(printed.len(), 2, "{printed:?}");
    for one in printed {
        let heading = one["heading"].as_str().unwrap();
        assert!(one["paper"].as_str().is_some_and(|kind| kind.starts_with("%PDF-")), "{one}");
        assert!(one["bytes"].as_u64().unwrap() > 10_000, "{one}");
        let outline = one["outline"].as_array().unwrap();
        assert!(!heading.is_empty() && outline.iter().any(|text| text == heading), "{one}");
    }
}

/// Every address that a browser can ask either console for was gone to in some play, and every page among them was looked at by
/// pointer, by keyboard, without script, on a narrow screen and at 400 %. Where it was not, the route is named.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes long, and has not passed yet"]
async fn no_page_of_either_console_is_left_out() {
    let (mut hub, mut node) = (routes::Seen::new(), routes::Seen::new());
    for told in
        [plays::s1_and_the_rest().await, plays::s5().await, plays::hostile_and_the_rest().await]
    {
        routes::add(&mut hub, &told["hub"]);
        routes::add(&mut node, &told["node"]);
    }
    // The console of this one has pages of its own besides.
    let mut service = routes::Seen::new();
    routes::add(&mut service, &plays::service().await["node"]);
    service.retain(|path, _| path.starts_with("/sign-in") || path.starts_with("/assets/"));
    node.extend(service);
    let missing = routes::missing(&hub, &node, &WAYS);
    assert!(missing.is_empty(), "{} are left out:\n{}", missing.len(), missing.join("\n"));
}
