//! Runs a whole partnership on this machine and plays a scenario on it.

use std::{
    collections::BTreeSet,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use brag_common::time::Timestamp;
use brag_hub::render::Paint;
use brag_tests::{
    browser::Browser,
    partnership,
    player::{self, Consoles, Interrupted, KillHub, Narrator, Options},
    scenario::{S1, Scenario},
    staging,
};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use totp_rs::{Algorithm, Secret, TOTP};

/// Runs a whole partnership on this machine, plays a scenario on it, and prints what came of it.
///
/// Makes keys and certificates, signs the sample agreement with every party, imports invented people at fourteen
/// agencies, starts their nodes and the hub as processes of their own, and plays the scenario over mutual TLS. Then it
/// verifies every log and looks for leaks in everything that was written. All people are invented.
///
/// Exit codes: 0 all came out as expected; 1 something did not, or failed; 2 usage; 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Demo {
    /// Play this scenario; tests/scenarios/README.md tells the format [default: S1, built in]
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Start the scenario then instead of on its own day: RFC 3339, for example 2027-03-26T22:10:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Print one JSON document on standard output and nothing else there
    #[arg(long)]
    json: bool,
    /// Keep everything up until Ctrl-C, and tell how to reach it
    #[arg(long)]
    stay: bool,
    /// Keep all data in this folder, which must be empty or absent [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Do what the people of this program do on the pages of its console, in a browser: `hub`, or an agency; may be repeated
    #[arg(long, value_name = "PROGRAM")]
    in_browser: Vec<String>,
    /// Kill the hub without a word before everything that happens, and start it again; it takes longer
    #[arg(long)]
    kill_hub_at_every_step: bool,
    /// Print the one-time code of this key, as the demo that stays up in --data would have it now, and end: its clock is ahead, so an
    /// authenticator app shows others
    #[arg(long, value_name = "KEY", requires = "data")]
    code: Option<String>,
    /// Invented people in all
    #[arg(long, value_name = "N", default_value_t = 3000)]
    people: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let demo = Demo::parse();
    let narrator = Narrator::default();
    let ended = run(&demo, &narrator).await;
    if let Err(error) = &ended {
        narrator.say(&format!("demo: {error:#}"));
    }
    player::exit_code(&ended)
}

/// The one-time code of a key by the clock of a demo that stays up.
fn code(key: &str, data: &Path) -> anyhow::Result<String> {
    let key: String = key.chars().filter(|c| !c.is_whitespace()).collect();
    let secret = Secret::Encoded(key).to_bytes().map_err(|_| anyhow::anyhow!("not a key"))?;
    let totp = TOTP::new_unchecked(Algorithm::SHA1, 6, 0, 30, secret, None, String::new());
    let now = staging::surroundings(&data.join("stage"), "code")?.clock.now();
    Ok(totp.generate(u64::try_from(now.as_second())?))
}

async fn run(demo: &Demo, narrator: &Narrator) -> anyhow::Result<bool> {
    if let (Some(key), Some(data)) = (&demo.code, &demo.data) {
        writeln!(std::io::stdout(), "{}", code(key, data)?)?;
        return Ok(true);
    }
    let interrupted = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signals, interrupted) = (signal(kind)?, interrupted.clone());
        tokio::spawn(async move {
            signals.recv().await;
            interrupted.cancel();
        });
    }
    let scenario = read_scenario(demo)?;
    let temporary = tempfile::Builder::new().prefix("brag-demo-").tempdir()?;
    let folder = match &demo.data {
        None => temporary.path().to_owned(),
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            let mut entries = std::fs::read_dir(folder)?;
            anyhow::ensure!(entries.next().is_none(), "`{}` is not empty", folder.display());
            std::path::absolute(folder)?
        }
    };
    let kill_hub = match demo.kill_hub_at_every_step {
        true => KillHub::AtEveryStep,
        false => KillHub::AsWritten,
    };
    let browser = match demo.in_browser.as_slice() {
        [] => None,
        _ => Some(Arc::new(Browser::start(folder.join("shots"))?)),
    };
    let consoles = browser.clone().map(|browser| Consoles {
        browser,
        of: demo.in_browser.iter().cloned().collect(),
        only: BTreeSet::new(),
    });
    let options = Options { folder, n_people: demo.people, kill_hub, consoles };
    let played = player::play(&scenario, options, narrator, &interrupted).await;
    if let Some(browser) = browser {
        let told = browser.act(serde_json::json!({ "act": "tell" })).await;
        narrator.say(&format!("On the pages: {}", told.unwrap_or_default()));
        browser.close().await?;
    }
    let mut played = played?;
    if !demo.stay {
        played.stop(narrator).await?;
    }
    played.look_back(&scenario, narrator).await?;
    let mut stdout = std::io::stdout();
    if demo.json {
        serde_json::to_writer_pretty(&mut stdout, &played.report)?;
        writeln!(stdout)?;
    } else {
        let paint = if stdout.is_terminal() { Paint::Colour } else { Paint::Plain };
        write!(stdout, "{}", player::text(&played.report, paint))?;
    }
    stdout.flush()?;
    if demo.stay {
        narrator.say(&played.how_to_reach().await?);
        let died = tokio::select! {
            () = interrupted.cancelled() => Interrupted.into(),
            died = played.one_has_died() => died,
        };
        if let Err(trouble) = played.stop(narrator).await {
            narrator.say(&trouble.to_string());
        }
        return Err(died);
    }
    if interrupted.is_cancelled() {
        return Err(Interrupted.into());
    }
    Ok(played.report.passed)
}

fn read_scenario(demo: &Demo) -> anyhow::Result<Scenario> {
    let (file, text) = match &demo.scenario {
        None => (PathBuf::from("s1.toml"), S1.to_owned()),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("can not read the scenario `{}`", file.display()))?;
            (file.clone(), text)
        }
    };
    let mut scenario = Scenario::parse(&file, &text, &partnership::sample_parties()?)?;
    scenario.start = demo.start.or(scenario.start);
    Ok(scenario)
}
