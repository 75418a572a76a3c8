//! The floor of an enrolment: the `voprf` crate in a bare loop, on every core, in one process. The client blinds, the
//! server evaluates the batch with a proof, the client verifies it and takes the blinds off. Nothing is encoded, sent or kept.

use std::time::Instant;

use anyhow::Context as _;
use brag_common::matching::token::BATCH;
use rand_core::{OsRng, RngCore as _};
use rustix::time::{ClockId, clock_gettime};
use voprf::{Ristretto255, VoprfClient, VoprfServer};

/// What one sample of the floor came to.
#[derive(Debug, Clone, Copy)]
pub struct FloorSample {
    /// Elements on all threads together.
    pub n_elements: u64,
    pub wall_seconds: f64,
    /// Processor seconds of all threads together.
    pub cpu_seconds: f64,
}

/// Batches that each thread does in a sample: about a second's half on a core of a server.
const BATCHES: usize = 3;

/// Takes a sample on every core. Blocks.
pub fn sample() -> anyhow::Result<FloorSample> {
    let n_threads = std::thread::available_parallelism()?.get();
    let server = VoprfServer::<Ristretto255>::new(&mut OsRng).ok().context("a server's key")?;
    let began = Instant::now();
    let cpu_seconds = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(|| one_thread(&server))).collect();
        let done = threads.into_iter().map(|thread| thread.join().ok().flatten());
        done.sum::<Option<f64>>()
    });
    Ok(FloorSample {
        n_elements: (n_threads * BATCHES * BATCH) as u64,
        wall_seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds.context("the bare loop failed")?,
    })
}

/// The processor seconds that it took.
fn one_thread(server: &VoprfServer<Ristretto255>) -> Option<f64> {
    let began = thread_seconds();
    for _ in 0..BATCHES {
        let mut inputs = vec![[0_u8; 40]; BATCH];
        let (mut messages, mut states) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        for input in &mut inputs {
            OsRng.fill_bytes(input);
            let blinded = VoprfClient::<Ristretto255>::blind(input, &mut OsRng).ok()?;
            messages.push(blinded.message);
            states.push(blinded.state);
        }
        let evaluated = server.batch_blind_evaluate(&mut OsRng, &messages).ok()?;
        let inputs: Vec<&[u8]> = inputs.iter().map(<[u8; 40]>::as_slice).collect();
        let outputs = VoprfClient::batch_finalize(
            &inputs,
            &states,
            &evaluated.messages,
            &evaluated.proof,
            server.get_public_key(),
        );
        for output in outputs.ok()? {
            std::hint::black_box(output.ok()?);
        }
    }
    Some(thread_seconds() - began)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a thread are few")]
fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
