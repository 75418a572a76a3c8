//! A scenario's enquiry and lawful bases as the hub is asked.

use brag_common::{
    rating::Colour,
    time::Timestamp,
    wire::{pb, words},
};
use serde_json::{Value, json};

use crate::scenario::{Release, Role, Scenario};

pub(super) fn open_request(
    scenario: &Scenario,
    start: Timestamp,
) -> anyhow::Result<pb::OpenRequest> {
    let people = scenario.person.iter().map(|person| {
        let identity = person.identity(start).map_err(anyhow::Error::msg)?;
        let role = match person.role {
            None => pb::PersonRole::Unspecified,
            Some(Role::Victim) => pb::PersonRole::Victim,
            Some(Role::Child) => pb::PersonRole::Child,
            Some(Role::PersonPosingRisk) => pb::PersonRole::PersonPosingRisk,
            Some(Role::ConnectedPerson) => pb::PersonRole::ConnectedPerson,
            Some(Role::Unclear) => pb::PersonRole::Unclear,
        };
        let initial =
            |colour: Option<Colour>| colour.map_or(pb::Colour::Unspecified, words::colour);
        Ok(pb::EnquiryPerson {
            label: person.label.get_ref().clone(),
            identity: identity.canonical_bytes(),
            role: role.into(),
            initial: initial(person.initial).into(),
        })
    });
    Ok(pb::OpenRequest {
        purpose: scenario.purpose.clone(),
        referral: Some(pb::Referral {
            agency: scenario.referral.agency.get_ref().to_string(),
            reference: scenario.referral.reference.clone(),
            incident_at_unix_ms: scenario.referral.incident.after(start).as_millisecond(),
            received_at_unix_ms: scenario
                .referral
                .received
                .map_or(start, |at| at.after(start))
                .as_millisecond(),
            source: scenario
                .referral
                .source
                .as_ref()
                .map_or_else(String::new, |s| s.get_ref().clone()),
        }),
        people: people.collect::<anyhow::Result<_>>()?,
        links: scenario
            .links()
            .map(|(from, kind, to)| pb::ClaimedLink {
                from: from.to_owned(),
                to: to.to_owned(),
                kind: words::link_kind(kind).into(),
            })
            .collect(),
        domestic_abuse: scenario.domestic_abuse,
        answer_within_s: scenario
            .answer_within
            .map_or(Ok(0), |within| u32::try_from(within.get().as_secs()))?,
        // A partnership that stays up plays its scenario more than once.
        again_because: "The scenario is played again.".to_owned(),
    })
}

/// The same, as a page is filled with it.
pub(super) fn open_form(scenario: &Scenario, start: Timestamp) -> Value {
    let people = scenario.person.iter().map(|person| {
        let others = person.other_names.iter().map(|other| {
            json!({
                "kind": other.kind.word(),
                "given": other.given.as_ref().unwrap_or(&person.given),
                "family": other.family.as_ref().unwrap_or(&person.family),
            })
        });
        let addresses = person
            .addresses
            .iter()
            .map(|address| json!({ "house": address.house, "postcode": address.postcode }));
        json!({
            "label": person.label.get_ref(),
            "given": person.given,
            "family": person.family,
            "other_names": others.collect::<Vec<_>>(),
            "born": person.birth(start),
            "sex": person.sex.map(|sex| sex.word()),
            "nhs": person.nhs.as_ref().map(|nhs| nhs.get_ref()),
            "addresses": addresses.collect::<Vec<_>>(),
            "role": person.role.map(|role| match role {
                Role::Victim => "victim",
                Role::Child => "child",
                Role::PersonPosingRisk => "person_posing_risk",
                Role::ConnectedPerson => "connected_person",
                Role::Unclear => "unclear",
            }),
            "initial": person.initial.map(Colour::word),
        })
    });
    let links = scenario
        .links()
        .map(|(from, kind, to)| json!({ "from": from, "kind": kind.word(), "to": to }));
    let referral = &scenario.referral;
    let received = referral.received.map_or(start, |at| at.after(start));
    json!({
        "purpose": scenario.purpose,
        "agency": referral.agency.get_ref().as_str(),
        "reference": referral.reference,
        "incident": referral.incident.after(start).as_millisecond(),
        "received": received.as_millisecond(),
        "source": referral.source.as_ref().map(|source| source.get_ref()),
        "domestic_abuse": scenario.domestic_abuse,
        "answer_within_s": scenario.answer_within.map(|within| within.get().as_secs()),
        "people": people.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    })
}

/// The usual basis of a safeguarding request, with what the row says instead.
pub(super) fn basis(release: &Release) -> pb::LawfulBasis {
    let mut basis = pb::LawfulBasis {
        art6: "UKGDPR_6_1_E".to_owned(),
        art9_condition: "UKGDPR_9_2_G".to_owned(),
        art10_authority: "DPA18_SCH1_P18".to_owned(),
        dpa_schedule_para: "DPA18_SCH1_P18".to_owned(),
        statutory_gateway: "CA2004_S10_S11_S16E".to_owned(),
        confidentiality_justification: "overriding_public_interest".to_owned(),
        agreement_status: "not_sought".to_owned(),
        necessity: "To plan the safety of the family.".to_owned(),
        proportionality: "This category only, to those who act on it.".to_owned(),
        asked_subject: false,
        not_asked_because: "Asking would raise the risk.".to_owned(),
    };
    for (field, text) in &release.basis {
        let place = match field.get_ref().as_str() {
            "art6" => &mut basis.art6,
            "art9_condition" => &mut basis.art9_condition,
            "art10_authority" => &mut basis.art10_authority,
            "dpa_schedule_para" => &mut basis.dpa_schedule_para,
            "statutory_gateway" => &mut basis.statutory_gateway,
            "confidentiality_justification" => &mut basis.confidentiality_justification,
            "agreement_status" => &mut basis.agreement_status,
            "necessity" => &mut basis.necessity,
            "proportionality" => &mut basis.proportionality,
            "not_asked_because" => &mut basis.not_asked_because,
            // The reading of the file knows these fields and no others.
            _ => continue,
        };
        place.clone_from(text);
    }
    basis
}
