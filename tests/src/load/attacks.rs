//! Attacks at the limits: how long a well-behaved caller waits for the hub while another peer attacks it.
//!
//! A real hub over mutual TLS on loopback. The caller is an agency with a connection of its own, which asks for health at a fixed rate; the
//! attacker is another process with another agency's certificate, of lowest priority, since a real one would have a machine of its own. Quiet
//! and attack take turns in one run, so that whatever else the machine does weighs on both.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use brag_common::{
    testing::http2::{Client, begun, message},
    time::{Clock as _, SystemClock},
};
use serde::Deserialize;
use tokio::process::Command;

use super::{Sample, process};
use crate::{
    partnership::Partnership,
    player::Narrator,
    processes::{Ports, Programs, Server},
};

mod attacker;
mod report;

pub use attacker::{Attack, attack};
use attacker::{CHECK, Door, Stream};
pub use report::{Attacked, Report, Turn, text};

/// What to measure.
#[derive(Debug)]
pub struct Options {
    /// The folder of all data; empty.
    pub folder: PathBuf,
    /// How long a turn is.
    pub turn: Duration,
    /// Turns of each attack, and of quiet before each.
    pub n_runs: usize,
    /// How often the caller asks.
    pub every: Duration,
    /// Which attacks; empty: all.
    pub attacks: Vec<Attack>,
}

/// What the attacker says of itself.
#[derive(Debug, Deserialize)]
struct Did {
    n: u64,
}

/// Measures.
///
/// # Errors
/// When a program fails, or a figure can not be read. That a call of the caller fails is a figure.
pub async fn run(options: &Options, narrator: &Narrator) -> anyhow::Result<Report> {
    let programs = Programs::beside_this(options.folder.join("captured"))?;
    let making = options.folder.clone();
    let now = SystemClock.now();
    let partnership =
        tokio::task::spawn_blocking(move || Partnership::create(&making, now, |_| {})).await??;
    // Of nodes that nobody asks anything, and of the hub.
    let mut ports = Ports::reserve(partnership.agencies().len() + 1)?;
    let mut addresses = ports.addresses()?;
    let address = addresses.pop().context("no port")?;
    let nodes = partnership.agencies().iter().cloned().zip(addresses).collect();
    let config = partnership.write_hub_config(address, &nodes)?;
    let [caller, attacking, ..] = partnership.agencies() else {
        anyhow::bail!("the partnership has no two agencies")
    };
    let ca = partnership.ca();
    ca.agency(caller).write(ca, &options.folder, "caller");
    ca.agency(attacking).write(ca, &options.folder, "attacker");
    ports.give_out(address);
    let hub = programs.serve("hub", "hub", &config).await?;
    let door = Door::open(address, Ipv4Addr::LOCALHOST, &options.folder, "caller")?;
    let attacks =
        if options.attacks.is_empty() { Attack::ALL.to_vec() } else { options.attacks.clone() };
    let work = narrator.begin("Quiet and attacked, by turns", attacks.len() * options.n_runs);
    let mut measured: Vec<Attacked> = attacks.iter().map(|attack| Attacked::new(*attack)).collect();
    for _ in 0..options.n_runs {
        for of_attack in &mut measured {
            let quiet = take_turn(&door, options).await?;
            let (turn, n_done) = attacked(&door, options, of_attack.attack).await?;
            of_attack.add(quiet, turn, n_done, options.turn);
            let memory = process::memory(hub_id(&hub)?)?;
            of_attack.resident_bytes = of_attack.resident_bytes.max(memory.resident);
            work.step();
        }
    }
    work.done();
    Report::of(measured, options)
}

fn hub_id(hub: &Server) -> anyhow::Result<u32> {
    hub.id().context("the hub has ended")
}

/// A turn beside an attacker, which begins before and ends after it; and what the attacker has done.
async fn attacked(door: &Door, options: &Options, attack: Attack) -> anyhow::Result<(Turn, u64)> {
    /// What the attacker has before and after.
    const MARGIN: Duration = Duration::from_millis(500);
    let seconds = (options.turn + 2 * MARGIN).as_secs_f64().to_string();
    let child = Command::new("nice")
        .args(["-n", "19"])
        .arg(std::env::current_exe()?)
        .args(["attacker", "--attack", attack.word(), "--seconds", &seconds])
        .arg("--address")
        .arg(door.address().to_string())
        .arg("--folder")
        .arg(&options.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("can not start the attacker")?;
    tokio::time::sleep(MARGIN).await;
    let turn = take_turn(door, options).await?;
    let ended = child.wait_with_output().await?;
    anyhow::ensure!(ended.status.success(), "the attacker failed: {}", ended.status);
    let did: Did = serde_json::from_slice(&ended.stdout).context("the attacker said nothing")?;
    Ok((turn, did.n))
}

/// Asks at a fixed rate for a turn. Each call is timed from when it was due, so that waiting for the one before counts.
async fn take_turn(door: &Door, options: &Options) -> anyhow::Result<Turn> {
    let mut n_failed = 0;
    let began = Instant::now();
    let mut client = connect(door, &mut n_failed).await?;
    let connect_milliseconds = milliseconds(began.elapsed());
    let mut waits = Vec::new();
    let began = Instant::now();
    let mut due = began;
    let mut stream = 1;
    while due < began + options.turn {
        tokio::time::sleep_until(due.into()).await;
        match ask(&mut client, stream).await {
            Ok(()) => {
                waits.push(milliseconds(due.elapsed()));
                stream += 2;
            }
            Err(_) => {
                n_failed += 1;
                client = connect(door, &mut n_failed).await?;
                stream = 1;
            }
        }
        due += options.every;
    }
    Ok(Turn { waits: Sample::of(waits), connect_milliseconds, n_failed })
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// A new connection, at the first try that is let in; tries that are not are counted.
async fn connect(door: &Door, n_failed: &mut usize) -> anyhow::Result<Client<Stream>> {
    /// Tries after which it is given up.
    const TRIES: usize = 1000;
    for _ in 0..TRIES {
        match connect_once(door).await {
            Ok(client) => return Ok(client),
            Err(_) => *n_failed += 1,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the caller was not let in at {TRIES} tries")
}

async fn connect_once(door: &Door) -> std::io::Result<Client<Stream>> {
    let mut client = Client::open(door.connect().await?, i32::MAX.unsigned_abs()).await?;
    client.heard().await?;
    Ok(client)
}

async fn ask(client: &mut Client<Stream>, stream: u32) -> std::io::Result<()> {
    client.send(&[begun(stream, CHECK), message(stream, &[])].concat()).await?;
    client.until(|received| received.ends(stream)).await.map(drop)
}
