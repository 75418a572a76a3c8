//! The trace of a decision, in words: which rules were looked at, what came of each, and what it rests on.

use std::collections::BTreeMap;

use brag_common::{
    agreement::{Stage, Step, StepResult},
    console::shown::spoken,
};

use crate::{
    console::terms::{Terms, reason_words},
    look::Weighed,
};

/// One rule that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) stage: &'static str,
    /// The rule's own name.
    pub(super) rule: String,
    pub(super) result: String,
    pub(super) met: bool,
    /// What it rests on.
    pub(super) evidence: Vec<String>,
}

pub(super) fn lines(
    trace: &[Step],
    evidence: &BTreeMap<String, Weighed>,
    terms: &Terms,
) -> Vec<Line> {
    let line = |step: &Step| {
        let (met, result) = match step.result {
            StepResult::Met => (true, "Met".to_owned()),
            StepResult::NotMet(reason) => {
                (false, format!("Not met: {}", reason_words(reason.code())))
            }
            StepResult::Refused(reason) => {
                (false, format!("Refused: {}", reason_words(reason.code())))
            }
        };
        let weighed = step.evidence.iter().map(|name| match evidence.get(name.as_str()) {
            Some(weighed) => format!("{} {}", terms.agency(weighed.by.as_str()), weighed.says),
            None => spoken("a signed statement"),
        });
        Line {
            stage: stage_words(step.stage),
            rule: step.rule.clone(),
            result,
            met,
            evidence: weighed.collect(),
        }
    };
    trace.iter().map(line).collect()
}

const fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Log => "It can be recorded",
        Stage::Agreement => "The agreement holds for both agencies",
        Stage::Enquiry => "The enquiry is open and its purpose is allowed",
        Stage::Identity => "It is settled who the person is",
        Stage::Never => "The exchange carries this detail",
        Stage::Recipient => "The recipient may receive it",
        Stage::LawfulBasis => "The lawful basis is stated",
        Stage::Evidence => "The evidence is signed and fresh",
        Stage::Gate => "A threshold is met",
        Stage::Disclosure => "The threshold opens detail this sensitive",
        Stage::Holder => "Your agency's own rules",
    }
}
