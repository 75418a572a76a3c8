//! A stage on which real programs run: a clock that all of them follow and that goes where the player puts it, and for
//! each a log's disk that can be full.
//!
//! The stage is a folder. What is on it is said by files that are there whole or not at all, so that a program of any
//! process follows without being told. Nothing of this is in `hub` and `agency-node`: the program `staged` runs their
//! command lines in these surroundings.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use brag_common::{
    audit::{FaultSwitch, LogOptions},
    program::Surroundings,
    time::{Clock, SystemClock, Timestamp},
};

/// The file that says what time it is.
const CLOCK: &str = "clock";

/// How often a program looks whether its log's disk is full.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Pauses of a staged log between attempts to reopen: an evening on stage takes seconds.
const REOPEN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(200));

/// What time it is on stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hands {
    /// The clock stands.
    At(Timestamp),
    /// The clock runs on from a time, since a moment of the machine's clock.
    Running { from: Timestamp, since: Timestamp },
}

impl Hands {
    fn now(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Running { from, since } => {
                let gone = SystemClock.now().duration_since(since);
                from.checked_add(gone).unwrap_or(from)
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim().split_once(" since ") {
            None => text.trim().parse().ok().map(Self::At),
            Some((from, since)) => {
                Some(Self::Running { from: from.parse().ok()?, since: since.parse().ok()? })
            }
        }
    }
}

impl fmt::Display for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "{at}"),
            Self::Running { from, since } => write!(f, "{from} since {since}"),
        }
    }
}

/// The clock on stage, as a program reads it. It never goes back.
#[derive(Debug)]
pub struct StageClock {
    file: PathBuf,
    last: Mutex<Timestamp>,
}

impl StageClock {
    fn open(stage: &Path) -> anyhow::Result<Self> {
        let file = stage.join(CLOCK);
        let text = fs::read_to_string(&file)
            .with_context(|| format!("there is no clock at `{}`", file.display()))?;
        let hands = Hands::parse(&text).context("the clock on stage does not read")?;
        Ok(Self { file, last: Mutex::new(hands.now()) })
    }
}

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        let read = fs::read_to_string(&self.file).ok().and_then(|text| Hands::parse(&text));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A stage that is being struck has no clock any more; programs that still end keep the time.
        if let Some(hands) = read {
            *last = hands.now().max(*last);
        }
        *last
    }
}

/// The stage, in the hands of the player.
#[derive(Debug, Clone)]
pub struct Stagehand {
    folder: PathBuf,
    clock: Arc<StageClock>,
}

impl Stagehand {
    /// Makes a stage on which it is `now`.
    ///
    /// # Errors
    /// When the folder can not be made or written.
    pub fn set_up(folder: PathBuf, now: Timestamp) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        put(&folder.join(CLOCK), &Hands::At(now).to_string())?;
        let clock = Arc::new(StageClock::open(&folder)?);
        Ok(Self { folder, clock })
    }

    /// The folder, for `staged`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The clock, for those who act on stage.
    #[must_use]
    pub fn clock(&self) -> Arc<StageClock> {
        Arc::clone(&self.clock)
    }

    /// Puts the clock ahead to `at`, where it stands; it is never put back.
    ///
    /// # Errors
    /// When the file can not be written.
    pub fn advance_to(&self, at: Timestamp) -> anyhow::Result<()> {
        let at = at.max(self.clock.now());
        Ok(put(&self.folder.join(CLOCK), &Hands::At(at).to_string())?)
    }

    /// Lets the clock run on from where it stands.
    ///
    /// # Errors
    /// When the file can not be written.
    pub fn let_run(&self) -> anyhow::Result<()> {
        let hands = Hands::Running { from: self.clock.now(), since: SystemClock.now() };
        Ok(put(&self.folder.join(CLOCK), &hands.to_string())?)
    }

    /// Fills the disk under the log of a running program, or makes room on it. Returns when the program has it so.
    ///
    /// # Errors
    /// When a file can not be written, or the program does not follow within `within`.
    pub async fn set_log_disk(
        &self,
        name: &str,
        disk: LogDisk,
        within: Duration,
    ) -> anyhow::Result<()> {
        put(&wanted(&self.folder, name), disk.word())?;
        let is = || fs::read_to_string(found(&self.folder, name)).is_ok_and(|w| w == disk.word());
        let deadline = tokio::time::Instant::now() + within;
        while !is() {
            let in_time = tokio::time::Instant::now() < deadline;
            anyhow::ensure!(in_time, "the disk under the log of {name} is not {}", disk.word());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// The disk under a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogDisk {
    /// Takes nothing more: a write leaves half of its bytes and fails.
    Full,
    /// Takes what is written.
    Roomy,
}

impl LogDisk {
    const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Roomy => "roomy",
        }
    }
}

/// The surroundings of a program called `name` on stage: the clock of the stage, and a log whose disk can be filled.
///
/// # Errors
/// When there is no clock.
pub fn surroundings(stage: &Path, name: &str) -> anyhow::Result<Surroundings> {
    let clock = Arc::new(StageClock::open(stage)?);
    let switch = FaultSwitch::default();
    follow(stage, name, switch.clone())?;
    let log_options = |options: LogOptions| options.back_off(REOPEN.0, REOPEN.1);
    let around = Surroundings::of_this_machine(clock);
    Ok(Surroundings { log_options, log_faults: Some(switch), ..around })
}

/// Switches the disk as the stage says, for as long as the program runs.
fn follow(stage: &Path, name: &str, switch: FaultSwitch) -> io::Result<()> {
    let (wanted, found) = (wanted(stage, name), found(stage, name));
    let watch = move || {
        let mut full = false;
        loop {
            let want = fs::read_to_string(&wanted).is_ok_and(|word| word == LogDisk::Full.word());
            if want != full {
                full = want;
                let disk = if full {
                    switch.fail_writes();
                    LogDisk::Full
                } else {
                    switch.heal();
                    LogDisk::Roomy
                };
                // Whoever waits for it says so when it does not come.
                let _ = put(&found, disk.word());
            }
            thread::sleep(LOOK_EVERY);
        }
    };
    thread::Builder::new().name("stage".to_owned()).spawn(watch).map(drop)
}

fn wanted(stage: &Path, name: &str) -> PathBuf {
    stage.join(format!("{name}.log-disk"))
}

fn found(stage: &Path, name: &str) -> PathBuf {
    stage.join(format!("{name}.log-disk.is"))
}

/// A file that is there with all of its text, or as it was.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_clock_stands_until_it_is_put_ahead_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let start = at("2027-03-05T22:10:00Z");
        let stage = Stagehand::set_up(folder.path().to_owned(), start).unwrap();
        let of_a_program = surroundings(folder.path(), "POL").unwrap().clock;
        assert_eq!((stage.clock().now(), of_a_program.now()), (start, start));
        stage.advance_to(at("2027-03-06T09:00:00Z")).unwrap();
        stage.advance_to(at("2027-03-06T08:00:00Z")).unwrap();
        assert_eq!(of_a_program.now(), at("2027-03-06T09:00:00Z"));
        fs::remove_file(folder.path().join(CLOCK)).unwrap();
        assert_eq!(of_a_program.now(), at("2027-03-06T09:00:00Z"));
    }

    #[test]
    fn a_clock_that_runs_on_begins_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let start = at("2027-03-05T22:10:00Z");
        let stage = Stagehand::set_up(folder.path().to_owned(), start).unwrap();
        stage.let_run().unwrap();
        let (first, second) = (stage.clock().now(), stage.clock().now());
        assert!(start <= first && first <= second);
    }

    #[test]
    fn a_stage_without_a_clock_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(surroundings(folder.path(), "POL").is_err());
        fs::write(folder.path().join(CLOCK), "noon").unwrap();
        assert!(surroundings(folder.path(), "POL").is_err());
    }

    #[tokio::test]
    async fn a_disk_is_full_when_the_program_has_it_so() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stagehand::set_up(folder.path().to_owned(), Timestamp::UNIX_EPOCH).unwrap();
        let short = Duration::from_millis(50);
        assert!(stage.set_log_disk("HOU", LogDisk::Full, short).await.is_err(), "nobody follows");
        let _around = surroundings(folder.path(), "HOU").unwrap();
        let long = Duration::from_secs(10);
        stage.set_log_disk("HOU", LogDisk::Full, long).await.unwrap();
        stage.set_log_disk("HOU", LogDisk::Roomy, long).await.unwrap();
    }
}
