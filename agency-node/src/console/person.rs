//! One person whom the agency was asked about: what it holds of them beside the form for a colour.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use brag_common::{
    agreement::{LinkKind, PartyType},
    console::{
        Choice, Form, Frame, Problem, Visit, form_page, page,
        shown::{ColourTag, spoken, when},
    },
    id::PersonRef,
    rating::{Colour, Topic},
    wire::{
        pb::{self, desk_service_server::DeskService as _},
        words,
    },
};

use super::{
    Calls, Here,
    ask::{Field, Kind, refuse},
    due::Due,
    facts::threshold_of,
    terms::{Terms, capital},
};
use crate::{
    look::{self, Extent},
    service::looks::{Draft, WhichPerson},
    store::shapes::Standing,
    work::side,
};

mod own;

use own::{OwnRecord, Rated};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/people/{enquiry}/{person}", get(show))
        .route("/people/{enquiry}/{person}/rate", post(rate))
        .route("/people/{enquiry}/{person}/check", post(check))
}

/// An enquiry and a person, as they stand in an address.
pub(super) type At = Path<(String, String)>;

/// Who somebody is, at the head of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) enquiry: String,
    pub(super) person: String,
    /// Their page.
    pub(super) address: String,
    /// Their name, or that it was not told.
    pub(super) name: String,
    pub(super) role: String,
    pub(super) age: String,
}

/// In place of a name that the agency was not told.
pub(super) const NOT_TOLD: &str = "Somebody whose name your agency was not told";

impl Head {
    pub(super) fn of(seen: &look::Person) -> Self {
        let (enquiry, person) = (seen.enquiry.to_string(), seen.person.to_string());
        Self {
            address: address(&enquiry, &person),
            name: if seen.name.is_empty() { NOT_TOLD.to_owned() } else { seen.name.clone() },
            role: seen.known.role.map(|role| spoken(role.word())).unwrap_or_default(),
            age: age_words(&seen.known.age_band),
            enquiry,
            person,
        }
    }
}

/// The page of a person.
pub(super) fn address(enquiry: &str, person: &str) -> String {
    format!("/people/{enquiry}/{person}")
}

/// An age band in words; empty when it is not known.
pub(super) fn age_words(band: &str) -> String {
    if band == "unknown" { String::new() } else { spoken(band) }
}

/// Looks at a person, as far as a page shows them.
pub(super) async fn look(
    visit: &Visit,
    calls: &Calls,
    (enquiry, person): &(String, String),
    extent: Extent,
) -> Result<look::Person, Problem> {
    let which = WhichPerson { enquiry: enquiry.clone(), person: person.clone(), extent };
    Ok(calls.desk.person(visit.request(which)).await?)
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    frame: Frame,
    head: Head,
    purpose: String,
    due: Due,
    /// Whether an answer is still to be given.
    is_awaited: bool,
    standing: &'static str,
    domestic_abuse: bool,
    links: Vec<String>,
    rated: Option<Rated>,
    standing_rating: Option<Rated>,
    standing_is_fresh: bool,
    own: Option<OwnRecord>,
    challenges: Vec<Challenged>,
    actions: Vec<String>,
    /// Whether there is a record that a rating could rest on.
    may_rate: bool,
    /// Whether the agreement lets an agency of this kind state a threshold.
    may_state: bool,
    fields: Vec<Field>,
    form: Form,
}

/// A challenge that waits for an answer.
struct Challenged {
    address: String,
    by: String,
    reason: String,
    at: String,
}

async fn show(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Record).await?;
    if seen.known.standing == Standing::IdentityReview {
        let identity = format!("{}/identity", address(&at.0, &at.1));
        return Ok(Redirect::to(&identity).into_response());
    }
    Ok(view(&visit, &calls.terms, &seen, Form::default()))
}

fn view(visit: &Visit, terms: &Terms, seen: &look::Person, form: Form) -> Response {
    let head = Head::of(seen);
    let challenges = seen.challenges.iter().map(|(id, record)| Challenged {
        address: format!("{}/challenges/{id}", head.address),
        by: terms.agency(record.by.as_str()),
        reason: record.reason.clone(),
        at: when(record.made_at.as_millisecond()),
    });
    let shown = PersonPage {
        frame: visit.frame(form.title("Rate a person")),
        purpose: spoken(&seen.about.purpose),
        due: Due::by(seen.about.answer_by.as_millisecond(), terms.now()),
        is_awaited: matches!(seen.known.standing, Standing::ToRate | Standing::IdentityReview),
        standing: standing_words(seen.known.standing),
        domestic_abuse: seen.about.domestic_abuse,
        links: link_lines(seen),
        rated: seen.rating.as_ref().map(|given| Rated::of(given, seen)),
        standing_rating: seen.standing_rating.as_ref().map(Rated::before),
        standing_is_fresh: seen.standing_is_fresh,
        own: seen.own.as_deref().and_then(side).map(|own| OwnRecord::of(seen, own, terms)),
        challenges: challenges.collect(),
        actions: seen.actions.clone(),
        may_rate: seen.known.opened.is_some() || linked(seen).next().is_some(),
        may_state: threshold_of(terms.own_kind()).is_some(),
        fields: fields(terms, seen),
        form,
        head,
    };
    form_page(shown.form.status(), &shown)
}

/// Where a person stands at this agency, in words.
pub(super) const fn standing_words(standing: Standing) -> &'static str {
    match standing {
        Standing::ToRate => "To be rated",
        Standing::IdentityReview => "Identity to be compared",
        Standing::Rated => "Rated by your agency",
        Standing::Declined => "Your agency declined to rate",
        Standing::Linked => "Not on your agency's records; may be rated by a link",
        Standing::Different => "Not known to your agency",
    }
}

/// Links of the person as the enquiry claims them, in words.
fn link_lines(seen: &look::Person) -> Vec<String> {
    let named = |person: &PersonRef| match *person == seen.person {
        true => "this person".to_owned(),
        false => other_words(seen, person),
    };
    let links = seen.about.links.iter();
    links
        .filter(|(from, to, _)| *from == seen.person || *to == seen.person)
        .map(|(from, to, kind)| {
            capital(&format!("{} {} {}", named(from), link_words(kind), named(to)))
        })
        .collect()
}

/// What one is to the other, between the two.
fn link_words(kind: &str) -> String {
    match LinkKind::from_word(kind) {
        Some(LinkKind::Household) => "lives in one household with",
        Some(LinkKind::PosesRiskTo) => "poses a risk to",
        Some(LinkKind::AtRiskFrom) => "is at risk from",
        Some(LinkKind::Relative) => "is related to",
        Some(LinkKind::ContactVenue) => "is where contact takes place with",
        None => return kind.replace('_', " "),
    }
    .to_owned()
}

/// Another person of the enquiry: by name where the agency was told it, by reference otherwise.
pub(super) fn other_words(seen: &look::Person, person: &PersonRef) -> String {
    let known = seen.others.iter().find(|other| other.person == *person);
    let name = known.map(|other| other.name.as_str()).unwrap_or_default();
    let role = known.and_then(|other| other.role).map(|role| role.word().replace('_', " "));
    let role = role.map(|role| format!(", {role}")).unwrap_or_default();
    match name {
        "" => format!("{person}{role} (name not told)"),
        name => format!("{name}{role}"),
    }
}

/// The fields of the form for a colour.
fn fields(terms: &Terms, seen: &look::Person) -> Vec<Field> {
    let head = Head::of(seen);
    let bounds = terms.analysis_bounds();
    let forbidden = seen.about.domestic_abuse && terms.forbids_blue_with_domestic_abuse();
    let colours = Colour::ALL.iter().rev().map(|colour| {
        let text = ColourTag::of(Some(*colour)).text();
        Choice::new(colour.word(), text).hint(meaning(*colour, terms.own_kind(), forbidden))
    });
    let topics =
        Topic::ALL.iter().map(|(_, word)| Choice::new(*word, spoken(word))).collect::<Vec<_>>();
    let mut fields = vec![
        Field::one("colour", "How worried is your agency about this person?", colours.collect())
            .hint("Your agency's judgement of this person alone, not of the family."),
        Field::checked("analysis", "Analysis", format!("{}/check", head.address)).hint(format!(
            "One line of {} to {} characters: your expertise and your concern, not the detail behind it. Every agency of the enquiry reads it. It names nobody and no place.",
            bounds.min_chars, bounds.max_chars
        )),
        Field::any("topic", "What is it about?", topics)
            .hint("Helps to find a specialist who was not asked. You may leave it empty."),
    ];
    let via: Vec<Choice> = linked(seen)
        .map(|other| Choice::new(other.person.to_string(), other_words(seen, &other.person)))
        .collect();
    if seen.known.opened.is_none() {
        let hint = "Your agency has no record of this person: choose the linked person whose record your judgement rests on.";
        fields.push(Field::one("via", "On whose record does it rest?", via).hint(hint));
    }
    fields
}

/// People who are linked to this one and of whom the agency has a record.
fn linked(seen: &look::Person) -> impl Iterator<Item = &look::Other> {
    seen.others.iter().filter(|other| {
        other.has_record
            && seen.about.links.iter().any(|(from, to, _)| {
                (*from == seen.person && *to == other.person)
                    || (*to == seen.person && *from == other.person)
            })
    })
}

/// What a colour means, and what follows from it.
fn meaning(colour: Colour, kind: Option<PartyType>, blue_forbidden: bool) -> String {
    match (colour, kind) {
        (Colour::Red, Some(PartyType::ChildrensSocialCare)) => "High. One Red, from any agency, moves the next step and can not be out-voted. From children's social care, Red about a child means that the section 47 threshold is met.".to_owned(),
        (Colour::Red, _) => "High. One Red, from any agency, moves the next step and can not be out-voted. It does not by itself mean that section 47 is met.".to_owned(),
        (Colour::Amber, _) => "Medium. It moves the next step and can not be out-voted; with another agency's Amber or Red it opens a threshold.".to_owned(),
        (Colour::Green, _) => "Standard. It opens no threshold.".to_owned(),
        (Colour::Blue, _) if blue_forbidden => "Low. Not permitted here: this enquiry has evidence of domestic abuse, and the agreement does not allow Blue then.".to_owned(),
        (Colour::Blue, _) => "Low. It is a judgement, not the lack of one: if you can not judge, decline instead. It opens no threshold.".to_owned(),
    }
}

/// Where each refusal of a rating stands on the page.
const AT: [(&str, &str); 4] = [
    ("BLUE_NOT_PERMITTED_DA", "colour"),
    ("analysis_not_accepted", "analysis"),
    ("via_needed", "via"),
    ("via_not_linked", "via"),
];

async fn rate(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let colour = form.trimmed("colour").parse::<Colour>().ok();
    match colour {
        None => form.wrong("colour", "Choose a colour"),
        Some(colour) => {
            let rating = pb::GiveRatingRequest {
                enquiry: at.0.clone(),
                person: at.1.clone(),
                colour: words::colour(colour).into(),
                analysis: form.trimmed("analysis").to_owned(),
                topics: form.all("topic"),
                via: form.trimmed("via").to_owned(),
                decline_reason: String::new(),
            };
            match calls.desk.give_rating(visit.request(rating)).await {
                Ok(_) => {
                    let word = spoken(colour.word());
                    let notice = format!(
                        "You rated this person {word}. It is signed, recorded with your name, and on its way to the hub."
                    );
                    return Ok(visit.done(&address(&at.0, &at.1), notice));
                }
                Err(status) => refuse(&mut form, status, &AT)?,
            }
        }
    }
    // All that is wrong with the text, at once and each with its words: also when the colour was refused first.
    let draft = Draft { enquiry: at.0.clone(), text: form.trimmed("analysis").to_owned() };
    let problems = calls.desk.check_draft(visit.request(draft)).await?;
    if !problems.is_empty() {
        form.right("analysis");
        problems.into_iter().for_each(|text| form.wrong("analysis", text));
    }
    let seen = look(&visit, &calls, &at, Extent::Record).await?;
    Ok(view(&visit, &calls.terms, &seen, form))
}

#[derive(Template)]
#[template(path = "checked.html")]
struct CheckedPart {
    problems: Vec<String>,
    n_chars: usize,
    max_chars: usize,
}

/// What is wrong with a text that others will read, while it is written: a part of the page, for the script.
async fn check(
    visit: Visit,
    State(calls): Here,
    Path((enquiry, _)): At,
    form: Form,
) -> Result<Response, Problem> {
    let text = [form.trimmed("analysis"), form.trimmed("reason")].concat();
    let n_chars = text.chars().count();
    let problems = calls.desk.check_draft(visit.request(Draft { enquiry, text })).await?;
    let max_chars = calls.terms.analysis_bounds().max_chars;
    Ok(page(&CheckedPart { problems, n_chars, max_chars }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blue_is_explained_as_not_permitted_only_where_it_is() {
        assert!(meaning(Colour::Blue, None, true).contains("Not permitted here"));
        assert!(!meaning(Colour::Blue, None, false).contains("permitted"));
        assert!(!meaning(Colour::Green, None, true).contains("permitted"));
    }

    #[test]
    fn only_childrens_social_care_reads_that_red_is_section_47() {
        let csc = meaning(Colour::Red, Some(PartyType::ChildrensSocialCare), false);
        assert!(csc.contains("means that the section 47 threshold is met"));
        let police = meaning(Colour::Red, Some(PartyType::Police), false);
        assert!(police.contains("does not by itself mean that section 47 is met"));
    }

    #[test]
    fn an_age_that_is_not_known_is_not_shown() {
        assert_eq!(age_words("unknown"), "");
    }
}
