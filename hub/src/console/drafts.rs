//! Writing an enquiry: referral and purpose, people one page each, links, check, open. What is sent is saved, right or wrong, so that
//! nothing typed is lost.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use brag_common::{
    console::{Choice, Form, Frame, Problem, Visit, form_page, page, shown::when},
    status::code_of,
    wire::MAX_PEOPLE,
};

use super::{
    Calls, Here,
    summary::{self, PersonSummary},
    terms,
    written::{
        MAX_FIELD_BYTES, check_person, person_form, person_of, referral_form, take_referral,
        wrong_at,
    },
};
use crate::{
    drafts::Opened,
    enquiry::MAX_REASON_CHARS,
    file_problems::Found,
    life::words::Kind,
    written_enquiry::{WrittenEnquiry, WrittenLink, WrittenPerson, request},
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/enquiries/new", get(begin).post(start))
        .route("/enquiries/new/{draft}", get(check))
        .route("/enquiries/new/{draft}/referral", get(referral).post(save_referral))
        .route("/enquiries/new/{draft}/people/{n}", get(person).post(save_person))
        .route("/enquiries/new/{draft}/people/{n}/remove", get(ask_remove).post(remove))
        .route("/enquiries/new/{draft}/links", get(links).post(add_link))
        .route("/enquiries/new/{draft}/links/remove", post(remove_link))
        .route("/enquiries/new/{draft}/open", post(open))
        .route("/enquiries/new/{draft}/discard", get(ask_discard).post(discard))
}

fn base(draft: &str) -> String {
    format!("/enquiries/new/{draft}")
}

#[derive(Template)]
#[template(path = "draft_new.html")]
struct NewPage {
    frame: Frame,
    drafts: Vec<(String, String)>,
    kept_days: u64,
}

async fn begin(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let drafts = calls.drafts.list(visit.request(())).await?;
    let drafts =
        drafts.into_iter().map(|(draft, at)| (draft.to_string(), when(at.as_millisecond())));
    let kept_days = calls.kept_days;
    Ok(page(&NewPage { frame: visit.frame("New enquiry"), drafts: drafts.collect(), kept_days }))
}

async fn start(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let draft = calls.drafts.start(visit.request(())).await?;
    Ok(Redirect::to(&format!("{}/referral", base(draft.as_str()))).into_response())
}

#[derive(Template)]
#[template(path = "draft_check.html")]
struct CheckPage {
    frame: Frame,
    base: String,
    form: Form,
    /// Somebody was asked about a short time before: why again is asked for.
    again: bool,
    referral: Vec<(String, String)>,
    people: Vec<PersonSummary>,
    links: Vec<String>,
    full: bool,
}

fn check_page(
    visit: &Visit,
    calls: &Calls,
    (draft, enquiry): (&str, &WrittenEnquiry),
    form: Form,
    again: bool,
) -> Response {
    let status = form.status();
    form_page(
        status,
        &CheckPage {
            frame: visit.frame(form.title("Check your answers")),
            base: base(draft),
            again,
            form,
            referral: summary::referral(&calls.terms, enquiry),
            people: enquiry.person.iter().map(PersonSummary::of).collect(),
            links: enquiry.link.iter().map(summary::link).collect(),
            full: enquiry.person.len() >= MAX_PEOPLE,
        },
    )
}

async fn check(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
) -> Result<Response, Problem> {
    let enquiry = calls.drafts.read(visit.request(draft.clone())).await?;
    Ok(check_page(&visit, &calls, (&draft, &enquiry), Form::default(), false))
}

async fn open(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let again = form.given("again-because");
    if let Some(why) = &again {
        if why.chars().count() > MAX_REASON_CHARS {
            form.wrong("again-because", "Say it in at most 600 characters");
        } else {
            let why = why.clone();
            let keep = move |enquiry: &mut WrittenEnquiry| enquiry.again_because = why;
            calls.drafts.change(visit.request(draft.clone()), keep).await?;
        }
    }
    let again = if form.is_right() {
        let opened = calls
            .drafts
            .open(visit.request(draft.clone()), &calls.coordinators, |m| visit.request(m))
            .await;
        match opened {
            Ok(Opened::Enquiry(enquiry)) => {
                let address = format!("/enquiries/{enquiry}");
                return Ok(
                    visit.done(&address, "The enquiry is open. Every agency is being asked.")
                );
            }
            Ok(Opened::Problems(problems, enquiry)) => {
                let wrong = wrong_at(&draft, &enquiry, &problems);
                wrong.into_iter().for_each(|one| form.wrong_elsewhere(one));
                return Ok(check_page(&visit, &calls, (&draft, &enquiry), form, false));
            }
            Err(status) if code_of(&status) == Some("second_enquiry") => {
                let text = status.message().split(';').next().unwrap_or_default().to_owned();
                form.wrong("again-because", format!("Say why they are asked about again: {text}"));
                true
            }
            Err(status) => {
                form.refuse("", status)?;
                again.is_some()
            }
        }
    } else {
        true
    };
    let enquiry = calls.drafts.read(visit.request(draft.clone())).await?;
    Ok(check_page(&visit, &calls, (&draft, &enquiry), form, again))
}

#[derive(Template)]
#[template(path = "draft_referral.html")]
struct ReferralPage {
    frame: Frame,
    base: String,
    form: Form,
    purposes: Vec<Choice>,
    agencies: Vec<Choice>,
    sources: Vec<Choice>,
    lengths: Vec<Choice>,
    yes_no: Vec<Choice>,
}

fn referral_page(visit: &Visit, calls: &Calls, draft: &str, form: Form) -> Response {
    let lengths = [
        ("1h", "1 hour"),
        ("4h", "4 hours"),
        ("24h", "24 hours"),
        ("72h", "3 days"),
        ("7d", "7 days"),
    ];
    let status = form.status();
    form_page(
        status,
        &ReferralPage {
            frame: visit.frame(form.title("Referral and purpose")),
            base: base(draft),
            form,
            purposes: calls.terms.purposes(),
            agencies: calls.terms.agencies(),
            sources: calls.terms.words(Kind::Source),
            lengths: lengths.map(|(value, text)| Choice::new(value, text)).to_vec(),
            yes_no: vec![Choice::new("yes", "Yes"), Choice::new("no", "No, or not known")],
        },
    )
}

async fn referral(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
) -> Result<Response, Problem> {
    let enquiry = calls.drafts.read(visit.request(draft.clone())).await?;
    Ok(referral_page(&visit, &calls, &draft, referral_form(&enquiry)))
}

async fn save_referral(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    fits(&form)?;
    let mut sent = form.clone();
    let saved = move |enquiry: &mut WrittenEnquiry| {
        take_referral(&mut sent, enquiry);
        (sent, enquiry.clone())
    };
    let (sent, enquiry) = calls.drafts.change(visit.request(draft.clone()), saved).await?;
    sent.all_wrong().iter().for_each(|wrong| form.wrong_elsewhere(wrong.clone()));
    form.chosen("purpose", &calls.terms.purposes(), "Choose why you ask");
    if form.value("domestic-abuse").is_empty() {
        form.wrong("domestic-abuse", "Say whether there is evidence of domestic abuse");
    }
    form.chosen("agency", &calls.terms.agencies(), "Choose who referred");
    // The same words as at the check: only those of this page.
    let mut found = Found::default();
    let _ = request(&enquiry, &mut found);
    for wrong in wrong_at(&draft, &enquiry, &found.problems()) {
        let own = wrong.at.split_once("/referral#").map(|(_, field)| field.to_owned());
        if let Some(field) = own.filter(|field| field != "purpose" && field != "agency") {
            form.wrong(&field, wrong.text);
        }
    }
    if !form.is_right() {
        return Ok(referral_page(&visit, &calls, &draft, form));
    }
    let next = if enquiry.person.is_empty() {
        format!("{}/people/another", base(&draft))
    } else {
        base(&draft)
    };
    Ok(Redirect::to(&next).into_response())
}

#[derive(Template)]
#[template(path = "draft_person.html")]
struct PersonPage {
    frame: Frame,
    base: String,
    /// The number of the person in the address.
    n: String,
    heading: String,
    form: Form,
    roles: Vec<Choice>,
    colours: Vec<Choice>,
    sexes: Vec<Choice>,
    name_kinds: Vec<Choice>,
    names: Vec<usize>,
    identifiers: Vec<usize>,
    addresses: Vec<usize>,
}

/// Rows to show: those that are filled, and one more.
fn rows(n_filled: usize) -> Vec<usize> {
    (1..=n_filled.saturating_add(1)).collect()
}

fn person_page(
    visit: &Visit,
    draft: &str,
    n: &str,
    (person, form): (&WrittenPerson, Form),
) -> Response {
    let heading = if n == "another" { "Add a person".to_owned() } else { format!("Person {n}") };
    let sexes = [("female", "Female"), ("male", "Male"), ("other", "Other")];
    let status = form.status();
    form_page(
        status,
        &PersonPage {
            frame: visit.frame(form.title(&heading)),
            base: base(draft),
            n: n.to_owned(),
            heading,
            form,
            roles: terms::roles(),
            colours: terms::colours(),
            sexes: sexes.map(|(value, text)| Choice::new(value, text)).to_vec(),
            name_kinds: terms::name_kinds(),
            names: rows(person.names.len()),
            identifiers: rows(person.identifiers.len()),
            addresses: rows(person.addresses.len()),
        },
    )
}

/// The place of a person in a draft.
fn place(enquiry: &WrittenEnquiry, n: &str) -> Result<usize, Problem> {
    let place = n.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    place.filter(|place| *place < enquiry.person.len()).ok_or(Problem::NotFound)
}

async fn person(
    visit: Visit,
    State(calls): Here,
    Path((draft, n)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let enquiry = calls.drafts.read(visit.request(draft.clone())).await?;
    let person = if n == "another" {
        let free = |label: &String| !enquiry.person.iter().any(|one| one.label == *label);
        let label = (enquiry.person.len() + 1..).map(|n| format!("P{n}")).find(free);
        WrittenPerson { label: label.unwrap_or_default(), ..WrittenPerson::default() }
    } else {
        enquiry.person.get(place(&enquiry, &n)?).cloned().ok_or(Problem::NotFound)?
    };
    let form = person_form(&person);
    Ok(person_page(&visit, &draft, &n, (&person, form)))
}

async fn save_person(
    visit: Visit,
    State(calls): Here,
    Path((draft, n)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Problem> {
    fits(&form)?;
    let person = person_of(&form);
    let written = serde_json::to_vec(&person).map_err(|_| Problem::Failed)?;
    if written.len() > MAX_PERSON_BYTES {
        return Err(Problem::TooLarge);
    }
    let (saving, at) = (person.clone(), n.clone());
    let saved = calls
        .drafts
        .change(visit.request(draft.clone()), move |enquiry| put_person(enquiry, &at, saving))
        .await?;
    let (place, others, n_people) = saved?;
    let n = (place + 1).to_string();
    let then = form.line("then");
    // As it is saved: rows that were left blank are gone.
    let mut form = person_form(&person);
    check_person(&mut form, &person, &others);
    if !form.is_right() {
        return Ok(person_page(&visit, &draft, &n, (&person, form)));
    }
    let next = match then.as_str() {
        "more" => format!("{}/people/{n}", base(&draft)),
        "another" if n_people < MAX_PEOPLE => format!("{}/people/another", base(&draft)),
        _ => base(&draft),
    };
    Ok(Redirect::to(&next).into_response())
}

/// Refuses a form in which something is longer than anything that is kept.
fn fits(form: &Form) -> Result<(), Problem> {
    let long = |(_, value): &(String, String)| value.len() > MAX_FIELD_BYTES;
    if form.values().iter().any(long) { Err(Problem::TooLarge) } else { Ok(()) }
}

/// The longest that one person may be as it is stored, in bytes: below the greatest value of the store.
const MAX_PERSON_BYTES: usize = 56 * 1024;

/// Puts a person in their place; the place, the labels of all others, and how many there are. Links follow a label that changes.
fn put_person(
    enquiry: &mut WrittenEnquiry,
    n: &str,
    person: WrittenPerson,
) -> Result<(usize, Vec<String>, usize), Problem> {
    let at = if n == "another" {
        if enquiry.person.len() >= MAX_PEOPLE {
            let text = format!("an enquiry has at most {MAX_PEOPLE} people");
            return Err(Problem::Refused { code: String::new(), text });
        }
        enquiry.person.push(person);
        enquiry.person.len() - 1
    } else {
        let at = place(enquiry, n)?;
        let known = enquiry.person.get_mut(at).ok_or(Problem::NotFound)?;
        let (before, after) = (known.label.clone(), person.label.clone());
        *known = person;
        for link in &mut enquiry.link {
            for end in [&mut link.from, &mut link.to] {
                if *end == before {
                    end.clone_from(&after);
                }
            }
        }
        at
    };
    let others = enquiry.person.iter().enumerate().filter(|(place, _)| *place != at);
    let others = others.map(|(_, one)| one.label.clone()).collect();
    Ok((at, others, enquiry.person.len()))
}

#[derive(Template)]
#[template(path = "ask.html")]
struct AskPage {
    frame: Frame,
    heading: String,
    text: String,
    action: String,
    /// What the form carries, so that a page that is out of date does nothing.
    hidden: Vec<(&'static str, String)>,
    button: String,
    back: String,
}

async fn ask_remove(
    visit: Visit,
    State(calls): Here,
    Path((draft, n)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let enquiry = calls.drafts.read(visit.request(draft.clone())).await?;
    let label = enquiry.person.get(place(&enquiry, &n)?).map(|one| one.label.clone());
    let label = label.unwrap_or_default();
    Ok(page(&AskPage {
        frame: visit.frame("Remove a person"),
        heading: format!("Remove {label} from this draft?"),
        text: "What is written about them here and their links are erased.".to_owned(),
        action: format!("{}/people/{n}/remove", base(&draft)),
        hidden: vec![("label", label)],
        button: "Remove this person".to_owned(),
        back: base(&draft),
    }))
}

async fn remove(
    visit: Visit,
    State(calls): Here,
    Path((draft, n)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Problem> {
    let label = form.line("label");
    let removed = move |enquiry: &mut WrittenEnquiry| {
        let at = place(enquiry, &n)?;
        if enquiry.person.get(at).is_none_or(|person| person.label != label) {
            return Err(Problem::NotFound);
        }
        let person = enquiry.person.remove(at);
        enquiry.link.retain(|link| link.from != person.label && link.to != person.label);
        Ok::<_, Problem>(())
    };
    calls.drafts.change(visit.request(draft.clone()), removed).await??;
    Ok(visit.done(&base(&draft), "The person was removed."))
}

#[derive(Template)]
#[template(path = "draft_links.html")]
struct LinksPage {
    frame: Frame,
    base: String,
    form: Form,
    links: Vec<(String, WrittenLink)>,
    people: Vec<Choice>,
    kinds: Vec<Choice>,
}

fn links_page(visit: &Visit, draft: &str, enquiry: &WrittenEnquiry, form: Form) -> Response {
    let people = enquiry.person.iter().map(PersonSummary::of);
    let status = form.status();
    form_page(
        status,
        &LinksPage {
            frame: visit.frame(form.title("How they are linked")),
            base: base(draft),
            form,
            links: enquiry.link.iter().map(|link| (summary::link(link), link.clone())).collect(),
            people: people
                .map(|one| Choice::new(&one.label, format!("{} {}", one.label, one.name)))
                .collect(),
            kinds: terms::link_kinds(),
        },
    )
}

async fn links(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
) -> Result<Response, Problem> {
    let enquiry = calls.drafts.read(visit.request(draft.clone())).await?;
    Ok(links_page(&visit, &draft, &enquiry, Form::default()))
}

async fn add_link(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let link =
        WrittenLink { from: form.line("from"), to: form.line("to"), kind: form.line("kind") };
    let enquiry = calls.drafts.read(visit.request(draft.clone())).await?;
    let known = |label: &str| enquiry.person.iter().any(|person| person.label == label);
    if !known(&link.from) {
        form.wrong("from", "Choose the first person");
    }
    form.chosen("kind", &terms::link_kinds(), "Choose how they are linked");
    if !known(&link.to) {
        form.wrong("to", "Choose the second person");
    } else if link.from == link.to {
        form.wrong("to", "A person is not linked to themselves");
    }
    if enquiry.link.len() >= brag_common::wire::round::MAX_LINKS {
        form.wrong("", "There are as many links as there may be");
    }
    if !form.is_right() {
        return Ok(links_page(&visit, &draft, &enquiry, form));
    }
    let added = move |enquiry: &mut WrittenEnquiry| {
        let same =
            |one: &WrittenLink| one.from == link.from && one.to == link.to && one.kind == link.kind;
        if !enquiry.link.iter().any(same) {
            enquiry.link.push(link);
        }
    };
    calls.drafts.change(visit.request(draft.clone()), added).await?;
    Ok(visit.done(&format!("{}/links", base(&draft)), "The link was added."))
}

async fn remove_link(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    let removed = move |enquiry: &mut WrittenEnquiry| {
        enquiry.link.retain(|link| {
            link.from != form.line("from")
                || link.to != form.line("to")
                || link.kind != form.line("kind")
        });
    };
    calls.drafts.change(visit.request(draft.clone()), removed).await?;
    Ok(visit.done(&format!("{}/links", base(&draft)), "The link was removed."))
}

async fn ask_discard(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
) -> Result<Response, Problem> {
    let _ = calls.drafts.read(visit.request(draft.clone())).await?;
    Ok(page(&AskPage {
        frame: visit.frame("Throw a draft away"),
        heading: "Throw this draft away?".to_owned(),
        text: "Everything in it is erased. Nobody has been asked about anybody.".to_owned(),
        action: format!("{}/discard", base(&draft)),
        hidden: Vec::new(),
        button: "Throw it away".to_owned(),
        back: base(&draft),
    }))
}

async fn discard(
    visit: Visit,
    State(calls): Here,
    Path(draft): Path<String>,
) -> Result<Response, Problem> {
    calls.drafts.discard(visit.request(draft)).await?;
    Ok(visit.done("/enquiries/new", "The draft was thrown away."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(label: &str) -> WrittenPerson {
        WrittenPerson { label: label.to_owned(), ..WrittenPerson::default() }
    }

    #[test]
    fn links_follow_a_label_that_changes() {
        let mut enquiry = WrittenEnquiry {
            person: vec![labelled("P1"), labelled("P2")],
            link: vec![WrittenLink { from: "P1".into(), to: "P2".into(), kind: "relative".into() }],
            ..WrittenEnquiry::default()
        };
        let (at, others, n) = put_person(&mut enquiry, "2", labelled("M")).unwrap();
        assert_eq!((at, others, n), (1, vec!["P1".to_owned()], 2));
        assert_eq!(enquiry.link[0].to, "M");
        assert!(put_person(&mut enquiry, "3", labelled("X")).is_err());
        assert!(put_person(&mut enquiry, "0", labelled("X")).is_err());
    }

    #[test]
    fn there_are_at_most_as_many_people_as_an_enquiry_takes() {
        let mut enquiry = WrittenEnquiry::default();
        for n in 0..MAX_PEOPLE {
            put_person(&mut enquiry, "another", labelled(&format!("P{n}"))).unwrap();
        }
        assert!(put_person(&mut enquiry, "another", labelled("X")).is_err());
    }
}
