//! One program of the partnership as a process that is killed and started again: whoever speaks with it does so through relays, whose
//! addresses stay while the program comes back at any free port.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::{control::Control, disk::Disk, relay::Relay};

/// How long a program has to serve: a loaded machine and an unoptimised build.
const START_WITHIN: Duration = Duration::from_secs(90);

/// How long it has to end in good order.
const STOP_WITHIN: Duration = Duration::from_secs(45);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What programs are started from.
#[derive(Debug, Clone)]
pub struct Kit {
    /// The library that they are started with.
    pub library: PathBuf,
    /// Where what they print goes.
    pub captured: PathBuf,
    /// The folder of the programs.
    pub folder: PathBuf,
}

/// A program.
#[derive(Debug)]
pub struct Unit {
    /// The agency's name, or `hub`.
    pub name: String,
    program: &'static str,
    config: PathBuf,
    kit: Kit,
    /// What the library is told.
    pub control: Control,
    /// What is under its data.
    pub disk: Disk,
    /// By which people come to it; it is never cut.
    pub door: Relay,
    /// By which other programs come to it.
    pub ways: Vec<Relay>,
    running: Mutex<Option<Running>>,
    peak_bytes: AtomicU64,
}

#[derive(Debug)]
struct Running {
    child: Child,
    admin: std::net::SocketAddr,
}

#[derive(Deserialize)]
struct Ready {
    listen: std::net::SocketAddr,
    admin: std::net::SocketAddr,
}

/// How a start went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It serves.
    Serves,
    /// It ended before it served, with these last words.
    Ended(String),
}

impl Unit {
    /// A program that does not run yet.
    ///
    /// # Errors
    /// When its control page can not be written.
    pub fn new(
        (name, program): (&str, &'static str),
        config: PathBuf,
        kit: Kit,
        disk: Disk,
        (door, ways): (Relay, Vec<Relay>),
    ) -> anyhow::Result<Self> {
        let control = Control::new(kit.captured.with_file_name(format!("{name}.control")))?;
        Ok(Self {
            name: name.to_owned(),
            program,
            config,
            kit,
            control,
            disk,
            door,
            ways,
            running: Mutex::default(),
            peak_bytes: AtomicU64::new(0),
        })
    }

    /// The folder with its configuration.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.config.parent().unwrap_or(&self.config)
    }

    /// The program with the library, its output captured.
    fn command(&self, words: &[&str]) -> std::io::Result<Command> {
        let capture = |stream: &str| {
            let path = self.kit.captured.join(format!("{}.{stream}", self.name));
            fs::OpenOptions::new().create(true).append(true).open(path)
        };
        let mut command = Command::new(self.kit.folder.join(self.program));
        command
            .args(words)
            .arg("--config")
            .arg(&self.config)
            .env("LD_PRELOAD", &self.kit.library)
            .env("BRAG_FAULTS_CONTROL", self.control.path())
            .stdin(Stdio::null())
            .stdout(capture("stdout")?)
            .stderr(capture("stderr")?)
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs one of its commands to its end.
    ///
    /// # Errors
    /// When it fails, with its last words.
    pub async fn run(&self, words: &[&str]) -> anyhow::Result<()> {
        let status = self.command(words)?.status().await?;
        anyhow::ensure!(status.success(), "{} {}: {status}\n{}", self.name, words[0], self.tail());
        Ok(())
    }

    /// Starts it and waits until it serves, or ends. Nothing when it runs.
    ///
    /// # Errors
    /// When it can not be started, or neither serves nor ends in time.
    pub async fn start(&self) -> anyhow::Result<Started> {
        let mut running = self.running.lock().await;
        if let Some(one) = running.as_mut() {
            if one.child.try_wait()?.is_none() {
                return Ok(Started::Serves);
            }
            *running = None;
        }
        let (mut child, ready_file) = self.spawn()?;
        let deadline = Instant::now() + START_WITHIN;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Started::Ended(format!("{status}: {}", self.tail())));
            }
            // It is there whole or not at all.
            if let Ok(text) = fs::read_to_string(&ready_file) {
                let ready: Ready = serde_json::from_str(&text).context("the ready file")?;
                for relay in self.ways.iter().chain([&self.door]) {
                    relay.lead_to(ready.listen);
                }
                *running = Some(Running { child, admin: ready.admin });
                return Ok(Started::Serves);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "{} neither serves nor ends within {START_WITHIN:?}: {}",
                self.name,
                self.tail()
            );
            sleep(LOOK_EVERY).await;
        }
    }

    fn spawn(&self) -> anyhow::Result<(Child, PathBuf)> {
        let ready_file = self.kit.captured.join(format!("{}.ready", self.name));
        let _ = fs::remove_file(&ready_file);
        let ready = ready_file.display().to_string();
        Ok((self.command(&["serve", "--ready-file", &ready])?.spawn()?, ready_file))
    }

    /// Kills it without a word and waits until it is gone; whether it ran.
    ///
    /// # Errors
    /// When the system does not let go of it.
    pub async fn kill(&self) -> anyhow::Result<bool> {
        self.look_at_memory().await;
        let Some(mut one) = self.running.lock().await.take() else { return Ok(false) };
        let ran = one.child.try_wait()?.is_none();
        one.child.kill().await?;
        Ok(ran)
    }

    /// Kills it, starts it, and kills it again in its start; whether it was still starting then.
    ///
    /// # Errors
    /// As [`Unit::kill`], and when it can not be started.
    pub async fn kill_in_start(&self, after: Duration) -> anyhow::Result<bool> {
        self.kill().await?;
        let running = self.running.lock().await;
        let (mut child, ready_file) = self.spawn()?;
        sleep(after).await;
        let was_starting = child.try_wait()?.is_none() && !ready_file.exists();
        child.kill().await?;
        drop(running);
        Ok(was_starting)
    }

    /// Waits until it does not run, for so long at the most; whether it does not.
    pub async fn ends_by_itself(&self, within: Duration) -> bool {
        let ended = async {
            loop {
                let mut running = self.running.lock().await;
                let status = running.as_mut().map(|one| one.child.try_wait());
                drop(running);
                if !matches!(status, Some(Ok(None))) {
                    return;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(within, ended).await.is_ok()
    }

    /// Tells it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time, or not with 0.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.look_at_memory().await;
        let Some(mut one) = self.running.lock().await.take() else { return Ok(()) };
        let id = one.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            // It may have ended meanwhile, which its status tells.
            let _ = kill_process(id, Signal::TERM);
        }
        let ended = timeout(STOP_WITHIN, one.child.wait()).await;
        let status = ended.with_context(|| format!("{} does not stop", self.name))??;
        anyhow::ensure!(status.success(), "{}: {status}: {}", self.name, self.tail());
        Ok(())
    }

    /// What `/ready` says; `None`: it does not run, or does not answer.
    pub async fn ready(&self) -> Option<(u16, String)> {
        self.page("/ready").await
    }

    /// A page of its own port.
    pub async fn page(&self, path: &str) -> Option<(u16, String)> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let admin = self.running.lock().await.as_ref()?.admin;
        let asked = async {
            let mut stream = tokio::net::TcpStream::connect(admin).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let status = answer.split(' ').nth(1)?.parse().ok()?;
            Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
        };
        timeout(Duration::from_secs(5), asked).await.ok()?
    }

    /// Looks how much memory it has had at most, and keeps the most of all its processes.
    pub async fn look_at_memory(&self) {
        let id = self.running.lock().await.as_ref().and_then(|one| one.child.id());
        let Some(id) = id else { return };
        // It may end between the two looks.
        let Ok(status) = fs::read_to_string(format!("/proc/{id}/status")) else { return };
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok());
        self.peak_bytes.fetch_max(kib.unwrap_or(0) * 1024, Ordering::Relaxed);
    }

    /// The most memory that any of its processes has had, in bytes, as far as it was looked at.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// Its last words.
    fn tail(&self) -> String {
        let path = self.kit.captured.join(format!("{}.stderr", self.name));
        let said = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}
