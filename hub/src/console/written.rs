//! Between the forms of a draft and what is written in it. What is typed is kept as it is; what is wrong with it is said by the same
//! code that reads an enquiry file.

use brag_common::{
    console::{Form, Wrong},
    matching::identity::{MAX_ADDRESSES, MAX_IDENTIFIERS, MAX_NAMES},
    time::Timestamp,
};

use super::moment::{moment, put_moment};
use crate::{
    file_problems::{Found, Problem},
    written_enquiry::{
        WrittenAddress, WrittenEnquiry, WrittenIdentifier, WrittenName, WrittenPerson,
        WrittenReferral, WrittenTime, to_identity,
    },
};

/// The longest that a field of a draft may be, in bytes: 600 characters. It keeps each record below the greatest value of the store.
pub(super) const MAX_FIELD_BYTES: usize = 2400;

/// The form of one person.
pub(super) fn person_form(person: &WrittenPerson) -> Form {
    let mut form = Form::default();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    form.put("label", &person.label);
    form.put("given", &person.given);
    form.put("family", &person.family);
    let born = person.born.as_ref().map(WrittenTime::text).unwrap_or_default();
    let mut born = born.splitn(3, '-');
    for end in ["year", "month", "day"] {
        form.put(format!("born-{end}"), born.next().unwrap_or_default());
    }
    form.put("sex", &person.sex);
    form.put("nhs", text(&person.nhs));
    form.put("upn", text(&person.upn));
    form.put("role", text(&person.role));
    form.put("initial", text(&person.initial));
    for (name, n) in person.names.iter().zip(1..) {
        form.put(format!("names-{n}-kind"), &name.kind);
        form.put(format!("names-{n}-given"), &name.given);
        form.put(format!("names-{n}-family"), &name.family);
    }
    for (one, n) in person.identifiers.iter().zip(1..) {
        form.put(format!("identifiers-{n}-kind"), &one.kind);
        form.put(format!("identifiers-{n}-value"), &one.value);
    }
    let day = |written: &Option<WrittenTime>| {
        written.as_ref().map(WrittenTime::text).map(|text| british(&text)).unwrap_or_default()
    };
    for (one, n) in person.addresses.iter().zip(1..) {
        form.put(format!("addresses-{n}-house"), text(&one.house));
        form.put(format!("addresses-{n}-postcode"), text(&one.postcode));
        form.put(format!("addresses-{n}-from"), day(&one.from));
        form.put(format!("addresses-{n}-to"), day(&one.to));
    }
    form
}

/// A day as it is typed here, for one that a file has.
fn british(text: &str) -> String {
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year, month, day] => format!("{day}/{month}/{year}"),
        _ => text.to_owned(),
    }
}

/// A person as the form has them. Rows in which nothing is typed are left out.
pub(super) fn person_of(form: &Form) -> WrittenPerson {
    let rows = |kind: &str, most: usize, ends: &[&str]| -> Vec<Vec<String>> {
        let row =
            |n: usize| ends.iter().map(|end| form.line(&format!("{kind}-{n}-{end}"))).collect();
        (1..=most).map(row).collect()
    };
    let part = |row: &[String], n: usize| row.get(n).cloned().unwrap_or_default();
    let some = |text: String| (!text.is_empty()).then_some(text);
    let names = rows("names", MAX_NAMES, &["given", "family", "kind"]).into_iter();
    let names = names.filter(|row| !part(row, 0).is_empty() || !part(row, 1).is_empty());
    let identifiers = rows("identifiers", MAX_IDENTIFIERS, &["kind", "value"]).into_iter();
    let addresses = rows("addresses", MAX_ADDRESSES, &["house", "postcode", "from", "to"]);
    let typed = |row: &Vec<String>| row.iter().any(|text| !text.is_empty());
    WrittenPerson {
        label: form.line("label"),
        given: form.line("given"),
        family: form.line("family"),
        names: names
            .map(|row| WrittenName {
                given: part(&row, 0),
                family: part(&row, 1),
                kind: part(&row, 2),
            })
            .collect(),
        born: born(form),
        sex: form.line("sex"),
        nhs: form.given("nhs"),
        upn: form.given("upn"),
        identifiers: identifiers
            .filter(typed)
            .map(|row| WrittenIdentifier {
                kind: part(&row, 0).to_lowercase(),
                value: part(&row, 1),
            })
            .collect(),
        addresses: addresses
            .into_iter()
            .filter(typed)
            .map(|row| WrittenAddress {
                house: some(part(&row, 0)),
                postcode: some(part(&row, 1)),
                from: some(padded(&part(&row, 2))).map(WrittenTime::Text),
                to: some(padded(&part(&row, 3))).map(WrittenTime::Text),
            })
            .collect(),
        role: form.given("role"),
        initial: form.given("initial"),
    }
}

/// A day with two digits for day and month, as they are read: people type one.
fn padded(text: &str) -> String {
    let parts: Vec<&str> = text.split('/').map(str::trim).collect();
    match parts.as_slice() {
        [day, month, year] => format!("{day:0>2}/{month:0>2}/{year}"),
        _ => text.to_owned(),
    }
}

/// A number with two digits, as dates are read; nothing stays nothing, so that it is found to be missing.
fn two(number: &str) -> String {
    if number.is_empty() { String::new() } else { format!("{number:0>2}") }
}

/// A date of birth of which the year, or year and month, may be all that is known.
fn born(form: &Form) -> Option<WrittenTime> {
    let part = |end: &str| form.line(&format!("born-{end}"));
    let (year, month, day) = (part("year"), part("month"), part("day"));
    let text = match (month.is_empty(), day.is_empty()) {
        (true, true) => year,
        (false, true) => format!("{year}-{}", two(&month)),
        (_, false) => format!("{year}-{}-{}", two(&month), two(&day)),
    };
    (!text.is_empty()).then_some(WrittenTime::Text(text))
}

/// Says in the form what is wrong with a person, where `others` are the labels of everybody else.
pub(super) fn check_person(form: &mut Form, person: &WrittenPerson, others: &[String]) {
    if person.label.parse::<brag_common::id::PersonRef>().is_err() {
        form.wrong(
            "label",
            "Enter a short label: up to 32 letters, digits, - or _, for example P1",
        );
    } else if others.contains(&person.label) {
        form.wrong("label", "This label is used for somebody else. Labels differ");
    }
    let mut found = Found::default();
    let _ = to_identity(person, &|key: &str| key.to_owned(), &mut found);
    for problem in found.problems() {
        let text = match problem.place.as_str() {
            "born" => {
                "Enter a real date of birth, or its year and month, or its year alone".to_owned()
            }
            _ => said(&problem),
        };
        form.wrong(&field(&problem.place), text);
    }
}

/// The field of a place, for example `names-2` of `names[2].given`.
fn field(place: &str) -> String {
    let mut field = place.replace('[', "-").replace(']', "").replace('.', "-");
    // The first field of a row bears the row's name.
    for end in ["-kind", "-value", "-house"] {
        if let Some(row) = field.strip_suffix(end) {
            field = row.to_owned();
        }
    }
    field
}

/// A problem as a sentence, without the marks of a terminal.
fn said(problem: &Problem) -> String {
    let text = problem.text.replace('`', "");
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", chars.as_str())
}

/// What is wrong with a whole draft, each with the page and the field where it is put right.
pub(super) fn wrong_at(draft: &str, enquiry: &WrittenEnquiry, problems: &[Problem]) -> Vec<Wrong> {
    let base = format!("/enquiries/new/{draft}");
    let one = |problem: &Problem| {
        let (head, rest) = problem.place.split_once('.').unwrap_or((problem.place.as_str(), ""));
        let number = head.split_once('[').and_then(|(_, n)| n.strip_suffix(']'));
        match (head.split('[').next().unwrap_or_default(), number) {
            ("person", Some(n)) => {
                let label = n
                    .parse::<usize>()
                    .ok()
                    .and_then(|n| enquiry.person.get(n.checked_sub(1)?))
                    .map_or(n, |person| person.label.as_str());
                let at = format!("{base}/people/{n}#{}", field(rest));
                Wrong { at, text: format!("{label}: {}", said(problem)) }
            }
            ("person", None) => {
                let text = match enquiry.person.len() {
                    0 => "Add the people whom you ask about".to_owned(),
                    _ => said(problem),
                };
                Wrong { at: format!("{base}/people/another#given"), text }
            }
            ("link", _) => Wrong {
                at: format!("{base}/links#from"),
                text: format!("Links: {}", said(problem)),
            },
            ("referral", _) => {
                let text = match rest {
                    "agency" => "Choose who referred".to_owned(),
                    "reference" => format!("Reference: {}", said(problem)),
                    _ => said(problem),
                };
                Wrong { at: format!("{base}/referral#{}", rest.replace('_', "-")), text }
            }
            ("purpose", _) => Wrong {
                at: format!("{base}/referral#purpose"),
                text: "Choose the purpose".to_owned(),
            },
            _ => Wrong {
                at: format!("{base}/referral#{}", head.replace('_', "-")),
                text: said(problem),
            },
        }
    };
    problems.iter().map(one).collect()
}

/// The form of the referral and the purpose.
pub(super) fn referral_form(enquiry: &WrittenEnquiry) -> Form {
    let mut form = Form::default();
    form.put("purpose", &enquiry.purpose);
    if !enquiry.purpose.is_empty() {
        form.put("domestic-abuse", if enquiry.domestic_abuse { "yes" } else { "no" });
    }
    form.put("agency", &enquiry.referral.agency);
    form.put("reference", &enquiry.referral.reference);
    form.put("source", &enquiry.referral.source);
    form.put("answer-within", enquiry.answer_within.clone().unwrap_or_default());
    let times = [
        ("incident-at", &enquiry.referral.incident_at),
        ("received-at", &enquiry.referral.received_at),
    ];
    for (name, written) in times {
        if let Some(at) = written.as_ref().and_then(|at| at.text().parse::<Timestamp>().ok()) {
            put_moment(&mut form, name, at);
        }
    }
    form
}

/// Takes what the form says of referral and purpose. What is wrong with times is said in it; the rest when all is checked.
pub(super) fn take_referral(form: &mut Form, enquiry: &mut WrittenEnquiry) {
    let mut time = |name: &str| {
        let ms = moment(form, name);
        let at = Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0);
        at.map(|at| WrittenTime::Text(at.to_string()))
    };
    let (incident_at, received_at) = (time("incident-at"), time("received-at"));
    enquiry.purpose = form.line("purpose");
    enquiry.domestic_abuse = form.has("domestic-abuse", "yes");
    enquiry.answer_within = form.given("answer-within");
    enquiry.referral = WrittenReferral {
        agency: form.line("agency"),
        reference: form.line("reference"),
        source: form.line("source"),
        incident_at,
        received_at,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(values: &[(&str, &str)]) -> Form {
        Form::of(values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn a_person_reads_back_from_the_form_that_shows_them() {
        let sent = form(&[
            ("label", "P1"),
            ("given", "Nadia"),
            ("family", "Brookes"),
            ("born-year", "1992"),
            ("born-month", "3"),
            ("names-2-given", "Nadia"),
            ("names-2-family", "Hartley"),
            ("names-2-kind", "former"),
            ("addresses-1-house", "3 Mill Lane"),
            ("addresses-1-to", "1/5/2023"),
            ("identifiers-1-kind", "Police"),
            ("identifiers-1-value", "EX/2026/11"),
            ("role", "victim"),
        ]);
        let person = person_of(&sent);
        assert_eq!(person.born.as_ref().unwrap().text(), "1992-03");
        assert_eq!(person.names.len(), 1, "blank rows are left out");
        assert_eq!(person.addresses[0].to.as_ref().unwrap().text(), "01/05/2023");
        let again = person_of(&person_form(&person));
        assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&person).unwrap());
        let mut checked = person_form(&person);
        check_person(&mut checked, &person, &[]);
        assert!(checked.is_right(), "{:?}", checked.all_wrong());
    }

    #[test]
    fn every_fault_of_a_person_is_said_at_its_field() {
        let sent = form(&[
            ("label", "P1"),
            ("born-year", "1992"),
            ("born-day", "31"),
            ("sex", "Zorro"),
            ("nhs", "999 000 0018 1"),
            ("names-1-given", "Z"),
            ("names-1-kind", "stage"),
            ("addresses-1-from", "2020"),
        ]);
        let person = person_of(&sent);
        let mut checked = sent;
        check_person(&mut checked, &person, &["P1".to_owned()]);
        for field in ["label", "born", "sex", "names-1", "addresses-1-from"] {
            assert_ne!(checked.error(field), "", "{field}: {:?}", checked.all_wrong());
        }
        assert!(!checked.all_wrong().iter().any(|wrong| wrong.text.contains("Zorro")));
    }

    #[test]
    fn a_fault_of_the_whole_leads_to_the_page_where_it_is_mended() {
        let mut enquiry = WrittenEnquiry::default();
        let problem = |place: &str| Problem { place: place.to_owned(), text: "missing".to_owned() };
        enquiry.person.push(WrittenPerson { label: "P1".to_owned(), ..WrittenPerson::default() });
        let places = [
            "person[1].names[2].kind",
            "referral.agency",
            "link[3].to",
            "purpose",
            "answer_within",
        ];
        let wrong = wrong_at("d", &enquiry, &places.map(problem));
        let at: Vec<_> = wrong.iter().map(|wrong| wrong.at.as_str()).collect();
        assert_eq!(
            at,
            [
                "/enquiries/new/d/people/1#names-2",
                "/enquiries/new/d/referral#agency",
                "/enquiries/new/d/links#from",
                "/enquiries/new/d/referral#purpose",
                "/enquiries/new/d/referral#answer-within",
            ]
        );
        assert_eq!(wrong[0].text, "P1: Missing");
    }
}
