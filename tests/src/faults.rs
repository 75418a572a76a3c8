//! Faults: a hub and nodes as real processes, enquiries flowing through them, and everything around them failing at random moments that
//! follow from a seed. After every round everything is healed, and then the promises are checked: [`checks`].
//!
//! Reading order: [`schedule`], [`checks`], then [`run`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use brag_common::time::{Clock as _, SystemClock};
use futures::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    federation::realm,
    load::Machine,
    people::Random,
    player::{Addresses, Narrator, people::People},
    sweep::{Sweep, Swept},
};

pub mod checks;
pub mod control;
pub mod disk;
pub mod evidence;
pub mod ledger;
pub mod relay;
pub mod replays;
pub mod report;
pub mod sabotage;
pub mod schedule;
pub mod stage;
pub mod unit;
pub mod work;

use self::{
    checks::{Promise, Seen, Violation},
    control::Word,
    evidence::{Evidence, Turned},
    ledger::{Acknowledged, Ledger, Line},
    relay::Mode,
    report::{Broken, Report},
    schedule::{Fault, Planned},
    stage::Stage,
    unit::{Started, Unit},
    work::{Tries, Work},
};
pub use self::{report::text, sabotage::Sabotage};

/// People who work at the same time, each on an enquiry of their own.
const AT_ONCE: u64 = 3;

/// How long a healed program has to be ready by itself, before its store is taken to have failed.
const READY_BY_ITSELF: Duration = Duration::from_secs(10);

/// How long one that was started anew has.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long what was acknowledged may take to be everywhere once everything works again.
const SETTLES_WITHIN: Duration = Duration::from_secs(150);

/// How often it is looked.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How often memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(500);

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After so many rounds.
    Rounds(u64),
    /// With the first round that ends after so long.
    Time(Duration),
}

/// What to run.
#[derive(Debug)]
pub struct Options {
    /// The folder of all data; empty.
    pub folder: PathBuf,
    /// From which the faults follow.
    pub seed: u64,
    /// When it ends.
    pub until: Until,
    /// The most memory of a process, in bytes.
    pub memory_bound: u64,
    /// What is spoilt before the last check, so that the check can be seen to fail.
    pub sabotage: Option<Sabotage>,
}

/// Whose acknowledgements are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The enquiries of the round.
    Round,
    /// All of them.
    All,
}

/// A run under way.
struct Run<'a> {
    stage: &'a Stage,
    people: People<'a>,
    ledger: Ledger,
    tries: Tries,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    skipped: Mutex<BTreeMap<String, u64>>,
    turned: Mutex<BTreeMap<String, Vec<Turned>>>,
    n_restarts: AtomicU64,
    agreement: Vec<u8>,
}

/// What the last check has seen.
#[derive(Default)]
struct Last {
    seen: Seen,
    exchanges: u64,
    explained: u64,
    entries: u64,
    replays: BTreeMap<String, u64>,
    swept: u64,
}

/// Runs. Everything that was started has ended when this returns.
///
/// # Errors
/// When something can not be set up, or the harness itself fails. A promise that was not kept is no error but in the report.
pub async fn run(options: &Options, narrator: &Narrator) -> anyhow::Result<Report> {
    let began = std::time::Instant::now();
    let stage = Stage::set(&options.folder, options.seed, narrator).await?;
    let nodes = stage.partnership.agencies().iter().zip(&stage.units[1..]);
    let addresses = Addresses {
        hub: stage.units[0].door.address(),
        nodes: nodes.map(|(agency, unit)| (agency.clone(), unit.door.address())).collect(),
    };
    let run = Run {
        people: People::new(&stage.partnership, addresses, std::sync::Arc::new(SystemClock)),
        ledger: Ledger::new(&options.folder.join("acknowledged.jsonl"))?,
        tries: Tries::default(),
        counts: Mutex::default(),
        skipped: Mutex::default(),
        turned: Mutex::default(),
        n_restarts: AtomicU64::new(0),
        agreement: realm(&stage.partnership).agreement.as_bytes().to_vec(),
        stage: &stage,
    };
    let mut last = Last::default();
    let (rounds, broken) = run.play(options, narrator, &mut last).await?;
    for unit in &stage.units {
        // What does not end by itself was told of, or is ended now.
        unit.kill().await?;
    }
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for line in run.ledger.lines() {
        let kind = match &line.what {
            Acknowledged::Opened { .. } => "enquiries".to_owned(),
            Acknowledged::Rated { .. } => "ratings".to_owned(),
            Acknowledged::Decided { decision, .. } => format!("decisions_{decision}"),
            Acknowledged::Read { .. } => "detail_read".to_owned(),
        };
        *acknowledged.entry(kind).or_default() += 1;
    }
    let faults = lock(&run.counts).iter().map(|(what, n)| ((*what).to_owned(), *n)).collect();
    let (faults, mut effects): (BTreeMap<_, _>, BTreeMap<String, u64>) = partition(faults);
    effects.insert(
        "connections_ended_by_cuts".to_owned(),
        stage.ways.iter().flatten().map(|way| way.n_broken()).sum(),
    );
    for (name, word) in [
        ("syncs_that_failed", Word::FailedSyncs),
        ("readings_of_a_wrong_clock", Word::SkewedReads),
        ("writes_cut_in_half", Word::CutWrites),
        ("syncs_of_logs", Word::LogSyncs),
        ("syncs_of_stores", Word::StoreSyncs),
    ] {
        let each = stage.units.iter().map(|unit| unit.control.read(word));
        let sum: i64 = each.collect::<anyhow::Result<Vec<_>>>()?.into_iter().sum();
        effects.insert(name.to_owned(), sum.unsigned_abs());
    }
    Ok(Report {
        ok: broken.is_empty(),
        seed: options.seed,
        rounds,
        seconds: began.elapsed().as_secs_f64(),
        machine: Machine::this()?,
        faults,
        effects,
        skipped: lock(&run.skipped).clone(),
        tried: run.tries.n_tried.load(Ordering::Relaxed),
        unanswered: run.tries.n_unanswered.load(Ordering::Relaxed),
        acknowledged,
        seen: last.seen,
        exchanges: last.exchanges,
        explained: last.explained,
        entries: last.entries,
        replays_refused: last.replays,
        restarts_after_a_failed_store: run.n_restarts.load(Ordering::Relaxed),
        memory: stage.units.iter().map(|unit| (unit.name.clone(), unit.peak_bytes())).collect(),
        memory_bound: options.memory_bound,
        files_swept: last.swept,
        broken,
        kept: None,
    })
}

/// Faults, and what else is counted.
fn partition(counts: BTreeMap<String, u64>) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let kinds: BTreeSet<&str> =
        schedule::of_round(0, 0, 1).iter().map(|one| one.fault.word()).collect();
    counts.into_iter().partition(|(what, _)| kinds.contains(what.as_str()))
}

impl Run<'_> {
    async fn play(
        &self,
        options: &Options,
        narrator: &Narrator,
        last: &mut Last,
    ) -> anyhow::Result<(u64, Vec<Broken>)> {
        let began = Instant::now();
        let (mut round, mut broken) = (0, Vec::new());
        let goes_on = |round: u64| match options.until {
            Until::Rounds(n) => round < n,
            Until::Time(time) => round == 0 || began.elapsed() < time,
        };
        while goes_on(round) && broken.is_empty() {
            round += 1;
            let planned = schedule::of_round(options.seed, round, self.stage.units.len() - 1);
            let plan: String = planned.iter().map(|one| format!("{one}\n")).collect();
            fs::write(options.folder.join(format!("round-{round}.txt")), plan)?;
            self.fail(options.seed, round, &planned).await?;
            let mut violations = self.heal().await?;
            if violations.is_empty() {
                violations = self.settle(round, Extent::Round, last).await?;
            }
            if violations.is_empty() {
                violations = self.replay(last).await?;
            }
            violations.extend(self.after(options, last).await?);
            let n = self.ledger.lines().len();
            let violated = violations.len();
            narrator.say(&format!(
                "Round {round}: {n} acknowledged so far, {violated} violations, {} s",
                began.elapsed().as_secs()
            ));
            if !violations.is_empty() {
                broken.push(Broken { round, violations });
            }
        }
        if broken.is_empty() {
            let violations = self.end(round, options, last).await?;
            if !violations.is_empty() {
                broken.push(Broken { round, violations });
            }
        }
        Ok((round, broken))
    }

    fn count(&self, what: &'static str) {
        *lock(&self.counts).entry(what).or_default() += 1;
    }

    /// One round: people work, and everything planned happens.
    async fn fail(&self, seed: u64, round: u64, planned: &[Planned]) -> anyhow::Result<()> {
        let began = Instant::now();
        let until = began + schedule::LASTS;
        let works = (0..AT_ONCE).map(|stream| async move {
            let random = Random::new(Random::new(seed ^ round << 8).next() ^ stream);
            let (stage, people, ledger, tries) =
                (self.stage, &self.people, &self.ledger, &self.tries);
            Work { stage, people, ledger, tries, round, until }.keep_on(random).await
        });
        let faults = planned.iter().map(|one| async move {
            sleep_until(began + one.at).await;
            self.make(*one).await
        });
        let looking = async {
            loop {
                join_all(self.stage.units.iter().map(Unit::look_at_memory)).await;
                sleep(MEMORY_EVERY).await;
            }
        };
        let all = futures::future::try_join(try_join_all(works), try_join_all(faults));
        tokio::select! {
            done = all => { done?; }
            () = looking => {}
        }
        Ok(())
    }

    /// Makes one fault, and takes it back when it has lasted.
    async fn make(&self, planned: Planned) -> anyhow::Result<()> {
        let Planned { who, fault, .. } = planned;
        let unit = &self.stage.units[who];
        let word = fault.word();
        match fault {
            Fault::Kill { away } => {
                if unit.kill().await? {
                    self.count(word);
                }
                sleep(away).await;
                self.start(unit).await?;
            }
            Fault::KillInWrite { nth, away } => {
                let before = unit.control.read(Word::CutWrites)?;
                unit.control.set(Word::DieInWrite, nth)?;
                unit.ends_by_itself(Duration::from_secs(3)).await;
                unit.control.set(Word::DieInWrite, 0)?;
                if unit.control.read(Word::CutWrites)? > before {
                    self.count(word);
                }
                sleep(away).await;
                self.start(unit).await?;
            }
            Fault::KillInStart { after } => {
                if unit.kill_in_start(after).await? {
                    self.count(word);
                }
                self.start(unit).await?;
            }
            Fault::Cut { lasts } => self.on_ways(who, word, Mode::Cut, lasts).await,
            Fault::Slow { by, lasts } => self.on_ways(who, word, Mode::Slow(by), lasts).await,
            Fault::Fill { left, lasts } => {
                if !unit.disk.can_be_filled() {
                    let why = format!("{word} (needs root and a mount namespace)");
                    *lock(&self.skipped).entry(why).or_default() += 1;
                    return Ok(());
                }
                tokio::task::block_in_place(|| unit.disk.fill(left))?;
                self.count(word);
                sleep(lasts).await;
                unit.disk.free();
            }
            Fault::FailSyncs { lasts } => {
                unit.control.set(Word::FailSyncs, 1)?;
                self.count(word);
                sleep(lasts).await;
                unit.control.set(Word::FailSyncs, 0)?;
            }
            Fault::Skew { seconds } => {
                self.turn(unit, seconds)?;
                self.count(word);
            }
        }
        Ok(())
    }

    async fn on_ways(&self, who: usize, word: &'static str, mode: Mode, lasts: Duration) {
        for way in self.stage.ways.get(who.saturating_sub(1)).into_iter().flatten() {
            way.set(mode);
        }
        self.count(word);
        sleep(lasts).await;
        for way in self.stage.ways.get(who.saturating_sub(1)).into_iter().flatten() {
            way.set(Mode::Open);
        }
    }

    fn turn(&self, unit: &Unit, seconds: i64) -> anyhow::Result<()> {
        let name = unit.name.clone();
        lock(&self.turned).entry(name).or_default().push((SystemClock.now(), seconds));
        unit.control.set(Word::SkewNs, seconds.saturating_mul(1_000_000_000))
    }

    /// Starts a program among faults: one that can not start now is started when they are over.
    async fn start(&self, unit: &Unit) -> anyhow::Result<()> {
        match unit.start().await? {
            Started::Serves => self.count("starts"),
            Started::Ended(_) => self.count("starts_that_failed"),
        }
        Ok(())
    }

    /// Takes every fault back, and sees to it that every program works.
    async fn heal(&self) -> anyhow::Result<Vec<Violation>> {
        for way in self.stage.ways.iter().flatten() {
            way.set(Mode::Open);
        }
        for unit in &self.stage.units {
            unit.control.set(Word::FailSyncs, 0)?;
            unit.control.set(Word::DieInWrite, 0)?;
            if unit.control.read(Word::SkewNs)? != 0 {
                self.turn(unit, 0)?;
            }
            unit.disk.free();
        }
        let mut violations = Vec::new();
        for unit in &self.stage.units {
            if unit.ends_by_itself(Duration::ZERO).await {
                self.count("ended_by_themselves_or_not_started");
            }
            if let Started::Ended(words) = unit.start().await? {
                let what = format!("{} does not start again: {words}", unit.name);
                violations.push(Violation::new(Promise::ComesBack, what));
                continue;
            }
            if self.is_ready(unit, READY_BY_ITSELF).await.is_err()
                && let Err(why) = self.start_anew(unit).await?
            {
                let what = format!("{} is not ready: {why}", unit.name);
                violations.push(Violation::new(Promise::ComesBack, what));
            }
        }
        Ok(violations)
    }

    /// A store that failed is opened again by a start: what the runbook says.
    async fn start_anew(&self, unit: &Unit) -> anyhow::Result<Result<(), String>> {
        self.n_restarts.fetch_add(1, Ordering::Relaxed);
        if unit.stop().await.is_err() {
            self.count("kills_of_what_did_not_stop");
        }
        unit.kill().await?;
        if let Started::Ended(words) = unit.start().await? {
            return Ok(Err(words));
        }
        Ok(self.is_ready(unit, READY_WITHIN).await)
    }

    async fn is_ready(&self, unit: &Unit, within: Duration) -> Result<(), String> {
        let mut said = "it does not answer".to_owned();
        let deadline = Instant::now() + within;
        loop {
            match unit.ready().await {
                Some((200, _)) => return Ok(()),
                Some((_, why)) => said = why,
                None => {}
            }
            if Instant::now() >= deadline {
                return Err(said);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until everything that was acknowledged is where it belongs, and gives what is not by then.
    async fn settle(
        &self,
        round: u64,
        extent: Extent,
        last: &mut Last,
    ) -> anyhow::Result<Vec<Violation>> {
        let lines = self.ledger.lines();
        let lines: Vec<Line> =
            lines.into_iter().filter(|line| extent == Extent::All || line.round == round).collect();
        let enquiries: BTreeSet<String> =
            lines.iter().map(|line| line.what.enquiry().to_owned()).collect();
        let deadline = Instant::now() + SETTLES_WITHIN;
        loop {
            let found = Evidence::gather(self.stage, &self.people, &enquiries).await;
            let violations = match found {
                Ok(mut found) => {
                    found.turned = lock(&self.turned).clone();
                    self.look(&lines, &found, last)
                }
                Err(error) => vec![Violation::new(Promise::ComesBack, format!("{error:#}"))],
            };
            if violations.is_empty() || Instant::now() >= deadline {
                return Ok(violations);
            }
            // A program may find only now that it can not go on, and says so.
            for unit in &self.stage.units {
                if matches!(unit.ready().await, Some((503, _))) {
                    // What is wrong with it now shows in what is found next.
                    let _ = self.start_anew(unit).await?;
                }
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Everything that follows from what was found.
    fn look(&self, lines: &[Line], found: &Evidence, last: &mut Last) -> Vec<Violation> {
        let mut seen = Seen::default();
        let mut violations = checks::logs(found);
        violations.extend(checks::lost(lines, found, &mut seen));
        violations.extend(checks::released(found, &mut seen));
        violations.extend(checks::twice(found, &mut seen));
        violations.extend(checks::stale(found, &mut seen));
        last.seen = seen;
        (last.exchanges, last.explained) = (found.n_exchanges, found.n_explained);
        last.entries = found.logs.values().map(|log| log.len() as u64).sum();
        violations
    }

    async fn replay(&self, last: &mut Last) -> anyhow::Result<Vec<Violation>> {
        let logs = Evidence::of_logs(self.stage)?.logs;
        let (refused, violations) = replays::again(self.stage, &logs, &self.agreement).await?;
        for (code, n) in refused {
            *last.replays.entry(code).or_default() += n;
        }
        Ok(violations)
    }

    /// What is looked at after every round whatever came of it.
    async fn after(&self, options: &Options, last: &mut Last) -> anyhow::Result<Vec<Violation>> {
        join_all(self.stage.units.iter().map(Unit::look_at_memory)).await;
        for unit in &self.stage.units {
            if let Some((200, metrics)) = unit.page("/metrics").await {
                fs::write(self.stage.captured.join(format!("{}.metrics", unit.name)), metrics)?;
            }
        }
        let peaks =
            self.stage.units.iter().map(|unit| (unit.name.clone(), unit.peak_bytes())).collect();
        let mut violations = checks::memory(&peaks, options.memory_bound);
        violations.extend(tokio::task::block_in_place(|| self.sweep(options, last))?);
        Ok(violations)
    }

    /// Detail may be nowhere unsealed. Who somebody is may be in no log and in nothing that programs say.
    fn sweep(&self, options: &Options, last: &mut Last) -> anyhow::Result<Vec<Violation>> {
        let markers = Sweep::new(Stage::markers());
        let detail = markers.folder(&options.folder, &|path| !path.ends_with("filling"))?;
        let names = Sweep::new(self.stage.names());
        let in_words = |path: &std::path::Path| {
            path.starts_with(&self.stage.captured)
                || path.components().any(|part| part.as_os_str() == "log")
        };
        let people = names.folder(&options.folder, &in_words)?;
        last.swept = (detail.n_files + people.n_files) as u64;
        let say = |what: &str, swept: &Swept| -> Vec<Violation> {
            // INVARIANT: what leaked is not repeated; its place is enough to find it.
            let places = swept
                .leaks
                .iter()
                .map(|leak| format!("{what} is in {} ({})", leak.file.display(), leak.form));
            places.map(|what| Violation::new(Promise::NothingLeaks, what)).collect()
        };
        Ok([say("detail", &detail), say("somebody's name", &people)].concat())
    }

    /// The whole run once more; then everything is stopped in good order, and the logs are looked at as they are left.
    async fn end(
        &self,
        round: u64,
        options: &Options,
        last: &mut Last,
    ) -> anyhow::Result<Vec<Violation>> {
        let mut violations = self.settle(round, Extent::All, last).await?;
        let whole = last.seen;
        let lines = self.ledger.lines();
        let enquiries = lines.iter().map(|line| line.what.enquiry().to_owned()).collect();
        let mut found = Evidence::gather(self.stage, &self.people, &enquiries).await?;
        for unit in &self.stage.units {
            if let Err(error) = unit.stop().await {
                let what = format!("{} does not stop in good order: {error:#}", unit.name);
                violations.push(Violation::new(Promise::ComesBack, what));
            }
        }
        if let Some(sabotage) = options.sabotage {
            sabotage.on_disk(self.stage)?;
        }
        let left = Evidence::of_logs(self.stage)?;
        (found.logs, found.faults_of_logs) = (left.logs, left.faults_of_logs);
        found.turned = lock(&self.turned).clone();
        if let Some(sabotage) = options.sabotage {
            sabotage.on(&mut found);
        }
        violations.extend(self.look(&lines, &found, last));
        last.seen = whole;
        let bound = match options.sabotage {
            Some(Sabotage::Memory) => 1 << 20,
            _ => options.memory_bound,
        };
        let peaks =
            self.stage.units.iter().map(|unit| (unit.name.clone(), unit.peak_bytes())).collect();
        violations.extend(checks::memory(&peaks, bound));
        violations.extend(tokio::task::block_in_place(|| self.sweep(options, last))?);
        Ok(violations)
    }
}

/// What these locks guard is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
