//! Everybody whom the agency was asked about, also those whom it has rated: to rate again, to withdraw, to record what they said.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use brag_common::console::{
    Frame, Problem, Visit, page,
    shown::{spoken, when},
};

use super::{
    Calls, Here,
    person::{NOT_TOLD, address, standing_words},
};
use crate::{look, store::shapes::Standing};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/people", get(list))
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    enquiries: Vec<Enquiry>,
}

/// The people of one enquiry.
#[derive(Debug, PartialEq, Eq)]
struct Enquiry {
    enquiry: String,
    answer_by: String,
    people: Vec<Person>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
struct Person {
    address: String,
    person: String,
    name: String,
    role: String,
    stands: &'static str,
}

/// By enquiry, in the order they come in.
fn by_enquiry(listed: Vec<look::Listed>) -> Vec<Enquiry> {
    let mut enquiries: Vec<Enquiry> = Vec::new();
    for one in listed {
        let enquiry = one.enquiry.to_string();
        let person = Person {
            address: address(&enquiry, one.person.as_str()),
            person: one.person.to_string(),
            name: match (one.standing, one.name.as_str()) {
                (Standing::Different, _) => "Somebody whom your agency does not know".to_owned(),
                (_, "") => NOT_TOLD.to_owned(),
                (_, name) => name.to_owned(),
            },
            role: one.role.map(|role| spoken(role.word())).unwrap_or_default(),
            stands: standing_words(one.standing),
        };
        match enquiries.last_mut().filter(|last| last.enquiry == enquiry) {
            Some(last) => last.people.push(person),
            None => {
                let answer_by = when(one.answer_by.as_millisecond());
                enquiries.push(Enquiry { enquiry, answer_by, people: vec![person] });
            }
        }
    }
    enquiries
}

async fn list(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let listed = calls.desk.people(visit.request(())).await?;
    let enquiries = by_enquiry(listed);
    Ok(page(&PeoplePage { frame: visit.frame("People asked about"), enquiries }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(enquiry: &str, person: &str, standing: Standing, name: &str) -> look::Listed {
        look::Listed {
            enquiry: enquiry.parse().unwrap(),
            answer_by: "2027-02-09T09:00:00Z".parse().unwrap(),
            person: person.parse().unwrap(),
            role: None,
            standing,
            name: name.to_owned(),
        }
    }

    #[test]
    fn people_stand_under_their_enquiry_and_nobody_without_a_name_has_an_empty_one() {
        let enquiries = by_enquiry(vec![
            one("e1-reference-0001", "p1-reference-0001", Standing::ToRate, "Ann Lee"),
            one("e1-reference-0001", "p2-reference-0001", Standing::Linked, ""),
            one("e2-reference-0001", "p1-reference-0001", Standing::Different, ""),
        ]);
        let counts: Vec<usize> = enquiries.iter().map(|enquiry| enquiry.people.len()).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(enquiries[0].people[1].name, NOT_TOLD);
        assert_eq!(enquiries[1].people[0].name, "Somebody whom your agency does not know");
    }
}
