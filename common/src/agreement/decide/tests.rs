use super::{
    super::{testkit::*, *},
    *,
};
use crate::{
    id::StaffName,
    rating::{
        Basis,
        Colour::{Amber, Green, Red},
        Topic,
    },
};

/// A family in which P2 is Red, so that gate 3 is open for P1 and P2.
fn red() -> Facts {
    Facts {
        ratings: vec![
            rating("SMS", "P2", Red),
            rating("DAS", "P1", Amber),
            rating("CSC", "P3", Green),
        ],
        ..family()
    }
}

fn reason(request: &Request, facts: &Facts, moment: &Moment) -> Option<Reason> {
    decided(&sample(), request, facts, moment).outcome.reason()
}

/// The reason when nothing stands in the way but the facts.
fn fair(request: &Request, facts: &Facts) -> Option<Reason> {
    reason(request, facts, &Moment::fair(noon()))
}

fn incident() -> Request {
    request("POL", "P1", "C10", &["CSC"])
}

fn permit(request: &Request, facts: &Facts) -> Permit {
    let decision = decided(&sample(), request, facts, &Moment::fair(noon()));
    match decision.outcome {
        Outcome::Release(permit) => permit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_when_circumstances_stand_in_the_way() {
    let fair = Moment::fair(noon());
    let ends = sample().ends();
    for (moment, expected) in [
        (Moment { log_available: false, ..fair }, Reason::LogUnavailable),
        (Moment { now: ends, ..fair }, Reason::AgreementExpired),
        (Moment { agreement_matches: false, ..fair }, Reason::AgreementVersionMismatch),
        (Moment { enquiry_open: false, ..fair }, Reason::SubjectNotInEnquiry),
        (Moment { within_budget: false, ..fair }, Reason::BudgetExceeded),
        (Moment { identity: Identity::Ambiguous, ..fair }, Reason::IdentityAmbiguous),
        (Moment { holding: Holding::NotHeld, ..fair }, Reason::NothingHeld),
    ] {
        assert_eq!(reason(&incident(), &red(), &moment), Some(expected));
    }
    assert_eq!(reason(&incident(), &red(), &fair), None);
}

#[test]
fn refuses_what_the_request_lacks() {
    let other = Request { purpose: None, ..incident() };
    assert_eq!(fair(&other, &red()), Some(Reason::PurposeNotPermitted));
    let stranger = Request { person: person("P9"), ..incident() };
    assert_eq!(fair(&stranger, &red()), Some(Reason::SubjectNotInEnquiry));
    let nobody = request("POL", "P1", "C10", &["XYZ"]);
    assert_eq!(fair(&nobody, &red()), Some(Reason::RecipientNotParty));
    let from_nobody = request("XYZ", "P1", "C10", &["CSC"]);
    assert_eq!(fair(&from_nobody, &red()), Some(Reason::PartyWithdrawn));
    let mut unnecessary = incident();
    unnecessary.basis.necessity = None;
    assert_eq!(fair(&unnecessary, &red()), Some(Reason::NecessityMissing));
    let mut baseless = incident();
    baseless.basis.art10_authority = None;
    assert_eq!(fair(&baseless, &red()), Some(Reason::LawfulBasisIncomplete));
    let mut health = request("HLT", "P1", "C30", &["CSC"]);
    health.basis.art9_condition = None;
    assert_eq!(fair(&health, &red()), Some(Reason::LawfulBasisIncomplete));
}

#[test]
fn a_purpose_the_agreement_leaves_out_is_refused() {
    let text = sample_with(", \"domestic_abuse_safety\", \"early_help\"]", "]");
    let agreement = Agreement::parse(&text).unwrap();
    let asked = Request { purpose: Some(Purpose::EarlyHelp), ..incident() };
    let decision = decided(&agreement, &asked, &red(), &Moment::fair(noon()));
    assert_eq!(decision.outcome, Outcome::Deny(Reason::PurposeNotPermitted));
}

#[test]
fn a_withdrawn_party_neither_gives_nor_receives() {
    for id in ["POL", "CSC"] {
        let from = format!("id = \"{id}\"\n");
        let text = sample_with(&from, &format!("{from}withdrawn_at = 2027-02-09T12:00:00Z\n"));
        let agreement = Agreement::parse(&text).unwrap();
        let outcome = decided(&agreement, &incident(), &red(), &Moment::fair(noon())).outcome;
        assert_eq!(outcome, Outcome::Deny(Reason::PartyWithdrawn));
        let before = Moment::fair(hours_ago(0) - crate::time::SignedDuration::from_secs(1));
        assert!(decided(&agreement, &incident(), &red(), &before).outcome.is_allowed());
    }
}

#[test]
fn what_is_never_carried_or_not_listed_is_refused_whatever_is_held() {
    for code in ["C36", "C43", "C60", "C70", "C99"] {
        let asked = request("POL", "P1", code, &["CSC"]);
        for holding in [Holding::PLAIN, Holding::NotHeld] {
            let moment = Moment { holding, ..Moment::fair(noon()) };
            assert_eq!(reason(&asked, &red(), &moment), Some(Reason::CategoryNever), "{code}");
        }
    }
}

#[test]
fn one_forged_piece_of_evidence_spoils_the_request() {
    let rejected = |rejection| {
        let item = RejectedEvidence {
            agency: agency("CSC"),
            person: None,
            kind: EvidenceKind::Rating,
            rejection,
        };
        fair(&incident(), &Facts { rejected: vec![item], ..red() })
    };
    assert_eq!(rejected(Rejection::Unsigned), Some(Reason::EvidenceUnsigned));
    let version = rejected(Rejection::AgreementVersionMismatch);
    assert_eq!(version, Some(Reason::AgreementVersionMismatch));
    assert_eq!(rejected(Rejection::Stale), None);
}

#[test]
fn age_is_given_as_the_reason_only_when_it_made_the_difference() {
    let mut facts = red();
    for rating in &mut facts.ratings {
        rating.at = hours_ago(8 * 24);
    }
    assert_eq!(fair(&incident(), &facts), Some(Reason::EvidenceStale));
    let unlinked = Request { person: person("P4"), ..incident() };
    assert_eq!(fair(&unlinked, &facts), Some(Reason::ConsentRequired));
    facts.rejected.push(RejectedEvidence {
        agency: agency("SMS"),
        person: Some(person("P4")),
        kind: EvidenceKind::Rating,
        rejection: Rejection::Stale,
    });
    assert_eq!(fair(&unlinked, &facts), Some(Reason::EvidenceStale));
}

#[test]
fn below_every_gate_the_reason_follows_what_the_person_said() {
    let unlinked = Request { person: person("P4"), ..incident() };
    let said = |records: &[(ConsentStatus, Option<Timestamp>)]| {
        let consents = records.iter().map(|(status, expires)| Consent {
            expires: *expires,
            ..consent("P4", *status, "C10", "CSC")
        });
        fair(&unlinked, &Facts { consents: consents.collect(), ..red() })
    };
    assert_eq!(said(&[]), Some(Reason::ThresholdNotMet));
    assert_eq!(fair(&unlinked, &family()), Some(Reason::ConsentRequired));
    assert_eq!(said(&[(ConsentStatus::Refused, None)]), Some(Reason::ConsentRefused));
    assert_eq!(said(&[(ConsentStatus::Expired, None)]), Some(Reason::ConsentExpired));
    assert_eq!(said(&[(ConsentStatus::Valid, Some(noon()))]), Some(Reason::ConsentExpired));
    // Withdrawal wins over expiry.
    let withdrawn = (ConsentStatus::Withdrawn, Some(hours_ago(1)));
    assert_eq!(said(&[(ConsentStatus::Refused, None), withdrawn]), Some(Reason::ConsentWithdrawn));
    assert_eq!(said(&[(ConsentStatus::Valid, None)]), None);
}

#[test]
fn the_holders_own_rules_are_stricter_and_never_looser() {
    let with = |third_party, restricted, handling_code, more_detrimental| {
        let holding = Holding::Held { third_party, restricted, handling_code, more_detrimental };
        reason(&incident(), &red(), &Moment { holding, ..Moment::fair(noon()) })
    };
    assert_eq!(with(true, true, true, true), Some(Reason::RestrictedRecord));
    assert_eq!(with(false, false, true, true), Some(Reason::HandlingCode));
    assert_eq!(with(false, false, false, true), Some(Reason::DisclosureMoreDetrimental));
    assert_eq!(with(true, false, false, false), Some(Reason::PendingApproval));
}

#[test]
fn a_record_about_somebody_else_too_is_reviewed_and_redacted() {
    let holding = Holding::Held {
        third_party: true,
        restricted: false,
        handling_code: false,
        more_detrimental: false,
    };
    let moment = Moment { holding, ..Moment::fair(noon()) };
    let Outcome::Review(pending) = decided(&sample(), &incident(), &red(), &moment).outcome else {
        panic!("not reviewed");
    };
    assert_eq!(pending.approvals(), Approvals::One);
    assert!(pending.details().obligations().contains(&Obligation::ThirdPartyRedacted));
}

#[test]
fn the_perpetrators_worker_learns_nothing_of_the_victim_without_an_action() {
    let asked = request("POL", "P1", "C11", &["SMS"]);
    assert_eq!(fair(&asked, &red()), Some(Reason::RecipientConflict));
    let mut facts = red();
    facts.accepted_actions.push(AcceptedAction { agency: agency("SMS"), person: person("P2") });
    let decision = decided(&sample(), &asked, &facts, &Moment::fair(noon()));
    let Outcome::Review(pending) = decision.outcome else { panic!("not reviewed") };
    assert!(pending.details().obligations().contains(&Obligation::RoleConflictNote));
    // Of its own client, and at class S1, it may learn.
    assert_eq!(fair(&request("POL", "P2", "C10", &["SMS"]), &red()), None);
    assert_eq!(fair(&request("POL", "P1", "C01", &["SMS"]), &red()), None);
    // A rating through somebody else is not first hand.
    let mut via = red();
    let through = Basis::ViaLinkedPerson(person("P2"));
    via.ratings.push(Rating { basis: through, ..rating("SMS", "P1", Red) });
    assert_eq!(fair(&asked, &via), Some(Reason::RecipientConflict));
}

#[test]
fn the_persons_agreement_does_not_lift_a_conflict() {
    let mut facts = red();
    facts.consents.push(consent("P1", ConsentStatus::Valid, "C11", "SMS"));
    let asked = request("POL", "P1", "C11", &["SMS"]);
    assert_eq!(fair(&asked, &facts), Some(Reason::RecipientConflict));
}

#[test]
fn client_only_parties_receive_about_their_clients_alone() {
    let asked = request("POL", "P1", "C11", &["MHT"]);
    assert_eq!(fair(&asked, &red()), Some(Reason::RecipientCategoryNotPermitted));
    let mut facts = red();
    facts.ratings.push(rating("MHT", "P1", Green));
    assert_eq!(fair(&asked, &facts), None);
}

#[test]
fn agreement_names_recipient_and_category_or_does_not_help() {
    let with = |what, to, asked: &Request| {
        let consents = vec![consent("P4", ConsentStatus::Valid, what, to)];
        fair(asked, &Facts { consents, ..family() })
    };
    let to_school = request("HLT", "P4", "C31", &["EDU"]);
    assert_eq!(with("C31", "EDU", &to_school), None);
    assert_eq!(with("C30", "EDU", &to_school), Some(Reason::CategoryNotInAgreement));
    assert_eq!(with("C31", "CSC", &to_school), Some(Reason::RecipientCategoryNotPermitted));
    let to_care = request("HLT", "P4", "C31", &["CSC"]);
    assert_eq!(with("C31", "EDU", &to_care), Some(Reason::RecipientNotPermittedForGate));
    let home = request("HOU", "P4", "C42", &["CSC"]);
    assert_eq!(with("C42", "CSC", &home), Some(Reason::CategoryNotInTier));
}

#[test]
fn a_specialist_is_prompted_by_the_topics_of_others_and_reviewed() {
    let asked = request("HLT", "P1", "C32", &["MHT"]);
    assert_eq!(fair(&asked, &red()), Some(Reason::RecipientCategoryNotPermitted));
    let mut facts = red();
    facts.ratings[1].topics.insert(Topic::SelfHarm);
    assert_eq!(fair(&asked, &facts), Some(Reason::PendingApproval));
    let other = request("HLT", "P1", "C30", &["MHT"]);
    assert_eq!(fair(&other, &facts), Some(Reason::RecipientCategoryNotPermitted));
    // No exception without an open gate.
    facts.ratings[0].colour = Green;
    assert_eq!(fair(&asked, &facts), Some(Reason::ConsentRequired));
}

#[test]
fn an_uninvolved_party_receives_nothing_but_protective_instructions() {
    let facts = red();
    let to_early_help = request("CSC", "P1", "C20", &["EHT"]);
    assert_eq!(fair(&to_early_help, &facts), Some(Reason::RecipientNotInvolved));
    let instruction = request("POL", "P2", "C71", &["EHT"]);
    assert_eq!(fair(&instruction, &facts), Some(Reason::RecipientNotInvolved));
    // Gate 2 asks about the person: Early Help has rated the victim only, not the one posing risk.
    let facts = Facts {
        ratings: vec![
            rating("POL", "P2", Amber),
            rating("DAS", "P2", Amber),
            rating("EHT", "P1", Green),
        ],
        ..family()
    };
    assert_eq!(fair(&instruction, &facts), None);
    let other = request("POL", "P2", "C20", &["EHT"]);
    assert_eq!(fair(&other, &facts), Some(Reason::RecipientNotInvolved));
}

#[test]
fn the_widest_mode_wins_and_the_first_gate_on_a_tie() {
    let mut facts = red();
    facts.ratings.push(rating("HLT", "P1", Amber));
    // Gate 2 would ask for a review; gate 3 does not.
    assert_eq!(permit(&incident(), &facts).gate(), Gate::G3);
    facts.consents.push(consent("P1", ConsentStatus::Valid, "C10", "CSC"));
    assert_eq!(permit(&incident(), &facts).gate(), Gate::G1);
}

#[test]
fn a_view_ends_with_its_gate_the_persons_agreement_and_the_partnerships() {
    let day = crate::time::SignedDuration::from_hours(24);
    assert_eq!(permit(&incident(), &red()).expires(), noon() + day * 7);
    let mut facts = family();
    facts.consents.push(consent("P4", ConsentStatus::Valid, "C10", "CSC"));
    let asked = Request { person: person("P4"), ..incident() };
    assert_eq!(permit(&asked, &facts).expires(), noon() + day * 28);
    facts.consents[0].expires = Some(noon() + day);
    assert_eq!(permit(&asked, &facts).expires(), noon() + day);

    let marac = Marac { ground: MaracGround::WorkedOut, meeting: Some(noon() + day * 14) };
    let facts = Facts {
        assertions: vec![assertion("POL", AssertionKind::Marac(marac), &["P4"])],
        ..family()
    };
    assert_eq!(permit(&asked, &facts).expires(), noon() + day * 28);
    let last_day = sample().ends() - day;
    let mut facts = red();
    facts.ratings[0].at = last_day;
    let decision = decided(&sample(), &incident(), &facts, &Moment::fair(last_day));
    let Outcome::Release(permit) = decision.outcome else { panic!("not released") };
    assert_eq!(permit.expires(), sample().ends());
}

#[test]
fn obligations_follow_class_and_consent() {
    let plain = permit(&incident(), &red());
    let codes: Vec<_> = plain.obligations().iter().map(|obligation| obligation.code()).collect();
    let expected =
        ["NO_ONWARD", "SAFEGUARDING_PURPOSE_ONLY", "DELETE_AFTER", "DO_NOT_TELL_SUBJECT"];
    assert_eq!(codes, expected);
    assert_eq!(plain.obligations()[2].to_string(), "DELETE_AFTER=2027-02-16T12:00:00Z");

    let mut facts = red();
    facts.consents.push(consent("P1", ConsentStatus::Valid, "C50", "CSC"));
    let told = permit(&incident(), &facts);
    assert!(!told.obligations().contains(&Obligation::DoNotTellSubject));

    let marac = Marac { ground: MaracGround::WorkedOut, meeting: None };
    facts.assertions.push(assertion("POL", AssertionKind::Marac(marac), &["P1"]));
    let home = request("HOU", "P1", "C42", &["DAS"]);
    let decision = decided(&sample(), &home, &facts, &Moment::fair(noon()));
    let Outcome::Review(pending) = decision.outcome else { panic!("not reviewed") };
    assert_eq!(pending.approvals(), Approvals::Two);
    assert!(pending.details().obligations().contains(&Obligation::NoHomeContact));
}

#[test]
fn two_approvals_are_of_two_people_and_not_of_the_requester() {
    let staff = |name: &str| name.parse::<StaffName>().unwrap();
    let marac = Marac { ground: MaracGround::WorkedOut, meeting: None };
    let mut facts = red();
    facts.assertions.push(assertion("POL", AssertionKind::Marac(marac), &["P1"]));
    let home = request("HOU", "P1", "C42", &["DAS"]);
    let decision = decided(&sample(), &home, &facts, &Moment::fair(noon()));
    let Outcome::Review(pending) = decision.outcome else { panic!("not reviewed") };
    let (ann, ben, cat) = (staff("ann"), staff("ben"), staff("cat"));

    let refused = pending.approve(&ann, &[]).unwrap_err();
    assert_eq!(refused.n_missing, 2);
    let refused = refused.pending.approve(&ann, &[ben.clone(), ben.clone()]).unwrap_err();
    assert_eq!(refused.n_missing, 1);
    let refused = refused.pending.approve(&ann, &[ben.clone(), ann.clone()]).unwrap_err();
    let permit = refused.pending.approve(&ann, &[ben, cat]).unwrap();
    assert_eq!((permit.gate(), permit.class()), (Gate::G5, Class::S4));
    assert_eq!(permit.recipient(), &agency("DAS"));
}

#[test]
fn the_trace_names_the_rule_and_its_evidence() {
    let decision = decided(&sample(), &incident(), &red(), &Moment::fair(noon()));
    let stages: Vec<_> = decision.trace.iter().map(|step| step.stage).collect();
    let gate = decision.trace.iter().find(|step| step.rule == "g3").unwrap();
    let evidence: Vec<_> = gate.evidence.iter().map(EvidenceId::as_str).collect();
    assert_eq!(evidence, ["P2 poses_risk_to P1", "SMS red P2"]);
    assert!(decision.trace.iter().any(|step| step.rule == "disclosure.S2.g3"));
    assert_eq!((stages.first(), stages.last()), (Some(&Stage::Log), Some(&Stage::Holder)));

    let refused = decided(&sample(), &incident(), &family(), &Moment::fair(noon()));
    let last = refused.trace.last().unwrap();
    assert_eq!(last.to_string(), "gate open: refused (CONSENT_REQUIRED)");
}

#[test]
fn says_what_would_make_the_difference() {
    let helps = |request: &Request, facts: &Facts| {
        let decision = decided(&sample(), request, facts, &Moment::fair(noon()));
        decision.would_be_released_if
    };
    use Hypothesis::*;
    let unlinked = Request { person: person("P4"), ..incident() };
    assert_eq!(helps(&unlinked, &family()), [Agreement, AnotherRed, Section47, Marac]);
    let facts =
        Facts { ratings: vec![rating("POL", "P4", Amber), rating("CSC", "P4", Green)], ..family() };
    let expected = [Agreement, AnotherAmber, AnotherRed, Section47, Marac];
    assert_eq!(helps(&unlinked, &facts), expected);
    let mut unnecessary = incident();
    unnecessary.basis.necessity = None;
    assert_eq!(helps(&unnecessary, &red()), [LawfulBasis]);
    let conflict = request("POL", "P1", "C11", &["SMS"]);
    assert_eq!(helps(&conflict, &red()), [AcceptedAction, Involvement]);
    let early_help = request("CSC", "P1", "C20", &["EHT"]);
    assert_eq!(helps(&early_help, &red()), [Agreement, AcceptedAction, Involvement]);
    assert_eq!(helps(&request("POL", "P1", "C36", &["CSC"]), &red()), []);
    assert_eq!(helps(&incident(), &red()), []);
}
