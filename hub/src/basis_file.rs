//! The file in which a co-ordinator states the lawful basis of a request for detail. TOML, or JSON when its name
//! ends in `.json`. `deploy/samples/basis.toml` explains every key.
//!
//! Words of a closed list are checked here, before anything is sent. Whether the basis is enough for a category
//! is the holder's decision.

use std::path::Path;

use brag_common::{
    agreement::{ART6, GATEWAYS},
    audit::entry::Word,
    wire::pb,
};
use serde::Deserialize;

use crate::file_problems::{self, FileProblems, Found};

/// Why confidentiality may be set aside.
pub const CONFIDENTIALITY: [&str; 3] = ["agreement", "overriding_public_interest", "legal_duty"];

/// The longest free text, in characters.
const MAX_TEXT_CHARS: usize = 600;

/// A lawful basis, as a co-ordinator states it.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WrittenBasis {
    pub(crate) art6: String,
    pub(crate) art9_condition: String,
    pub(crate) art10_authority: String,
    pub(crate) dpa_schedule_para: String,
    pub(crate) statutory_gateway: String,
    pub(crate) confidentiality_justification: String,
    pub(crate) agreement_status: String,
    pub(crate) necessity: String,
    pub(crate) proportionality: String,
    pub(crate) asked_subject: bool,
    pub(crate) not_asked_because: String,
}

/// Reads a lawful basis.
///
/// # Errors
/// Everything that is wrong with it, each with its place: a word outside its list, a required text that is
/// missing, a text that is too long.
pub fn load(path: &Path) -> Result<pb::LawfulBasis, FileProblems> {
    let raw: WrittenBasis = file_problems::read(path)?;
    let mut found = Found::default();
    let basis = basis(raw, &mut found);
    found.finish(path, basis)
}

/// Makes the message of it. What is wrong is added to `found`, each with its key.
pub(crate) fn basis(raw: WrittenBasis, found: &mut Found) -> pb::LawfulBasis {
    let lists: [(&str, &str, &[&str]); 3] = [
        ("art6", &raw.art6, &ART6),
        ("statutory_gateway", &raw.statutory_gateway, &GATEWAYS),
        ("confidentiality_justification", &raw.confidentiality_justification, &CONFIDENTIALITY),
    ];
    for (key, word, known) in lists {
        if !known.contains(&word) {
            let state = if word.is_empty() { "missing" } else { "not in the list" };
            found.add(key, format!("{state}; one of {}", known.join(", ")));
        }
    }
    let words = [
        ("art9_condition", &raw.art9_condition),
        ("art10_authority", &raw.art10_authority),
        ("dpa_schedule_para", &raw.dpa_schedule_para),
        ("agreement_status", &raw.agreement_status),
    ];
    for (key, word) in words {
        // They go into the log, which has room for words only.
        if !word.is_empty() && word.parse::<Word>().is_err() {
            found.add(key, "one word without spaces, for example `UKGDPR_9_2_G`");
        }
    }
    if raw.agreement_status.is_empty() {
        found.add("agreement_status", "missing; for example `not_sought`");
    }
    let texts = [
        ("necessity", &raw.necessity, true),
        ("proportionality", &raw.proportionality, true),
        ("not_asked_because", &raw.not_asked_because, !raw.asked_subject),
    ];
    for (key, text, required) in texts {
        if required && text.trim().is_empty() {
            found.add(key, "missing; say it in a sentence");
        } else if text.chars().count() > MAX_TEXT_CHARS || text.chars().any(char::is_control) {
            found.add(key, format!("at most {MAX_TEXT_CHARS} characters on one line"));
        }
    }
    if raw.asked_subject && !raw.not_asked_because.is_empty() {
        found.add("not_asked_because", "given although `asked_subject` is true");
    }
    pb::LawfulBasis {
        art6: raw.art6,
        art9_condition: raw.art9_condition,
        art10_authority: raw.art10_authority,
        dpa_schedule_para: raw.dpa_schedule_para,
        statutory_gateway: raw.statutory_gateway,
        confidentiality_justification: raw.confidentiality_justification,
        agreement_status: raw.agreement_status,
        necessity: raw.necessity,
        proportionality: raw.proportionality,
        asked_subject: raw.asked_subject,
        not_asked_because: raw.not_asked_because,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn sample() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples/basis.toml")
    }

    fn changed(old: &str, new: &str) -> Result<pb::LawfulBasis, FileProblems> {
        let text = std::fs::read_to_string(sample()).unwrap();
        assert!(text.contains(old), "{old}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("basis.toml");
        std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
        load(&path)
    }

    #[test]
    fn a_word_outside_its_list_is_refused_with_the_list() {
        for (old, new, known) in [
            ("\"UKGDPR_6_1_E\"", "\"UKGDPR_6_1_A\"", "UKGDPR_6_1_EA"),
            ("\"CA1989_S47\"", "\"CA2004_S16LA\"", "COMMON_LAW"),
            ("\"overriding_public_interest\"", "\"because\"", "legal_duty"),
        ] {
            let problems = changed(old, new).unwrap_err().problems;
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].text.contains(known), "{problems:?}");
        }
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("basis.toml");
        std::fs::write(&path, "").unwrap();
        let places: Vec<_> =
            load(&path).unwrap_err().problems.into_iter().map(|problem| problem.place).collect();
        assert_eq!(
            places,
            [
                "art6",
                "statutory_gateway",
                "confidentiality_justification",
                "agreement_status",
                "necessity",
                "proportionality",
                "not_asked_because"
            ]
        );
    }

    #[test]
    fn an_unknown_key_and_an_overlong_text_are_refused() {
        let error = changed("art6", "article_6").unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{error}");
        let long = format!("necessity = \"{}\"\n#", "x".repeat(601));
        let error = changed("necessity", &long).unwrap_err();
        assert_eq!(error.problems[0].place, "necessity");
    }

    #[test]
    fn the_sample_is_complete() {
        let basis = load(&sample()).unwrap();
        assert_eq!(basis.statutory_gateway, "CA1989_S47");
        assert!(!basis.asked_subject);
    }
}
