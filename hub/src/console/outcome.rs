//! What became of a request for detail, for one recipient, in words.

use brag_common::{
    agreement::Obligation,
    console::shown::{spoken, when},
    reason::Reason,
    statement::ReviewStage,
    wire::{pb, words},
};

use super::{enquiry::whom, terms::Terms};
use crate::render::{gate_words, hypothesis_words, reason_text};

/// One decision.
#[derive(Debug)]
pub(super) struct Decided {
    /// The page of the request, for all its recipients.
    pub(super) address: String,
    pub(super) holder: String,
    pub(super) whom: String,
    pub(super) category: String,
    pub(super) recipient: String,
    pub(super) asked: String,
    /// `Released`, `Waits for approval`, `Refused` or `No decision`.
    pub(super) decision: &'static str,
    /// The colour of its tag.
    pub(super) tag: &'static str,
    /// Why, and what happens now.
    pub(super) lines: Vec<String>,
    pub(super) obligations: Vec<String>,
    pub(super) would_be_released_if: Vec<String>,
    pub(super) contact_route: String,
    pub(super) taken_back: Option<String>,
    /// Stage, rule, result, evidence.
    pub(super) trace: Vec<[String; 4]>,
}

impl Decided {
    pub(super) fn of(show: &pb::ShowResponse, terms: &Terms, view: &pb::ReleaseView) -> Self {
        let (decision, tag) = match view.decision() {
            pb::Decision::Release => ("Released", "govuk-tag--green"),
            pb::Decision::Review => ("Waits for approval", "govuk-tag--yellow"),
            pb::Decision::Deny => ("Refused", "govuk-tag--red"),
            pb::Decision::Unspecified => ("No decision", "govuk-tag--grey"),
        };
        Self {
            address: format!("/enquiries/{}/releases/{}", show.enquiry, view.release),
            holder: view.holder.clone(),
            whom: whom(show, &view.person),
            category: terms.category_title(&view.category),
            recipient: view.recipient.clone(),
            asked: when(view.asked_at_unix_ms),
            decision,
            tag,
            lines: lines(view),
            obligations: view.obligations.iter().map(|word| obligation_words(word)).collect(),
            would_be_released_if: view
                .would_be_released_if
                .iter()
                .map(|word| hypothesis_words(word))
                .collect(),
            contact_route: view.contact_route.clone(),
            taken_back: (view.retracted_at_unix_ms != 0).then(|| taken_back(view)),
            trace: view.trace.iter().map(trace_line).collect(),
        }
    }
}

fn lines(view: &pb::ReleaseView) -> Vec<String> {
    let gate = gate_words(&view.gate);
    match view.decision() {
        pb::Decision::Release => {
            let arrived = if view.relayed {
                "It has been passed on to the recipient"
            } else {
                "It has not reached the recipient yet; the holder keeps trying"
            };
            vec![
                format!("Released by {gate}."),
                format!(
                    "{arrived}. It can be viewed until {}.",
                    when(view.view_expires_at_unix_ms)
                ),
            ]
        }
        pb::Decision::Review => {
            let who = match words::to_review_stage(view.review_stage()) {
                None => "people at the holder",
                Some(ReviewStage::Approver) => "an approver at the holder",
                Some(ReviewStage::DeputyApprover) => "an approver or deputy approver at the holder",
            };
            let by = match view.review_until_unix_ms {
                0 => String::new(),
                at => format!(" by {}; after that it is refused", when(at)),
            };
            let n = view.approvals_needed;
            let times = if n == 1 { "one approval".to_owned() } else { format!("{n} approvals") };
            vec![format!("The threshold is met by {gate}. It needs {times} from {who}{by}.")]
        }
        pb::Decision::Deny | pb::Decision::Unspecified => {
            vec![reason_text(&view.reason).to_owned()]
        }
    }
}

fn taken_back(view: &pb::ReleaseView) -> String {
    let reason = view.retraction_reason.parse::<Reason>();
    let why = reason.map_or_else(|_| String::new(), |reason| format!(" {}", reason.text()));
    let known = match view.retraction_acknowledged_at_unix_ms {
        0 => "The recipient has not acknowledged it yet.".to_owned(),
        at => format!("The recipient acknowledged it {}.", when(at)),
    };
    format!("The holder took it back {}.{why} {known}", when(view.retracted_at_unix_ms))
}

/// An obligation in words; one that this version does not know stays as it is.
fn obligation_words(word: &str) -> String {
    Obligation::from_word(word).map_or_else(|| spoken(word), Obligation::text)
}

/// A rule that was applied, with its words beside its name.
fn trace_line(step: &pb::TraceStep) -> [String; 4] {
    let (result, code) = step.result.split_once(':').unwrap_or((&step.result, ""));
    let result = match (result, code) {
        ("met", _) => "Met".to_owned(),
        (other, "") => spoken(other),
        (other, code) => format!("{}: {}", spoken(other), reason_text(code)),
    };
    [gate_or_word(&step.stage), gate_or_word(&step.rule), result, step.evidence.join(" ")]
}

fn gate_or_word(word: &str) -> String {
    let known = gate_words(word);
    if known == *word { spoken(word) } else { known }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(decision: pb::Decision) -> pb::ReleaseView {
        let mut view = pb::ReleaseView { gate: "g3".to_owned(), ..pb::ReleaseView::default() };
        view.set_decision(decision);
        view
    }

    #[test]
    fn a_review_says_how_many_have_to_approve_until_when() {
        let mut review = view(pb::Decision::Review);
        review.approvals_needed = 2;
        review.review_until_unix_ms = 1_000;
        let said = lines(&review).join(" ");
        assert!(said.contains("2 approvals") && said.contains("refused"), "{said}");
    }

    #[test]
    fn a_refusal_is_said_in_words_and_not_by_its_code_alone() {
        let mut refusal = view(pb::Decision::Deny);
        refusal.reason = "THRESHOLD_NOT_MET".to_owned();
        let said = lines(&refusal).join(" ");
        assert!(said.contains(' ') && !said.contains("THRESHOLD_NOT_MET"), "{said}");
        let step = pb::TraceStep {
            stage: "gate".to_owned(),
            rule: "g2".to_owned(),
            result: "not_met:THRESHOLD_NOT_MET".to_owned(),
            evidence: Vec::new(),
        };
        let [_, rule, result, _] = trace_line(&step);
        assert!(rule.contains("Amber"), "{rule}");
        assert!(result.starts_with("Not met: ") && !result.contains("THRESHOLD"), "{result}");
    }

    #[test]
    fn detail_that_has_not_arrived_is_not_said_to_have() {
        let mut release = view(pb::Decision::Release);
        assert!(lines(&release)[1].contains("not reached"));
        release.relayed = true;
        assert!(lines(&release)[1].contains("passed on"));
    }
}
