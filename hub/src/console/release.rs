//! Asking a holder for detail: a form, a preview that names every recipient and the basis, and what was decided.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use brag_common::{
    console::{Choice, Form, Frame, Problem, Visit, form_page, page, shown::spoken},
    wire::pb::{self, coordinator_service_server::CoordinatorService as _},
};
use serde::Deserialize;

use super::{
    Calls, Here,
    basis_words::{self, art6_words, confidentiality_words, gateway_words},
    enquiry::{Head, read, whom},
    outcome::Decided,
    terms::CategoryWords,
};
use crate::{
    basis_file::{WrittenBasis, basis},
    file_problems::Found,
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/enquiries/{enquiry}/release", get(ask).post(preview))
        .route("/enquiries/{enquiry}/release/change", post(change))
        .route("/enquiries/{enquiry}/release/send", post(send))
        .route("/enquiries/{enquiry}/releases/{release}", get(decided))
}

/// What the form is filled with at first. References only.
#[derive(Deserialize)]
struct About {
    #[serde(default)]
    person: String,
    #[serde(default)]
    holder: String,
}

#[derive(Template)]
#[template(path = "release.html")]
struct ReleasePage {
    frame: Frame,
    head: Head,
    form: Form,
    people: Vec<Choice>,
    agencies: Vec<Choice>,
    catalogue: Vec<(String, Vec<Choice>)>,
    words: basis_words::Offered,
}

fn people(show: &pb::ShowResponse) -> Vec<Choice> {
    show.people.iter().map(|one| Choice::new(&one.person, whom(show, &one.person))).collect()
}

fn release_page(visit: &Visit, calls: &Calls, show: &pb::ShowResponse, form: Form) -> Response {
    form_page(
        form.status(),
        &ReleasePage {
            frame: visit.frame(form.title("Ask for detail")),
            head: Head::of(show, calls, "/thresholds"),
            form,
            people: people(show),
            agencies: calls.terms.agencies(),
            catalogue: calls.terms.catalogue(),
            words: basis_words::Offered::all(),
        },
    )
}

async fn ask(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
    Query(about): Query<About>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    let mut form = Form::default();
    form.put("person", about.person);
    form.put("holder", about.holder);
    form.put("asked-subject", "no");
    Ok(release_page(&visit, &calls, &shown, form))
}

/// The form again, filled as it was: from the preview.
async fn change(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(release_page(&visit, &calls, &shown, form))
}

/// What a form asks for; what is wrong with it is said in the form.
fn wanted(
    form: &mut Form,
    calls: &Calls,
    show: &pb::ShowResponse,
) -> (pb::RequestReleaseRequest, Option<CategoryWords>) {
    let agencies = calls.terms.agencies();
    let holder = form.chosen("holder", &agencies, "Choose who holds it");
    let person = form.chosen("person", &people(show), "Choose whom it is about");
    let all: Vec<Choice> = calls.terms.catalogue().into_iter().flat_map(|(_, of)| of).collect();
    let category = form.chosen("category", &all, "Choose what you ask for");
    let recipients = form.all("recipients");
    if recipients.is_empty() {
        form.wrong("recipients", "Choose who would receive it");
    }
    let known = |agency: &String| agencies.iter().any(|choice| choice.value == *agency);
    if !recipients.iter().all(known) {
        form.wrong("recipients", "Choose among the parties to the agreement");
    }
    let words = calls.terms.category(&category);
    let lawful_basis = basis_of(form, words.as_ref());
    let request = pb::RequestReleaseRequest {
        enquiry: show.enquiry.clone(),
        holder,
        person,
        category,
        recipients,
        lawful_basis: Some(lawful_basis),
        purpose: String::new(),
    };
    (request, words)
}

/// The lawful basis of a form: checked as one of a file is, and for what the category needs besides.
fn basis_of(form: &mut Form, category: Option<&CategoryWords>) -> pb::LawfulBasis {
    let asked = form.has("asked-subject", "yes");
    let written = WrittenBasis {
        art6: form.line("art6"),
        art9_condition: form.line("art9-condition"),
        art10_authority: form.line("art10-authority"),
        dpa_schedule_para: form.line("dpa-schedule-para"),
        statutory_gateway: form.line("statutory-gateway"),
        confidentiality_justification: form.line("confidentiality-justification"),
        agreement_status: form.line("agreement-status"),
        necessity: form.line("necessity"),
        proportionality: form.line("proportionality"),
        asked_subject: asked,
        not_asked_because: if asked { String::new() } else { form.line("not-asked-because") },
    };
    let mut found = Found::default();
    let basis = basis(written, &mut found);
    for problem in found.problems() {
        let field = problem.place.replace('_', "-");
        let text = match field.as_str() {
            "art6" => "Choose the basis under Article 6 of the UK GDPR".to_owned(),
            "statutory-gateway" => "Choose the statutory gateway".to_owned(),
            "confidentiality-justification" => {
                "Choose why confidentiality may be set aside".to_owned()
            }
            "agreement-status" => "Choose how the person’s own agreement stands".to_owned(),
            "necessity" => "Say in at most 600 characters why this detail is necessary".to_owned(),
            "proportionality" => "Say in at most 600 characters why no less would do".to_owned(),
            "not-asked-because" => {
                "Say in at most 600 characters why the person was not asked".to_owned()
            }
            _ => spoken(&problem.text.replace('`', "")),
        };
        form.wrong(&field, text);
    }
    if category.is_some_and(|known| known.art9) {
        if basis.art9_condition.is_empty() {
            form.wrong(
                "art9-condition",
                "This is special category data: choose the condition of Article 9",
            );
        }
        if basis.dpa_schedule_para.is_empty() {
            let text = "This is special category data: choose the paragraph of Schedule 1";
            form.wrong("dpa-schedule-para", text);
        }
    }
    if category.is_some_and(|known| known.art10) && basis.art10_authority.is_empty() {
        form.wrong(
            "art10-authority",
            "This is criminal offence data: choose the authority under Article 10",
        );
    }
    basis
}

#[derive(Template)]
#[template(path = "release_preview.html")]
struct PreviewPage {
    frame: Frame,
    head: Head,
    form: Form,
    recipients: Vec<String>,
    what: Vec<(&'static str, String)>,
    basis: Vec<(&'static str, String)>,
}

async fn preview(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    let (request, words) = wanted(&mut form, &calls, &shown);
    if !form.is_right() {
        return Ok(release_page(&visit, &calls, &shown, form));
    }
    let named = |agency: &String| format!("{agency} – {}", calls.terms.agency_name(agency));
    let category = words.map(|known| (known.title, known.class)).unwrap_or_default();
    Ok(page(&PreviewPage {
        frame: visit.frame("Check what you ask for"),
        head: Head::of(&shown, &calls, "/thresholds"),
        recipients: request.recipients.iter().map(named).collect(),
        what: vec![
            ("Who holds it", named(&request.holder)),
            ("About whom", whom(&shown, &request.person)),
            ("What", category.0),
            ("How sensitive it is", category.1),
            ("Why, as the enquiry says", spoken(&shown.purpose)),
        ],
        basis: basis_lines(&request.lawful_basis.unwrap_or_default()),
        form,
    }))
}

/// A lawful basis in lines: its words, and what they mean.
fn basis_lines(basis: &pb::LawfulBasis) -> Vec<(&'static str, String)> {
    let asked = if basis.asked_subject {
        "Yes".to_owned()
    } else {
        format!("No: {}", basis.not_asked_because)
    };
    let lines = [
        ("Article 6", art6_words(&basis.art6)),
        ("Statutory gateway", gateway_words(&basis.statutory_gateway)),
        ("Article 9", basis_words::art9_words(&basis.art9_condition)),
        ("Schedule 1", basis_words::schedule_words(&basis.dpa_schedule_para)),
        ("Article 10", basis_words::schedule_words(&basis.art10_authority)),
        ("Confidentiality", confidentiality_words(&basis.confidentiality_justification)),
        ("The person’s own agreement", spoken(&basis.agreement_status)),
        ("Why it is necessary", basis.necessity.clone()),
        ("Why no less would do", basis.proportionality.clone()),
        ("Was the person asked?", asked),
    ];
    lines.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

async fn send(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    let (request, _) = wanted(&mut form, &calls, &shown);
    if form.is_right() {
        match calls.coordinators.request_release(visit.request(request)).await {
            Ok(answer) => {
                let releases = answer.into_inner().releases;
                let release = releases.first().map(|one| one.release.clone()).unwrap_or_default();
                let address = format!("/enquiries/{}/releases/{release}", shown.enquiry);
                return Ok(
                    visit.done(&address, "The holder was asked. It decides for each recipient.")
                );
            }
            Err(status) => form.refuse("", status)?,
        }
    }
    Ok(release_page(&visit, &calls, &shown, form))
}

#[derive(Template)]
#[template(path = "release_decided.html")]
struct DecidedPage {
    frame: Frame,
    head: Head,
    decided: Vec<Decided>,
}

async fn decided(
    visit: Visit,
    State(calls): Here,
    Path((enquiry, release)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    let of = shown.releases.iter().filter(|view| view.release == release);
    let decided: Vec<Decided> = of.map(|view| Decided::of(&shown, &calls.terms, view)).collect();
    if decided.is_empty() {
        return Err(Problem::NotFound);
    }
    let head = Head::of(&shown, &calls, "/thresholds");
    Ok(page(&DecidedPage { frame: visit.frame("What the holder decided"), head, decided }))
}

#[cfg(test)]
mod tests {
    use brag_common::agreement::{ART6, GATEWAYS};

    use super::*;
    use crate::basis_file::CONFIDENTIALITY;

    fn form(change: (&str, &str)) -> Form {
        let fields = [
            ("art6", "UKGDPR_6_1_E"),
            ("statutory-gateway", "CA1989_S47"),
            ("confidentiality-justification", "overriding_public_interest"),
            ("agreement-status", "not_sought"),
            ("necessity", "To decide\r\ntoday."),
            ("proportionality", "One category."),
            ("asked-subject", "no"),
            ("not-asked-because", "It would raise the risk."),
        ];
        let value = |(name, value): &(&str, &str)| {
            let value = if *name == change.0 { change.1 } else { *value };
            ((*name).to_owned(), value.to_owned())
        };
        Form::of(fields.iter().map(value))
    }

    #[test]
    fn every_field_of_a_basis_that_is_missing_is_said_at_its_field() {
        for field in [
            "art6",
            "statutory-gateway",
            "confidentiality-justification",
            "agreement-status",
            "necessity",
            "proportionality",
            "not-asked-because",
        ] {
            let mut sent = form((field, ""));
            basis_of(&mut sent, None);
            assert_ne!(sent.error(field), "", "{field}");
            assert_eq!(sent.all_wrong().len(), 1, "{field}");
        }
        let mut whole = form(("", ""));
        let basis = basis_of(&mut whole, None);
        assert!(whole.is_right(), "{:?}", whole.all_wrong());
        assert_eq!(basis.necessity, "To decide today.");
    }

    #[test]
    fn a_category_with_special_data_needs_its_conditions() {
        let category =
            CategoryWords { title: String::new(), class: String::new(), art9: true, art10: true };
        let mut sent = form(("", ""));
        basis_of(&mut sent, Some(&category));
        let at: Vec<_> = sent.all_wrong().iter().map(|wrong| wrong.at.as_str()).collect();
        assert_eq!(at, ["#art9-condition", "#dpa-schedule-para", "#art10-authority"]);
    }

    #[test]
    fn a_reason_that_is_hidden_does_not_contradict_that_the_person_was_asked() {
        let mut sent = form(("asked-subject", "yes"));
        let basis = basis_of(&mut sent, None);
        assert!(sent.is_right() && basis.asked_subject && basis.not_asked_because.is_empty());
    }

    #[test]
    fn every_word_of_the_agreement_is_offered_with_what_it_means() {
        let offered = basis_words::Offered::all();
        let values =
            |choices: &[Choice]| choices.iter().map(|c| c.value.clone()).collect::<Vec<_>>();
        assert_eq!(values(&offered.art6), ART6);
        assert_eq!(values(&offered.gateways), GATEWAYS);
        assert_eq!(values(&offered.confidentiality), CONFIDENTIALITY);
        let all = [offered.art6, offered.gateways, offered.confidentiality].concat();
        assert!(all.iter().all(|choice| choice.text.contains(' ')));
    }
}
