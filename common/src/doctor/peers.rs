//! The programs that this one calls: whether they are reached, who they are, how their clock and version compare.

use std::sync::Arc;

use futures::future::join_all;

use super::{
    Examined, Findings, Subject,
    certificates::{self, remaining},
    machine::spoken,
};
use crate::{
    peer::PeerName,
    replay::MAX_SKEW,
    time::{SharedClock, SignedDuration, Timestamp},
    tls::{ClientTls, Reached, probe},
};

/// A clock that differs more than this is going wrong, before anything fails.
const SKEW_NOTE: SignedDuration = SignedDuration::from_secs(30);

/// A program that this one calls.
#[derive(Debug, Clone)]
pub struct PeerAddress {
    /// As people call it: `the hub`, or an agency's id.
    pub called: String,
    /// Where it is.
    pub way: Way,
    /// The name that its certificate must have.
    pub name: PeerName,
}

/// How a doctor comes to a program.
#[derive(Debug, Clone)]
pub enum Way {
    /// It is called here: `https://host:port`.
    At(String),
    /// It is not called by the doctor; why, and where its connection shows instead.
    NotCalled(&'static str),
}

/// Calls every peer, all at once.
pub(super) async fn reach(examined: &Examined, clock: &SharedClock, findings: &mut Findings) {
    let Some(domain) = &examined.trust_domain else {
        findings.note(
            Subject::Peer,
            "not called: without an accepted agreement nobody knows who they are",
            "mend the agreement first",
        );
        return;
    };
    let loading = ClientTls::load(examined.tls.clone(), domain.clone(), Arc::clone(clock));
    let Ok(tls) = loading else {
        findings.note(
            Subject::Peer,
            "not called: the certificate, key, authorities or lists can not be used",
            "mend the subject tls first",
        );
        return;
    };
    for peer in &examined.peers {
        if let Way::NotCalled(why) = peer.way {
            findings.ok(Subject::Peer, format!("{} is not called: {why}", peer.called));
        }
    }
    let called = examined.peers.iter().filter_map(|peer| match &peer.way {
        Way::At(endpoint) => Some((peer, endpoint)),
        Way::NotCalled(_) => None,
    });
    let probes = called.map(async |(peer, endpoint)| {
        let reached = probe(endpoint, &peer.name, &tls).await;
        (peer, endpoint, reached, clock.now())
    });
    for (peer, endpoint, reached, now) in join_all(probes).await {
        match reached {
            Ok(reached) => answered(peer, &reached, now, findings),
            Err(why) => findings.action(
                Subject::Peer,
                format!("{} at {} ({}): {why}", peer.called, endpoint, why.stage()),
                why.remedy(),
            ),
        }
    }
}

fn answered(peer: &PeerAddress, reached: &Reached, now: Timestamp, findings: &mut Findings) {
    let called = &peer.called;
    let latency = format!(
        "{called} is reached: connected in {} ms, answers in {} ms",
        reached.connected.as_millis(),
        reached.answered.as_millis()
    );
    if reached.serves {
        findings.ok(Subject::Peer, latency);
    } else {
        findings.note(
            Subject::Peer,
            format!("{latency}, and says that it is not ready"),
            "its operator runs the doctor there",
        );
    }
    if let Some(expires) = reached.expires {
        let what = format!("{called}'s certificate");
        let remedy = "tell its operator to request and install a new one";
        // Its operator is told in time there; here it matters when it is about to fail.
        let left = expires.duration_since(now);
        if left <= certificates::PEER_NOTE {
            findings.note(Subject::PeerCertificate, remaining(&what, expires, now), remedy);
        } else {
            findings.ok(Subject::PeerCertificate, remaining(&what, expires, now));
        }
    }
    if let Some(theirs) = reached.now {
        let skew = now.duration_since(theirs);
        let direction = if skew.is_negative() { "behind" } else { "ahead of" };
        let what = format!("it is {} {direction} {called}'s clock", spoken(skew));
        let remedy = "compare both with a time server (chrony or systemd-timesyncd); beyond five minutes requests are refused as stale";
        // Half of the tolerance: beyond it the two sides differ whichever of them is wrong.
        if skew.abs() > MAX_SKEW / 2 {
            findings.action(Subject::Clock, what, remedy);
        } else if skew.abs() > SKEW_NOTE {
            findings.note(Subject::Clock, what, remedy);
        } else {
            findings.ok(
                Subject::Clock,
                format!("it agrees with {called}'s to {} seconds", skew.abs().as_secs()),
            );
        }
    }
    if let Some(theirs) = &reached.version {
        version(called, theirs, env!("CARGO_PKG_VERSION"), findings);
    }
}

/// Programs of one major version understand each other, before version 1 those of one minor version.
fn version(called: &str, theirs: &str, ours: &str, findings: &mut Findings) {
    if theirs == ours {
        findings.ok(Subject::Version, format!("{called} runs the same version, {ours}"));
        return;
    }
    let what = format!("{called} runs version {theirs}, this is version {ours}");
    let same = generation(theirs).is_some_and(|theirs| Some(theirs) == generation(ours));
    if same {
        findings.note(
            Subject::Version,
            what,
            "they work together; bring both to the newer one when it suits",
        );
    } else {
        findings.action(
            Subject::Version,
            what,
            "the two may not understand each other: see CHANGELOG.md for the order of upgrading, and bring both to one version",
        );
    }
}

fn generation(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    Some(if major == 0 { (0, minor) } else { (major, 0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn a_peer_of_another_generation_asks_for_action_and_one_of_the_same_does_not() {
        for (theirs, ours, severity) in [
            ("0.2.0", "0.1.0", Severity::Action),
            ("1.0.0", "0.1.0", Severity::Action),
            ("2.0.0", "1.9.0", Severity::Action),
            ("what", "0.1.0", Severity::Action),
            ("0.1.7", "0.1.0", Severity::Note),
            ("1.4.0", "1.0.2", Severity::Note),
            ("0.1.0", "0.1.0", Severity::Ok),
        ] {
            let mut findings = Findings::default();
            version("the hub", theirs, ours, &mut findings);
            let found: Vec<_> = findings.all().iter().map(|found| found.severity).collect();
            assert_eq!(found, [severity], "{theirs} {ours}");
        }
    }
}
