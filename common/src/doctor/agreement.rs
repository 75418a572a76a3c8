//! How long the agreement holds, and what follows it. Whether it is signed by all is for `check-config`.

use super::{Findings, Subject};
use crate::{
    agreement::SignedAgreement,
    time::{SignedDuration, Timestamp},
};

/// A new version has to be negotiated and signed by everybody.
const END_NOTE: SignedDuration = SignedDuration::from_hours(60 * 24);
const END_ACTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is known of the agreement.
#[derive(Debug)]
pub struct Agreements {
    /// The version that holds, verified.
    pub holds: SignedAgreement,
    /// The newest version that is installed and accepted, when it is another one.
    pub newest: Option<SignedAgreement>,
}

/// Days to the end, the version that follows, and the review.
pub(super) fn days(agreements: &Agreements, now: Timestamp, findings: &mut Findings) {
    let model = agreements.holds.agreement();
    let newest = agreements.newest.as_ref().map(SignedAgreement::agreement);
    let coming =
        newest.filter(|newest| newest.version() > model.version() && newest.starts() > now);
    let ends = model.ends();
    let left = ends.duration_since(now);
    let days = left.as_hours() / 24;
    let version = model.version();
    let what = match coming {
        Some(next) => format!(
            "version {version} holds, signed by all; version {} takes over at {}",
            next.version(),
            next.starts()
        ),
        None => {
            format!("version {version} holds for {days} more days, until {ends}, signed by all")
        }
    };
    let followed = coming.is_some_and(|next| next.starts() <= ends);
    let remedy = "have the parties sign the next version and install it (agreement install); without one in force everything is refused";
    if left <= SignedDuration::ZERO {
        // `check-config` says so.
    } else if followed {
        findings.ok(Subject::Agreement, what);
    } else if left <= END_ACTION {
        findings.action(Subject::Agreement, what, remedy);
    } else if left <= END_NOTE {
        findings.note(Subject::Agreement, what, remedy);
    } else {
        findings.ok(Subject::Agreement, what);
    }
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    if model.review_by() < today {
        findings.note(
            Subject::Agreement,
            format!("it was to be reviewed by {}", model.review_by()),
            "the parties review it and sign a version with a later date",
        );
    }
}
