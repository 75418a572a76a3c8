//! The program's own certificates, the authorities it trusts, and the revocation lists.

use super::{Examined, Findings, Subject, machine::spoken};
use crate::{
    certificate::{describe, judge, next_key, read_chain, read_crl_updates, request_path},
    time::{SignedDuration, Timestamp},
};

/// From so many days before it expires a certificate is told of; the days at which more is said.
pub const BEFORE_EXPIRY_DAYS: [i64; 4] = [60, 30, 7, 1];
/// From so many days before it expires somebody has to act: an authority may take weeks.
pub const EXPIRY_ACTION_DAYS: i64 = 30;
/// Another program's certificate is its own operator's matter until this close to the end.
pub(super) const PEER_NOTE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A revocation list is made anew daily or weekly; one that is due within this may be out of date tomorrow.
const LIST_NOTE: SignedDuration = SignedDuration::from_hours(24);

/// Own certificate and request, authorities, lists, console.
pub(super) fn own(examined: &Examined, now: Timestamp, findings: &mut Findings) {
    let files = &examined.tls;
    let program = examined.program;
    let renew = format!(
        "run {program} certificate request, have it signed, and run {program} certificate install"
    );
    // What can not be read is said by `check-config`.
    if let Ok(chain) = read_chain(&files.certificate) {
        for (place, certificate) in chain.iter().enumerate() {
            let Some(described) = describe(certificate) else { continue };
            let what = if place == 0 {
                "our certificate"
            } else {
                "an authority's certificate between ours and a root"
            };
            expiry(Subject::Certificate, what, described.expires, now, &renew, findings);
        }
        match judge(&chain, files, now) {
            Ok(()) => findings.ok(
                Subject::Certificate,
                "others who trust the same authorities accept it, in both directions",
            ),
            Err(why) => findings.action(
                Subject::Certificate,
                format!("others do not accept it: {why}"),
                format!(
                    "{renew}; if the authority has changed, put its certificate into `roots` first"
                ),
            ),
        }
    }
    let waiting = [next_key(&files.private_key), request_path(&files.private_key)];
    if let Some(path) = waiting.iter().find(|path| path.exists()) {
        findings.note(
            Subject::CertificateRequest,
            format!("`{}` waits for its certificate", path.display()),
            format!("install what the authority sends back: {program} certificate install FILE"),
        );
    }
    if let Ok(roots) = read_chain(&files.roots) {
        let remedy = "ask the partnership for the authority's new certificate and add it to `roots` before the old one ends";
        for root in roots.iter().filter_map(|root| describe(root)) {
            let what = format!("the authority {}", root.issuer);
            expiry(Subject::Authority, &what, root.expires, now, remedy, findings);
        }
    }
    lists(examined, now, findings);
    if let Some((certificate, _)) = &examined.console {
        console(certificate, now, findings);
    }
}

fn lists(examined: &Examined, now: Timestamp, findings: &mut Findings) {
    let Some(path) = &examined.tls.crls else {
        findings.note(
            Subject::Revocation,
            "no revocation list is configured: a stolen certificate stays good until it expires",
            "put the authority's list in place and name it in tls.crls",
        );
        return;
    };
    let remedy = "fetch the authority's newest list to that place; while a list is out of date everybody it covers is refused";
    let lists = match read_crl_updates(path) {
        Ok(lists) => lists,
        Err(error) => {
            findings.action(
                Subject::Revocation,
                format!("{:#}", anyhow::Error::new(error)),
                remedy,
            );
            return;
        }
    };
    for (issuer, next) in lists {
        match next {
            Some(next) if next <= now => findings.action(
                Subject::Revocation,
                format!("the list of {issuer} was good until {next}"),
                remedy,
            ),
            Some(next) if next.duration_since(now) <= LIST_NOTE => findings.note(
                Subject::Revocation,
                format!("the list of {issuer} is good for {} more", spoken(next.duration_since(now))),
                remedy,
            ),
            Some(next) => findings.ok(Subject::Revocation, format!("the list of {issuer} is good until {next}")),
            None => findings.note(
                Subject::Revocation,
                format!("the list of {issuer} does not say when the next is due, so it is never out of date"),
                "ask the authority for lists with a time of the next (nextUpdate)",
            ),
        }
    }
}

fn console(certificate: &std::path::Path, now: Timestamp, findings: &mut Findings) {
    let remedy = "get a new certificate that browsers trust and put it and its key in place; it is taken up within the hour";
    match read_chain(certificate) {
        Ok(chain) => {
            let described = chain.first().and_then(|leaf| describe(leaf));
            if let Some(described) = described {
                expiry(
                    Subject::ConsoleCertificate,
                    "the console's certificate",
                    described.expires,
                    now,
                    remedy,
                    findings,
                );
            }
        }
        Err(error) => findings.action(
            Subject::ConsoleCertificate,
            format!("{:#}", anyhow::Error::new(error)),
            remedy,
        ),
    }
}

/// How long something is good, in a sentence.
pub(super) fn remaining(what: &str, expires: Timestamp, now: Timestamp) -> String {
    let left = expires.duration_since(now);
    if left <= SignedDuration::ZERO {
        format!("{what} expired {} ago, at {expires}", spoken(left))
    } else {
        format!("{what} is good for {} more, until {expires}", spoken(left))
    }
}

fn expiry(
    subject: Subject,
    what: &str,
    expires: Timestamp,
    now: Timestamp,
    remedy: &str,
    findings: &mut Findings,
) {
    let left = expires.duration_since(now);
    let text = remaining(what, expires, now);
    let within =
        BEFORE_EXPIRY_DAYS.into_iter().filter(|days| left <= SignedDuration::from_hours(days * 24));
    match within.min() {
        None => findings.ok(subject, text),
        Some(days) if days > EXPIRY_ACTION_DAYS => findings.note(subject, text, remedy),
        Some(1) => findings.action(
            subject,
            format!("{text}: then nobody connects"),
            format!("at once: {remedy}"),
        ),
        Some(7) => findings.action(subject, text, format!("this week: {remedy}")),
        Some(_) => findings.action(subject, text, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn a_certificate_is_told_of_at_sixty_thirty_seven_and_one_day() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (hours, severity, remedy) in [
            (60 * 24 + 1, Severity::Ok, ""),
            (60 * 24, Severity::Note, "renew"),
            (30 * 24 + 1, Severity::Note, "renew"),
            (30 * 24, Severity::Action, "renew"),
            (7 * 24 + 1, Severity::Action, "renew"),
            (7 * 24, Severity::Action, "this week: renew"),
            (24, Severity::Action, "at once: renew"),
            (0, Severity::Action, "at once: renew"),
            (-1, Severity::Action, "at once: renew"),
        ] {
            let mut findings = Findings::default();
            let expires = now + SignedDuration::from_hours(hours);
            expiry(Subject::Certificate, "it", expires, now, "renew", &mut findings);
            let [found] = findings.all() else { panic!("{hours}") };
            assert_eq!((found.severity, found.remedy.as_str()), (severity, remedy), "{hours}");
        }
    }
}
