//! Screenings, one at a time, by turns at every agency, timed at the caller.

use std::{sync::Arc, time::Instant};

use anyhow::Context as _;
use brag_common::{
    agreement::SignedAgreement,
    audit::Party,
    enquiry::{Envelope, SLOT_TAGS, SLOTS_STEP, ScreenQuery},
    id::RequestId,
    matching::{
        identity::Identity,
        keys::query_slots,
        screen::ScreenAnswer,
        token::{Epoch, EpochSecret},
        weigh::{Thresholds, Verdict, weigh},
    },
    secret::{SecretBytes, random_bytes},
    time::{Clock as _, SignedDuration, SystemClock},
    tls::{ClientTls, connect},
    wire::pb::{self, node_service_client::NodeServiceClient},
};
use brag_hub::store::shapes::EpochRecord;
use rand_core::OsRng;
use tonic::transport::Endpoint;

use super::{Agency, Sample, Screened, Screens, Stage};
use crate::{
    people::{Invented, Noise, Random},
    processes::Fleet,
    shown::Shown,
};

/// How many of the first screenings do not count: connections and caches.
const WARM_UP: usize = 10;

/// An agency as the hub sees it.
struct Asked<'a> {
    agency: &'a Agency,
    client: NodeServiceClient<Shown>,
    secret: EpochSecret,
    epoch: u32,
}

/// Times `n_screens` that hit and as many that miss, at each agency.
pub(super) async fn run(
    stage: &Stage,
    agencies: &[Agency],
    keys: &[EpochRecord],
    strangers: &[Invented],
    n_screens: usize,
    nodes: &Fleet,
) -> anyhow::Result<Vec<Screens>> {
    let partnership = &stage.partnership;
    let signing = partnership.signing_key(&agencies[0].id)?;
    let note = std::fs::read(partnership.agreement_path())?;
    let agreement = SignedAgreement::verify(&note, (&agencies[0].id, signing.verifying_key()))?;
    let clock = Arc::new(SystemClock);
    let domain = partnership.ca().trust_domain();
    let files = partnership.ca().hub().write(partnership.ca(), partnership.folder(), "caller");
    let mut asked = Vec::new();
    for ((agency, key), (_, listen, _)) in agencies.iter().zip(keys).zip(nodes.running()) {
        let tls = ClientTls::load(files.clone(), domain.clone(), clock.clone())?;
        let endpoint = Endpoint::from_shared(format!("https://{listen}"))?;
        let channel = connect(&endpoint, domain.agency(agency.id.clone()), tls);
        let seed = SecretBytes::new(key.seed);
        let secret = EpochSecret::derive(&seed, &agency.id, Epoch(u64::from(key.epoch)))?;
        let shown = Shown::new(channel, domain, &Party::Hub, &partnership.hub_folder());
        let client = NodeServiceClient::new(shown);
        asked.push(Asked { agency, client, secret, epoch: key.epoch });
    }
    let envelope = || -> anyhow::Result<Envelope> {
        Ok(Envelope {
            request_id: RequestId::from_random(random_bytes()?),
            agreement: agreement.digest(),
            valid_until: SystemClock.now().checked_add(SignedDuration::from_secs(10))?,
        })
    };

    let mut random = Random::new(0x5c4e);
    let mut timed = vec![[(Vec::new(), 0), (Vec::new(), 0)]; asked.len()];
    for n in 0..n_screens + WARM_UP {
        for (asked, timed) in asked.iter_mut().zip(&mut timed) {
            let known = random.below(asked.agency.n_evaluated);
            let people = &stage.region.population;
            let known = people.recorded(&asked.agency.id, known, &Noise::TYPICAL).identity();
            let stranger = strangers[random.below(strangers.len())].identity();
            for (person, (milliseconds, n_known)) in [known, stranger].iter().zip(timed) {
                let (took, verdict) = asked.screen(person, envelope()?).await?;
                if n >= WARM_UP {
                    milliseconds.push(took);
                    *n_known += usize::from(verdict == Verdict::Known);
                }
            }
        }
    }
    let screened =
        |(milliseconds, n_known)| Screened { milliseconds: Sample::of(milliseconds), n_known };
    Ok(timed
        .into_iter()
        .map(|[hit, miss]| Screens { hit: screened(hit), miss: screened(miss) })
        .collect())
}

impl Asked<'_> {
    /// How long the call took, in milliseconds, and what the hub would make of the answer.
    async fn screen(
        &mut self,
        person: &Identity,
        envelope: Envelope,
    ) -> anyhow::Result<(f64, Verdict)> {
        let prepared = self.secret.prepare_query(&query_slots(person, &mut OsRng), &mut OsRng)?;
        let mut slots = vec![prepared.tags];
        while slots.len() < SLOTS_STEP {
            slots.push(self.secret.prepare_query(&[const { None }; SLOT_TAGS], &mut OsRng)?.tags);
        }
        let request_id = envelope.request_id.clone();
        let query = ScreenQuery {
            envelope,
            epoch: self.epoch,
            public_key: self.secret.public_key(),
            newest_epoch: self.epoch,
            slots,
        };
        let request: pb::ScreenRequest = (&query).into();
        let began = Instant::now();
        let answers = self.client.screen(request).await?.into_inner().answers;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        let answer = ScreenAnswer::from_bytes(answers.first().context("no answer")?)?;
        let n_people = self.agency.n_people as u64;
        let assessment =
            weigh(&request_id, &prepared.asked, &answer, n_people, Thresholds::DEFAULT);
        Ok((took, assessment.verdict))
    }
}
