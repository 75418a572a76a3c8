//! An import as a whole: files in, records and one audit entry out. The node has to be stopped.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    agreement::Agreement, audit::entry::Action, id::CategoryCode, rating::AnalysisBounds,
    time::SharedClock,
};

use super::{
    StoreSink,
    report::{ImportReport, Listening, Rejected},
};
use crate::{
    config::Config,
    ground::Ground,
    import::{
        Format, ImportFailure, ImportOptions, ImportSummary, Mode, RejectWriter, SinkError, import,
    },
    store::{SharedRecords, Store},
};

/// What is to be imported, and what is to be told of it.
pub struct ImportJob {
    /// The files, in order: people before what is said about them.
    pub files: Vec<PathBuf>,
    /// Their layout; absent: JSON Lines for names that end in `.jsonl` or `.ndjson`, CSV for all others.
    pub format: Option<Format>,
    /// Whether anything is stored.
    pub mode: Mode,
    /// Where the list of rejects goes.
    pub rejects: Box<dyn Write + Send>,
    /// Told how far each file is.
    pub progress: Box<dyn FnMut(ImportProgress<'_>) + Send>,
}

impl ImportJob {
    /// Loads `files`; rejects and progress go nowhere.
    #[must_use]
    pub fn load(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            format: None,
            mode: Mode::Load,
            rejects: Box::new(std::io::sink()),
            progress: Box::new(|_| ()),
        }
    }
}

impl std::fmt::Debug for ImportJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportJob").field("files", &self.files).finish_non_exhaustive()
    }
}

/// How far a file is.
#[derive(Debug, Clone, Copy)]
pub struct ImportProgress<'a> {
    /// The file.
    pub file: &'a Path,
    /// Bytes read.
    pub n_bytes: u64,
    /// Bytes it has.
    pub total_bytes: u64,
}

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// Each file that was read to its end, with what came of it.
    pub files: Vec<(PathBuf, ImportSummary)>,
    /// The file that was given up, and why; those behind it were not read.
    pub failed: Option<(PathBuf, ImportFailure)>,
}

impl Imported {
    /// All files together.
    #[must_use]
    pub fn total(&self) -> ImportSummary {
        self.files.iter().fold(ImportSummary::default(), |mut all, (_, one)| {
            all.n_read += one.n_read;
            all.n_new += one.n_new;
            all.n_changed += one.n_changed;
            all.n_unchanged += one.n_unchanged;
            all.n_rejected += one.n_rejected;
            all
        })
    }

    /// Whether every row of every file was taken.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_none() && self.total().n_rejected == 0
    }
}

/// Imports files into the store of a stopped node, and records that it did.
///
/// # Errors
/// When the node runs, something the configuration names is missing or wrong, or the log can not be written. Bad
/// rows and unusable files are no errors: see [`Imported`].
pub async fn import_files(
    config: Config,
    clock: SharedClock,
    job: ImportJob,
) -> anyhow::Result<Imported> {
    import_for(vec![config], clock, job).await
}

/// As [`import_files`], once for the nodes of several partnerships that share their records: what is loaded is recorded in the log of each.
///
/// # Errors
/// As [`import_files`], and when they do not all share one store of records.
pub async fn import_for(
    configs: Vec<Config>,
    clock: SharedClock,
    job: ImportJob,
) -> anyhow::Result<Imported> {
    let apart = configs.iter().all(|config| config.records.is_some());
    anyhow::ensure!(
        apart || configs.len() == 1,
        "of several configurations each needs [records]; import for the others one by one"
    );
    let records = SharedRecords::default();
    let mut grounds = Vec::with_capacity(configs.len());
    for config in configs {
        let clock = SharedClock::clone(&clock);
        grounds.push(Ground::open_beside(config, clock, |options| options, &records).await?);
    }
    anyhow::ensure!(
        records.n_open() <= 1,
        "[records] of the configurations name several folders; import into each by itself"
    );
    import_into(&grounds, job).await
}

async fn import_into(grounds: &[Ground], job: ImportJob) -> anyhow::Result<Imported> {
    let first = grounds.first().context("there is no configuration")?;
    let store = first.store.clone();
    let mode = job.mode;
    let agreements: Vec<_> = grounds.iter().map(|ground| ground.agreement.agreement()).collect();
    // What every partnership takes: an analysis within the bounds of each. An entry of a category that one of them does not know stays
    // unknown to it, and what is unknown is never released.
    let bounds = agreements.iter().map(|agreement| agreement.rating().analysis);
    let bounds = bounds.reduce(|one, other| AnalysisBounds {
        min_chars: one.min_chars.max(other.min_chars),
        max_chars: one.max_chars.min(other.max_chars),
    });
    let bounds = bounds.context("there is no agreement")?;
    let categories = Some(agreements.iter().flat_map(|agreement| categories(agreement)).collect());
    let blank =
        ImportOptions { format: Format::Csv, mode, file: String::new(), bounds, categories };
    let loading = move || load(store, job, &blank);
    let (imported, rejects) = tokio::task::spawn_blocking(loading).await??;
    if mode == Mode::Load {
        let total = imported.total();
        for ground in grounds {
            let mut draft = ground.draft(Action::RecordsImported);
            draft.count = Some(total.n_new + total.n_changed);
            let recorded = ground.log.record(draft).await;
            recorded.context("the records are loaded, but the log can not say so; import again")?;
        }
        let report = ImportReport {
            at: first.clock.now(),
            files: imported.files.len(),
            given_up: imported.failed.is_some(),
            rows: total.into(),
            rejects,
        };
        first.store.run(move |store| report.keep(store)).await?;
    }
    Ok(imported)
}

/// Every category that an entry may have: what the agreement lists, and what the exchange never carries, which an
/// agency may well hold.
pub(crate) fn categories(agreement: &Agreement) -> std::collections::BTreeSet<CategoryCode> {
    let known = |code: &CategoryCode| {
        agreement.categories().contains_key(code) || agreement.never_carries(*code)
    };
    (1..=99).filter_map(CategoryCode::new).filter(known).collect()
}

fn load(
    store: Store,
    job: ImportJob,
    blank: &ImportOptions,
) -> anyhow::Result<(Imported, Vec<Rejected>)> {
    let ImportJob { files, format, mode: _, rejects, mut progress } = job;
    let mut sink = StoreSink::new(store)?;
    let names = files.iter().map(|file| file.display().to_string()).collect();
    let mut rejects = RejectWriter::new(Listening::to(rejects, names));
    let mut imported = Imported { files: Vec::with_capacity(files.len()), failed: None };
    for file in files {
        let options = ImportOptions {
            format: format.unwrap_or_else(|| format_of(&file)),
            file: file.display().to_string(),
            ..blank.clone()
        };
        let read = |file: &Path| {
            let input = File::open(file)?;
            let total = input.metadata()?.len();
            Ok((input, total))
        };
        let outcome = read(&file).map_err(ImportFailure::Read).and_then(|(input, total_bytes)| {
            let mut tell = |n_bytes| progress(ImportProgress { file: &file, n_bytes, total_bytes });
            import(input, &options, &mut sink, &mut rejects, &mut tell)
        });
        // Also after a failure: what came before it stays loaded.
        let flushed = sink.flush().map_err(|e| ImportFailure::Sink(SinkError(Box::new(e))));
        match outcome.and_then(|summary| flushed.map(|()| summary)) {
            Ok(summary) => imported.files.push((file, summary)),
            Err(failure) => {
                imported.failed = Some((file, failure));
                break;
            }
        }
    }
    Ok((imported, rejects.into_inner().rejects))
}

fn format_of(file: &Path) -> Format {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "ndjson") => Format::Jsonl,
        _ => Format::Csv,
    }
}
