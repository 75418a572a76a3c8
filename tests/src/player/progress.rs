//! What the demo says while it works: a moving line on a terminal, plain lines otherwise. Never on standard output.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// How long a part took.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// What was done.
    pub what: String,
    /// How long it took.
    pub seconds: f64,
}

/// Says what happens, and keeps what it said.
#[derive(Debug, Default)]
pub struct Narrator {
    said: Mutex<String>,
    phases: Mutex<Vec<Phase>>,
}

impl Narrator {
    /// Says a line.
    pub fn say(&self, line: &str) {
        let _ = writeln!(lock(&self.said), "{line}");
        // Nowhere to report a broken standard error.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Begins a part of so many steps.
    pub fn begin(&self, what: &str, n_steps: usize) -> Work<'_> {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(n_steps as u64);
            let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            self.say(&format!("{what} ..."));
        }
        Work { narrator: self, what: what.to_owned(), began: Instant::now(), bar }
    }

    /// Everything that was said.
    #[must_use]
    pub fn said(&self) -> String {
        lock(&self.said).clone()
    }

    /// The parts so far.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        lock(&self.phases).clone()
    }
}

/// A part under way. Dropped without [`Work::done`], its line goes away.
#[derive(Debug)]
pub struct Work<'a> {
    narrator: &'a Narrator,
    what: String,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Work<'_> {
    /// One step is done.
    pub fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// All is done.
    pub fn done(mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = (self.began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        self.narrator.say(&format!("{}: done in {seconds:.1} s", self.what));
        lock(&self.narrator.phases).push(Phase { what: self.what.clone(), seconds });
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What these locks guard is whole at every moment, so one that a panic left is good.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
