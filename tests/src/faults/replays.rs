//! Old requests that come again: sent to the nodes with the hub's own certificate and name, as somebody would who holds both and has kept
//! what the hub once sent. Every one has to be refused, also by a node that was killed since.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use brag_common::{
    audit::{
        Party,
        entry::{Action, Entry},
    },
    id::AgencyId,
    status::code_of,
    time::{Clock as _, SignedDuration, SystemClock, Timestamp},
    tls::{ClientTls, connect},
    wire::{pb, witness::MAX_EXCHANGE_BYTES},
};
use tonic::transport::Endpoint;

use super::{
    checks::{Promise, Violation},
    stage::{HUB, Stage},
    work::asked,
};
use crate::shown::{Shown, witnessing};

/// Requests that are sent again to each node in each round.
const OF_EACH: usize = 2;

/// How far in the past a stale request's life ended: past what clocks may differ.
const STALE_BY: SignedDuration = SignedDuration::from_secs(5 * 60 + 30);

/// A node remembers an id as long as its request could be alive, which is five minutes more than it says. An older one that comes with a new
/// life is a new request.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(4);

/// A channel to a node in the hub's name.
fn as_hub(stage: &Stage, agency: &AgencyId) -> anyhow::Result<Shown> {
    let partnership = &stage.partnership;
    let (ca, domain) = (partnership.ca(), partnership.ca().trust_domain());
    let folder = partnership.folder().join("people");
    std::fs::create_dir_all(&folder)?;
    let files = ca.hub().write(ca, &folder, "as-hub");
    let clock = std::sync::Arc::new(SystemClock);
    let tls = ClientTls::load(files, domain.clone(), clock)?;
    let address = stage.unit(agency.as_str())?.door.address();
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?;
    let channel = connect(&endpoint, domain.agency(agency.clone()), tls);
    Ok(Shown::showing(channel, witnessing(domain, &Party::Hub, &partnership.hub_folder())))
}

/// Sends old requests again, twice each: after their life, and with a life that a forger has made longer. Gives how many were refused
/// for what they are, by code.
///
/// # Errors
/// When a node does not answer.
pub async fn again(
    stage: &Stage,
    logs: &BTreeMap<String, Vec<Entry>>,
    agreement: &[u8],
) -> anyhow::Result<(BTreeMap<String, u64>, Vec<Violation>)> {
    let (mut refused, mut violations) = (BTreeMap::new(), Vec::new());
    let hub = logs.get(HUB).context("the hub has no log")?;
    for agency in stage.partnership.agencies() {
        let log = logs.get(agency.as_str()).context("a node has no log")?;
        let now = SystemClock.now();
        // The newest are the ones that a guard without a memory would take.
        let taken = log.iter().rev().filter(|entry| {
            let is_answer = matches!(entry.action, Action::RateAnswered | Action::ScreenAnswered);
            is_answer && now.duration_since(entry.ts) < REMEMBERED
        });
        let taken = taken.filter(|entry| {
            let asked = [Action::RateAsked, Action::ScreenAsked];
            hub.iter().any(|one| {
                asked.contains(&one.action)
                    && one.exchange == entry.exchange
                    && now.duration_since(one.ts) < REMEMBERED
            })
        });
        let mut exchanges: Vec<_> = taken.filter_map(|entry| entry.exchange.as_ref()).collect();
        exchanges.dedup();
        let enquiry = hub.iter().find_map(|entry| entry.enquiry.as_ref()).context("no enquiry")?;
        let channel = as_hub(stage, agency)?;
        for exchange in exchanges.into_iter().take(OF_EACH) {
            let lives = [
                (now - STALE_BY, "request_expired"),
                (now + Duration::from_secs(5), "request_replayed"),
            ];
            for (valid_until, wanted) in lives {
                let request =
                    request(exchange.to_string(), agreement, valid_until, enquiry.to_string());
                let client = pb::node_service_client::NodeServiceClient::new(channel.clone());
                let mut client = client.max_decoding_message_size(MAX_EXCHANGE_BYTES);
                let answer = client.inform(asked(request)).await;
                let code =
                    answer.as_ref().err().and_then(|status| code_of(status)).unwrap_or("taken");
                if code == wanted {
                    *refused.entry(wanted.to_owned()).or_default() += 1;
                } else {
                    let what =
                        format!("{agency} said {code} to {exchange}, sent again: {answer:?}");
                    violations.push(Violation::new(Promise::NothingStale, what));
                }
            }
        }
    }
    Ok((refused, violations))
}

fn request(
    request_id: String,
    agreement: &[u8],
    valid_until: Timestamp,
    enquiry: String,
) -> pb::InformRequest {
    pb::InformRequest {
        request_id,
        agreement_digest: agreement.to_vec(),
        valid_until_unix_ms: valid_until.as_millisecond(),
        enquiry,
        news: "lead_named".to_owned(),
        at_unix_ms: valid_until.as_millisecond(),
        about: "CSC".to_owned(),
        person: String::new(),
    }
}
