//! A browser that works the consoles: the driver of `tests/browser`, as a process that is told what to do line by line.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
    time::timeout,
};

/// How long one act may take: every page that somebody can reach, each in every way, on a loaded machine.
const ACT_WITHIN: Duration = Duration::from_secs(600);

/// The driver, with its browser. It is killed when this is dropped.
#[derive(Debug)]
pub struct Browser {
    pipes: Mutex<Pipes>,
    shots: PathBuf,
}

#[derive(Debug)]
struct Pipes {
    child: Child,
    tell: Option<ChildStdin>,
    told: Lines<BufReader<ChildStdout>>,
}

/// Why an act was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The page said no.
    #[error("refused ({code}): {words}")]
    Refused {
        /// The code of the reason, if the page named one.
        code: String,
        /// What the page said.
        words: String,
    },
    /// The page was not as it had to be, or something failed.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

#[derive(Deserialize)]
struct Said {
    ok: Option<Value>,
    refusal: Option<Refusal>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    shot: String,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    words: String,
}

impl Browser {
    /// Starts it. Pictures of pages on which something went wrong go to `shots`.
    ///
    /// # Errors
    /// When node or the driver's packages are not there.
    pub fn start(shots: PathBuf) -> anyhow::Result<Self> {
        Self::start_with(shots, "")
    }

    /// As [`Browser::start`], with one name that is only a test's, and the address where it is: `console.example:443 127.0.0.1:9`.
    ///
    /// # Errors
    /// As [`Browser::start`].
    pub fn start_with(shots: PathBuf, hosts: &str) -> anyhow::Result<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = tests.join("../target/browser/node_modules");
        anyhow::ensure!(
            packages.is_dir(),
            "the browser tests' packages are not installed; run tests/browser/install"
        );
        let mut child = Command::new("node")
            .arg(tests.join("browser/driver.mjs"))
            .env("BRAG_HOSTS", hosts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("can not start `node`, which drives the browser")?;
        let tell = child.stdin.take();
        let told = child.stdout.take().context("the driver has no output")?;
        let pipes = Pipes { child, tell, told: BufReader::new(told).lines() };
        Ok(Self { pipes: Mutex::new(pipes), shots })
    }

    /// Does one act, and gives what came of it. `message` says `act`, `who`, `site`, `now` and what the act needs.
    ///
    /// # Errors
    /// When the page refuses it, or it can not be done.
    pub async fn act(&self, mut message: Value) -> Result<Value, NotDone> {
        message["shots"] = self.shots.display().to_string().into();
        let said = self.say(&message).await?;
        if let Some(Refusal { code, words }) = said.refusal {
            return Err(NotDone::Refused { code, words });
        }
        let Said { ok, error, page, shot, .. } = said;
        let failed = || {
            anyhow::anyhow!(
                "{} by {}: {error}\nat {page}, see {shot}",
                message["act"],
                message["who"]
            )
        };
        ok.ok_or_else(failed).map_err(NotDone::Failed)
    }

    async fn say(&self, message: &Value) -> anyhow::Result<Said> {
        let mut pipes = self.pipes.lock().await;
        let line = format!("{message}\n");
        let tell = pipes.tell.as_mut().context("the browser is closed")?;
        tell.write_all(line.as_bytes()).await.context("the browser's driver has ended")?;
        let told = timeout(ACT_WITHIN, pipes.told.next_line()).await;
        let told = told.with_context(|| format!("{} took too long", message["act"]))??;
        let told = told.context("the browser's driver has ended")?;
        serde_json::from_str(&told).context("the browser's driver says what does not read")
    }

    /// Closes it.
    ///
    /// # Errors
    /// When it does not end cleanly.
    pub async fn close(&self) -> anyhow::Result<()> {
        let mut pipes = self.pipes.lock().await;
        // The driver ends with its input.
        pipes.tell = None;
        let ended = timeout(ACT_WITHIN, pipes.child.wait()).await.context("it does not end")??;
        anyhow::ensure!(ended.success(), "the browser's driver ended with {ended}");
        Ok(())
    }
}
