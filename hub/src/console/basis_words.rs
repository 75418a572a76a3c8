//! The words of a lawful basis, each with what it means.

use brag_common::{
    agreement::{ART6, GATEWAYS},
    console::Choice,
};

use crate::basis_file::CONFIDENTIALITY;

/// Conditions of Article 9 under which agencies share to protect: substantial public interest, vital interests, health or social care.
const ART9: [&str; 3] = ["UKGDPR_9_2_G", "UKGDPR_9_2_C", "UKGDPR_9_2_H"];

/// Paragraphs of Schedule 1 to the Data Protection Act 2018: safeguarding of children and of individuals at risk; health or social
/// care purposes.
const SCHEDULE_1: [&str; 2] = ["DPA18_SCH1_P18", "DPA18_SCH1_P2"];

/// Authorities for criminal offence data: that paragraph, or the control of official authority (Article 10(1)).
const ART10: [&str; 2] = ["DPA18_SCH1_P18", "UKGDPR_10_1"];

/// How the person's own agreement stands.
const AGREEMENT_STATUS: [(&str, &str); 3] =
    [("not_sought", "Not sought"), ("given", "Given"), ("refused", "Refused")];

/// Everything that a form offers.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) art6: Vec<Choice>,
    pub(super) gateways: Vec<Choice>,
    pub(super) art9: Vec<Choice>,
    pub(super) schedule: Vec<Choice>,
    pub(super) art10: Vec<Choice>,
    pub(super) confidentiality: Vec<Choice>,
    pub(super) agreement: Vec<Choice>,
    pub(super) yes_no: Vec<Choice>,
}

impl Offered {
    pub(super) fn all() -> Self {
        let of = |words: &[&str], text: fn(&str) -> String| -> Vec<Choice> {
            words.iter().map(|word| Choice::new(*word, text(word))).collect()
        };
        Self {
            art6: of(&ART6, art6_words),
            gateways: of(&GATEWAYS, gateway_words),
            art9: of(&ART9, art9_words),
            schedule: of(&SCHEDULE_1, schedule_words),
            art10: of(&ART10, schedule_words),
            confidentiality: of(&CONFIDENTIALITY, confidentiality_words),
            agreement: AGREEMENT_STATUS.map(|(word, text)| Choice::new(word, text)).to_vec(),
            yes_no: vec![Choice::new("yes", "Yes"), Choice::new("no", "No")],
        }
    }
}

/// A word as it is, where its meaning is not known here.
fn with(word: &str, means: &str) -> String {
    match (word, means) {
        ("", _) => String::new(),
        (word, "") => word.to_owned(),
        (word, means) => format!("{means} ({word})"),
    }
}

/// A basis under Article 6 of the UK GDPR.
pub(super) fn art6_words(word: &str) -> String {
    let means = match word {
        "UKGDPR_6_1_C" => "Legal obligation",
        "UKGDPR_6_1_D" => "Vital interests",
        "UKGDPR_6_1_E" => "Public task; what public bodies normally state",
        "UKGDPR_6_1_EA" => {
            "Recognised legitimate interest; for charities and other bodies without a public task"
        }
        _ => "",
    };
    with(word, means)
}

/// A statutory gateway.
pub(super) fn gateway_words(word: &str) -> String {
    let means = match word {
        "CA1989_S47" => "Children Act 1989, section 47: child protection enquiries",
        "CA1989_S17" => "Children Act 1989, section 17: children in need",
        "CA2004_S10_S11_S16E" => {
            "Children Act 2004, sections 10, 11 and 16E: duty to co-operate, safeguarding partners"
        }
        "CARE_ACT_S42" => "Care Act 2014, section 42: enquiry about an adult at risk",
        "CARE_ACT_S45" => "Care Act 2014, section 45: Safeguarding Adults Board",
        "CDA1998_S115" => "Crime and Disorder Act 1998, section 115",
        "DA_ACT_2021" => "Domestic Abuse Act 2021",
        "COMMON_LAW" => "Common law, with the UK GDPR basis above",
        _ => "",
    };
    with(word, means)
}

/// A condition of Article 9.
pub(super) fn art9_words(word: &str) -> String {
    let means = match word {
        "UKGDPR_9_2_G" => "Substantial public interest: safeguarding",
        "UKGDPR_9_2_C" => "Vital interests, where the person can not agree",
        "UKGDPR_9_2_H" => "Health or social care",
        _ => "",
    };
    with(word, means)
}

/// A paragraph of Schedule 1, or an authority under Article 10.
pub(super) fn schedule_words(word: &str) -> String {
    let means = match word {
        "DPA18_SCH1_P18" => {
            "Schedule 1, paragraph 18: safeguarding of children and of individuals at risk"
        }
        "DPA18_SCH1_P2" => "Schedule 1, paragraph 2: health or social care purposes",
        "UKGDPR_10_1" => "Under the control of official authority",
        _ => "",
    };
    with(word, means)
}

/// Why confidentiality may be set aside.
pub(super) fn confidentiality_words(word: &str) -> String {
    let means = match word {
        "agreement" => "The person agrees",
        "overriding_public_interest" => "Overriding public interest",
        "legal_duty" => "Legal duty",
        _ => "",
    };
    with(word, means)
}
