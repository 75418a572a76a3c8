//! Agreements, signed notes over them, and case files: what a partnership writes and a program reads.

use std::sync::LazyLock;

use brag_common::agreement::{Agreement, SignedAgreement, cases::CaseFile, text_of};

use crate::seeds::{self, Ground};

static SAMPLE: LazyLock<Agreement> =
    LazyLock::new(|| Agreement::parse(seeds::AGREEMENT).expect("the sample is valid"));

/// An agreement file: its faults are all found without a panic, and found again.
pub(crate) fn agreement(bytes: &[u8]) -> bool {
    let Ok(text) = text_of(bytes) else { return false };
    match (Agreement::parse(&text), Agreement::parse(&text)) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other);
            assert!(one.starts() < one.ends(), "an agreement lasts");
            true
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.as_slice(), other.as_slice());
            assert!(!one.as_slice().is_empty(), "refused without saying why");
            false
        }
        _ => panic!("one text was read in two ways"),
    }
}

/// A signed note: only the text that all have signed is ever accepted.
pub(crate) fn note(bytes: &[u8]) -> bool {
    let ground = Ground::get();
    match SignedAgreement::verify(bytes, (&ground.own, ground.own_key())) {
        Ok(signed) => {
            assert_eq!(signed.digest(), ground.agreement.digest(), "a text nobody has signed");
            true
        }
        Err(_) => false,
    }
}

/// A case file: read, and every case of it decided.
pub(crate) fn case_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(file) = CaseFile::parse(text) else { return false };
    let _ = file.uprating_mismatches();
    for case in file.cases(SAMPLE.starts()) {
        let decisions = case.decide(&SAMPLE);
        assert_eq!(decisions.len(), case.request.recipients.len());
        let _ = case.mismatches(&decisions);
    }
    true
}
