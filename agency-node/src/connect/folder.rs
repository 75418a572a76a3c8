//! Files that are put into a folder.
//!
//! A file is taken when it is complete: it has not been written or renamed for a time (its `ctime` tells, which no export can
//! set), and its name does not say that it is being written (`.part`, `.tmp`, `.filepart`, or a dot in front). Files are taken
//! in the order of their names, those that have `patient` in them first when they hold FHIR. A file whose every row was looked at
//! moves to `done/`, with `<name>.rejects.csv` beside it when rows were rejected; one that can not be used at all moves to
//! `refused/`, and its report says why. Whenever the program is killed: a file that is still there is read again, which changes
//! nothing that was stored.

use std::{
    fs::{self, File, Metadata},
    io::{BufReader, BufWriter},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use brag_common::time::SharedClock;
use serde_json::{Map, Value};

use super::{
    BATCH_ROWS, Batch, Order, Source, SourceFailure,
    config::{FolderConfig, Layout},
    mapping::Mapping,
};
use crate::import::{
    Fault, Format, ImportFailure, ImportOptions, Reason, Reject, RejectWriter, Row, Rows,
    build::text_of,
    csv::{CsvReader, RawRow},
    jsonl::JsonRows,
};

/// Where files go that were read to their end, and where those that can not be used.
const DONE: &str = "done";
const REFUSED: &str = "refused";
/// Ends of names that a file has while it is being written.
const BEING_WRITTEN: [&str; 3] = [".part", ".tmp", ".filepart"];
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Files of one run at most: the rest waits for the next.
const MAX_FILES: usize = 10_000;
/// How many names beside a file's own are tried where one of that name lies already.
const MAX_NAMES: u32 = 10_000;

type Input = BufReader<File>;

/// A folder, as one run looks at it.
pub(crate) struct Folder {
    path: PathBuf,
    settled: Duration,
    layout: Option<Layout>,
    delimiter: u8,
    mapping: Option<Mapping>,
    options: ImportOptions,
    clock: SharedClock,
    /// What is left to take, the next one last.
    waiting: Vec<String>,
    n_files: usize,
    open: Option<Open>,
    /// The first file that could not be read: the others are taken all the same.
    trouble: Option<SourceFailure>,
    #[cfg(test)]
    pub(crate) killed_before: Option<Step>,
}

/// What a folder does to the disk, in its order; tests kill it before each.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    WriteReport,
    NameReport,
    MoveFile,
}

/// The file that is being read. Messages call it by its number in the run: names of files may name people.
struct Open {
    name: String,
    number: usize,
    /// As it was when it was opened.
    seen: Metadata,
    /// Absent: it can not be used, and this is why.
    reading: Result<Reading, String>,
    begun: bool,
    ended: bool,
    report: Option<Report>,
}

/// The list of rejects, under a name that nobody takes for a finished one.
struct Report {
    path: PathBuf,
    writer: RejectWriter<BufWriter<File>>,
}

/// Rows of a file.
enum Reading {
    /// In the layout of an import.
    Layout(Box<Rows<Input>>),
    /// CSV that is mapped.
    Csv { reader: CsvReader<Input>, row: Box<RawRow>, columns: Vec<String> },
    /// JSON that is mapped.
    Json(JsonRows<Input>),
}

impl Folder {
    /// Looks at which files there are.
    pub(crate) fn open(
        config: &FolderConfig,
        mapping: Option<Mapping>,
        options: ImportOptions,
        clock: &SharedClock,
    ) -> Result<Self, SourceFailure> {
        let mut folder = Self {
            path: config.path.as_path().to_owned(),
            settled: config.settled.get(),
            layout: config.layout,
            delimiter: config.delimiter.get(),
            mapping,
            options,
            clock: SharedClock::clone(clock),
            waiting: Vec::new(),
            n_files: 0,
            open: None,
            trouble: None,
            #[cfg(test)]
            killed_before: None,
        };
        folder.look()?;
        Ok(folder)
    }

    fn look(&mut self) -> Result<(), SourceFailure> {
        let what = || format!("the folder `{}` can not be read", self.path.display());
        for item in fs::read_dir(&self.path).map_err(SourceFailure::disk(what()))? {
            let item = item.map_err(SourceFailure::disk(what()))?;
            // A name that is not UTF-8 could not be told in a report.
            let Ok(name) = item.file_name().into_string() else { continue };
            let is_written = BEING_WRITTEN.iter().any(|end| name.ends_with(end));
            if name.starts_with('.') || is_written || self.waiting.len() >= MAX_FILES {
                continue;
            }
            // Of a link this is the link: what it leads to is not taken.
            let Ok(metadata) = item.metadata() else { continue };
            if metadata.is_file() && self.is_settled(&metadata) {
                self.waiting.push(name);
            }
        }
        let is_fhir = self.layout == Some(Layout::Fhir);
        let last = |name: &String| is_fhir && !name.to_ascii_lowercase().contains("patient");
        self.waiting.sort_by(|a, b| (last(b), b).cmp(&(last(a), a)));
        Ok(())
    }

    fn is_settled(&self, metadata: &Metadata) -> bool {
        let now = self.clock.now();
        let age = now.as_second().saturating_sub(metadata.ctime());
        // Clocks that differ by days: to wait would be to wait for ever, and a file that grows while it is read is found out.
        age < -DAY_SECONDS || u64::try_from(age).is_ok_and(|age| age >= self.settled.as_secs())
    }

    fn layout_of(&self, name: &str) -> Layout {
        let by_name = || match Path::new(name).extension().and_then(|end| end.to_str()) {
            Some("jsonl" | "ndjson") => Layout::Jsonl,
            _ => Layout::Csv,
        };
        self.layout.unwrap_or_else(by_name)
    }

    fn next_file(&mut self) -> Option<Open> {
        while let Some(name) = self.waiting.pop() {
            self.n_files += 1;
            match self.open_file(name) {
                Ok(open) => return Some(open),
                Err(failure) => _ = self.trouble.get_or_insert(failure),
            }
        }
        None
    }

    fn open_file(&self, name: String) -> Result<Open, SourceFailure> {
        let path = self.path.join(&name);
        let read = || -> std::io::Result<(File, Metadata)> {
            let found = fs::symlink_metadata(&path)?;
            if !found.is_file() {
                return Err(std::io::Error::other("it is not a file"));
            }
            let file = File::open(&path)?;
            let opened = file.metadata()?;
            // Somebody may have put a link into its place.
            if (found.dev(), found.ino()) != (opened.dev(), opened.ino()) {
                return Err(std::io::Error::other("another file has come into its place"));
            }
            Ok((file, opened))
        };
        let number = self.n_files;
        let what = format!("file {number} of the folder can not be read");
        let (file, seen) = read().map_err(SourceFailure::disk(what))?;
        let reading = self.reading(&name, BufReader::with_capacity(64 * 1024, file));
        Ok(Open { name, number, seen, reading, begun: false, ended: false, report: None })
    }

    /// Reads what is before the first row; or why the file can not be used.
    fn reading(&self, name: &str, input: Input) -> Result<Reading, String> {
        match (&self.mapping, self.layout_of(name)) {
            (None, layout) => {
                let format = if layout == Layout::Csv { Format::Csv } else { Format::Jsonl };
                let rows = Rows::open(input, format);
                rows.map(|rows| Reading::Layout(Box::new(rows))).map_err(|e| e.to_string())
            }
            (Some(_), Layout::Jsonl | Layout::Fhir) => Ok(Reading::Json(JsonRows::new(input))),
            (Some(mapping), Layout::Csv) => {
                let mut reader = CsvReader::delimited(input, self.delimiter);
                let mut row = RawRow::default();
                if !reader.next(&mut row).map_err(|error| error.to_string())? {
                    return Err(ImportFailure::NoHeader.to_string());
                }
                let columns = columns(&row)?;
                let missing = mapping.missing_columns(&columns);
                if !missing.is_empty() {
                    // Names of the mapping, not of the file: its first row may be data.
                    return Err(format!(
                        "the first row does not name these columns of the mapping: {}",
                        missing.join(", ")
                    ));
                }
                Ok(Reading::Csv { reader, row: Box::new(row), columns })
            }
        }
    }

    /// Writes what was rejected to the report of the file, which is made with the first reject.
    fn report(&self, open: &mut Open, rejects: &[Reject]) -> Result<(), SourceFailure> {
        if rejects.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        self.kill_before(Step::WriteReport)?;
        let number = open.number;
        let failed = || format!("the reject report of file {number} can not be written");
        let mut report = match open.report.take() {
            Some(report) => report,
            None => {
                let folder = self.made(DONE)?;
                let path = folder.join(format!(".{}.rejects.tmp", open.name));
                let file = File::create(&path).map_err(SourceFailure::disk(failed()))?;
                Report { path, writer: RejectWriter::new(BufWriter::new(file)) }
            }
        };
        for reject in rejects {
            report.writer.write(&open.name, reject).map_err(SourceFailure::disk(failed()))?;
        }
        open.report = Some(report);
        Ok(())
    }

    /// The file is done with: the report gets its name, and the file moves.
    fn put_away(&self, open: Open) -> Result<(), SourceFailure> {
        let Open { name, number, seen, reading, report, .. } = open;
        let failed = || format!("file {number} of the folder can not be moved away");
        let disk = |error| SourceFailure::disk(failed())(error);
        let from = self.path.join(&name);
        let now = fs::symlink_metadata(&from).map_err(disk)?;
        let same = |one: &Metadata| (one.ino(), one.len(), one.mtime(), one.mtime_nsec());
        if same(&now) != same(&seen) {
            return Err(SourceFailure::Other(format!(
                "file {number} of the folder was written while it was read; it is read again"
            )));
        }
        let folder = self.made(if reading.is_ok() { DONE } else { REFUSED })?;
        let to = free_name(&folder, &name).ok_or_else(|| {
            SourceFailure::Settings(format!("`{}` is full of files of this name", folder.display()))
        })?;
        let report_to = folder.join(format!("{to}.rejects.csv"));
        match (report, reading) {
            (Some(Report { path, mut writer }), Ok(_)) => {
                writer.flush().map_err(disk)?;
                let file = writer.into_inner().into_inner().map_err(|e| disk(e.into_error()))?;
                file.sync_all().map_err(disk)?;
                #[cfg(test)]
                self.kill_before(Step::NameReport)?;
                fs::rename(path, &report_to).map_err(disk)?;
            }
            (_, Err(why)) => {
                let why = why.replace('"', "\"\"");
                let text = format!("file,line,field,reason\n\"{name}\",,,\"{why}\"\n");
                fs::write(&report_to, text).map_err(disk)?;
                File::open(&report_to).and_then(|file| file.sync_all()).map_err(disk)?;
            }
            (None, Ok(_)) => {
                // What a run that was killed has left.
                let left = folder.join(format!(".{name}.rejects.tmp"));
                if let Err(error) = fs::remove_file(left)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    return Err(disk(error));
                }
            }
        }
        #[cfg(test)]
        self.kill_before(Step::MoveFile)?;
        fs::rename(&from, folder.join(&to)).map_err(disk)?;
        for folder in [&folder, &self.path] {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk)?;
        }
        Ok(())
    }

    /// A folder of ours within the folder, for the node's user only.
    fn made(&self, name: &str) -> Result<PathBuf, SourceFailure> {
        let folder = self.path.join(name);
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(SourceFailure::disk(format!("`{name}` can not be made"))(error))
            }
            Ok(()) | Err(_) => Ok(folder),
        }
    }

    #[cfg(test)]
    fn kill_before(&self, step: Step) -> Result<(), SourceFailure> {
        if self.killed_before == Some(step) { Err(SourceFailure::Stopping) } else { Ok(()) }
    }
}

/// The name itself, or with a number behind it: no file that is there is replaced.
fn free_name(folder: &Path, name: &str) -> Option<String> {
    let names =
        (1..=MAX_NAMES).map(|n| if n == 1 { name.to_owned() } else { format!("{name}.{n}") });
    names.into_iter().find(|name| fs::symlink_metadata(folder.join(name)).is_err())
}

/// The names in the first row of CSV.
fn columns(row: &RawRow) -> Result<Vec<String>, String> {
    let unusable = |reason: Reason| ImportFailure::BadHeader(reason).to_string();
    let fields = row.fields().map_err(|(_, reason)| unusable(reason))?;
    let mut columns: Vec<String> = Vec::new();
    for field in fields {
        let name = text_of(field).map_err(unusable)?.trim().to_owned();
        if !name.is_empty() && columns.contains(&name) {
            let place = columns.len() + 1;
            return Err(format!("column {place} of the first row has the name of an earlier one"));
        }
        columns.push(name);
    }
    Ok(columns)
}

/// A row of CSV as an object.
fn object(row: &RawRow, columns: &[String]) -> Result<Value, Fault> {
    let fields = row.fields().map_err(|(_, reason)| Fault::row(reason))?;
    let (found, expected) = (row.n_fields(), columns.len());
    if found < expected {
        return Err(Fault::row(Reason::TooFewFields { expected, found }));
    }
    if found > expected {
        return Err(Fault::row(Reason::TooManyFields { expected }));
    }
    let mut object = Map::new();
    for (name, bytes) in columns.iter().zip(fields) {
        if !name.is_empty() {
            object.insert(name.clone(), text_of(bytes).map_err(Fault::row)?.into());
        }
    }
    Ok(Value::Object(object))
}

impl Reading {
    /// Fills a batch; true at the end of the file.
    fn fill(
        &mut self,
        batch: &mut Batch,
        mapping: Option<&Mapping>,
        options: &ImportOptions,
    ) -> std::io::Result<bool> {
        for _ in 0..BATCH_ROWS {
            let (line, value) = match self {
                Self::Layout(rows) => match rows.next(options) {
                    Ok(Some(row)) => {
                        batch.rows.push(row);
                        continue;
                    }
                    Ok(None) => return Ok(true),
                    Err(ImportFailure::Read(error)) => return Err(error),
                    Err(other) => return Err(std::io::Error::other(other.to_string())),
                },
                Self::Csv { reader, row, columns } => {
                    if !reader.next(row)? {
                        return Ok(true);
                    }
                    (row.line, object(row, columns))
                }
                Self::Json(rows) => match rows.next_value()? {
                    None => return Ok(true),
                    Some((line, value)) => (line, value.map_err(Fault::row)),
                },
            };
            match (value, mapping) {
                (Err(fault), _) => batch.rows.push(Row { line, item: Err(vec![fault]) }),
                (Ok(Value::Object(object)), Some(mapping)) => {
                    let made = mapping.rows(line, &Value::Object(object), options);
                    batch.passed_over += u64::from(made.is_empty());
                    batch.rows.extend(made);
                }
                (Ok(_), _) => {
                    batch.rows.push(Row { line, item: Err(vec![Fault::row(Reason::NotJson)]) });
                }
            }
        }
        Ok(false)
    }
}

impl Source for Folder {
    fn repeats(&self) -> Order {
        Order::Unknown
    }

    fn next(&mut self) -> Result<Option<Batch>, SourceFailure> {
        let mut open = match self.open.take() {
            Some(open) if !open.ended => open,
            // Whoever only looks never says that a file was stored: it stays where it is.
            Some(_) | None => match self.next_file() {
                Some(open) => open,
                None => return self.trouble.take().map_or(Ok(None), Err),
            },
        };
        let mut batch = Batch { begins: !open.begun, file: self.n_files, ..Batch::default() };
        open.begun = true;
        match &mut open.reading {
            Err(why) => {
                tracing::warn!(file = self.n_files, why, "a file of a connector can not be used");
                open.ended = true;
            }
            Ok(reading) => {
                let filled = reading.fill(&mut batch, self.mapping.as_ref(), &self.options);
                let what = format!("file {} of the folder can not be read", open.number);
                open.ended = filled.map_err(SourceFailure::disk(what))?;
                batch.ends = open.ended;
            }
        }
        self.open = Some(open);
        Ok(Some(batch))
    }

    fn stored(&mut self, rejects: &[Reject]) -> Result<(), SourceFailure> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        self.report(&mut open, rejects)?;
        if !open.ended {
            self.open = Some(open);
            return Ok(());
        }
        match self.put_away(open) {
            // It is still being written: the others are not.
            Err(failure @ SourceFailure::Other(_)) => {
                self.trouble.get_or_insert(failure);
                Ok(())
            }
            done => done,
        }
    }
}
