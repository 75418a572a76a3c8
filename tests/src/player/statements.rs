//! What assessors sign: links, colours, thresholds, accepted actions. Each is at the hub before the play goes on.

use brag_common::{
    agreement::LinkKind,
    reason::Reason,
    status::code_of,
    wire::{pb, words},
};

use super::{
    acts::{Play, refused},
    report::Row,
    seen::Seen,
};
use crate::scenario::{Accept, Assertion, Confirm, Rating, Threshold};

impl Play<'_> {
    pub(super) async fn confirm(&mut self, confirm: &Confirm) -> anyhow::Result<()> {
        let agency = confirm.agency.get_ref();
        let knows = |label: &str| {
            let mut records = self.scenario.record.iter();
            records.any(|r| r.agency.get_ref() == agency && r.person.get_ref() == label)
        };
        let links: Vec<(&str, LinkKind, &str)> = self
            .scenario
            .links()
            .filter(|(from, kind, to)| confirm.kinds.contains(kind) && knows(from) && knows(to))
            .collect();
        for (from, kind, to) in links {
            let request = pb::ConfirmLinkRequest {
                enquiry: self.enquiry.clone(),
                link: Some(pb::ClaimedLink {
                    from: self.reference(from),
                    to: self.reference(to),
                    kind: words::link_kind(kind).into(),
                }),
            };
            let signed = self.hands().confirm_link(agency, request).await;
            let signed = signed.map_err(refused(&format!("{agency} confirms a link")))?;
            let says = format!("{agency}: {from} {} {to}", kind.word());
            self.statements.extend(signed.map(|id| (id, says)));
            *self.n_facts.entry("link").or_default() += 1;
        }
        self.facts_are_in().await
    }

    pub(super) async fn rate(&mut self, rating: &Rating) -> anyhow::Result<()> {
        let agency = rating.agency.get_ref();
        let via = rating.via.as_ref().map(|label| self.reference(label.get_ref()));
        for (label, colour) in &rating.colours {
            let label = label.get_ref();
            let request = pb::GiveRatingRequest {
                enquiry: self.enquiry.clone(),
                person: self.reference(label),
                colour: words::colour(*colour).into(),
                analysis: rating.analysis.clone(),
                topics: rating.topics.clone(),
                via: via.clone().unwrap_or_default(),
                decline_reason: String::new(),
            };
            let signed = self.hands().rate(agency, request).await;
            if let Some(code) = &rating.refused {
                let what = format!("{agency} gives {label} {colour}");
                let found = match &signed {
                    Ok(_) => "taken".to_owned(),
                    Err(status) => format!("refused {}", code_of(status).unwrap_or("(no code)")),
                };
                self.report.acts.push(Row::compare(what, format!("refused {code}"), found));
                if code == Reason::BlueNotPermittedDa.code() {
                    // The node tells the hub that it has refused a Blue.
                    let cell = (agency.to_string(), self.reference(label));
                    let told = |seen: &Seen| {
                        seen.cells.get(&cell).is_some_and(|cell| cell.reason == *code)
                    };
                    self.until(&format!("the hub's knowledge of {agency}'s Blue"), told).await?;
                }
                continue;
            }
            let signed = signed.map_err(refused(&format!("{agency} rates {label}")))?;
            let says = format!("{agency}: {colour} for {label}");
            self.statements.extend(signed.map(|id| (id, says)));
            let cell = (agency.to_string(), self.reference(label));
            let wanted = i32::from(words::colour(*colour));
            let via = via.clone().unwrap_or_default();
            self.until(&format!("{agency}'s colour for {label} at the hub"), |seen| {
                seen.cells.get(&cell).is_some_and(|c| c.colour == wanted && c.via == via)
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn assert(&mut self, assertion: &Assertion) -> anyhow::Result<()> {
        let agency = assertion.agency.get_ref();
        let meeting = assertion.meeting.map(|at| at.after(self.start).as_millisecond());
        let (kind, word) = match assertion.kind {
            Threshold::Section47 => (pb::AssertionKind::Section47, "section 47"),
            Threshold::Marac => (pb::AssertionKind::Marac, "Marac"),
            Threshold::CareAct42 => (pb::AssertionKind::CareAct42, "Care Act section 42"),
        };
        let request = pb::MakeAssertionRequest {
            enquiry: self.enquiry.clone(),
            kind: kind.into(),
            people: assertion.people.iter().map(|p| self.reference(p.get_ref())).collect(),
            dash_ticks: assertion.dash_ticks,
            professional_judgement: assertion.judgement,
            reports_in_12_months: assertion.reports,
            repeat: assertion.repeat,
            meeting_at_unix_ms: meeting.unwrap_or_default(),
        };
        let signed = self.hands().make_assertion(agency, request).await;
        let signed = signed.map_err(refused(&format!("{agency} states {word}")))?;
        let says = match assertion.dash_ticks {
            0 => format!("{agency}: {word}"),
            ticks => format!("{agency}: {word}, Dash {ticks}"),
        };
        self.statements.extend(signed.map(|id| (id, says)));
        *self.n_facts.entry("assertion").or_default() += 1;
        self.facts_are_in().await
    }

    pub(super) async fn accept(&mut self, accept: &Accept) -> anyhow::Result<()> {
        let (agency, label) = (accept.agency.get_ref(), accept.person.get_ref());
        let request = pb::AcceptActionRequest {
            enquiry: self.enquiry.clone(),
            person: self.reference(label),
            action: accept.action.to_string(),
        };
        let signed = self.hands().accept_action(agency, request).await;
        let what = format!("{agency} accepts action {}", accept.action);
        let signed = signed.map_err(refused(&what))?;
        let says = format!("{agency}: action {} about {label}", accept.action);
        self.statements.extend(signed.map(|id| (id, says)));
        *self.n_facts.entry("action").or_default() += 1;
        self.facts_are_in().await
    }
}
