//! `log export`.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{DONE, FAILED, NOT_VERIFIED, progress};
use crate::{
    audit::{
        entry::Entry,
        export::Table,
        shard,
        storage::ORIGIN_FILE,
        verify::{Fault, VerifyError, entries},
    },
    time::Timestamp,
};

/// What `log export` is told.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The log's directory: the one with the `.seg` files, or the one with the shards in it
    pub dir: PathBuf,
    /// Only entries at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Only entries before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
    /// How each entry is written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    pub format: Format,
    /// Write to this file, which must not exist; by default to standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A layout of exported entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with a header, safe to open in a spreadsheet
    Csv,
    /// One entry a line, exactly as it stands in the log
    Jsonl,
}

/// How far an export came.
struct Exported {
    n_entries: u64,
    fault: Option<Fault>,
}

pub(super) fn run(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(file) = &args.out else {
        // The entries are the output; what is said of them goes beside it.
        let exported = export(args, out);
        return conclude(args, exported, &mut io::stderr());
    };
    let exported = export_to_file(args, file);
    conclude(args, exported, out)
}

fn export_to_file(args: &ExportArgs, path: &Path) -> anyhow::Result<Exported> {
    check(&args.dir)?;
    let file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            anyhow::bail!("`{}` exists: name another file, or remove it", path.display())
        }
        Err(error) => {
            return Err(error).with_context(|| format!("can not write `{}`", path.display()));
        }
    };
    let exported = export(args, &mut BufWriter::new(&file))?;
    file.sync_all().with_context(|| format!("can not write `{}`", path.display()))?;
    Ok(exported)
}

/// Otherwise a wrong directory would look like a log in which nothing has happened.
fn check(dir: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        shard::newest_within(dir)?.join(ORIGIN_FILE).is_file(),
        "`{}` holds no log: it has no file `{ORIGIN_FILE}`",
        dir.display()
    );
    Ok(())
}

fn export(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<Exported> {
    check(&args.dir)?;
    let mut rows = match args.format {
        Format::Csv => Rows::Csv(Box::new(Table::begin(out)?)),
        Format::Jsonl => Rows::Jsonl(out),
    };
    let bar = progress("exporting");
    let mut exported = Exported { n_entries: 0, fault: None };
    let mut all = Vec::new();
    for shard in shard::within(&args.dir)? {
        all.push(entries(&shard)?);
    }
    for item in all.into_iter().flatten() {
        if exported.fault.is_some() {
            break;
        }
        bar.inc(1);
        match item {
            Ok(entry) => {
                let is_wanted = args.from.is_none_or(|from| entry.ts >= from)
                    && args.to.is_none_or(|to| entry.ts < to);
                if is_wanted {
                    rows.write(&entry)?;
                    exported.n_entries += 1;
                }
            }
            Err(VerifyError::Fault(fault)) => exported.fault = Some(fault),
            Err(error) => return Err(error.into()),
        }
    }
    rows.flush()?;
    bar.finish_and_clear();
    Ok(exported)
}

enum Rows<'a> {
    Csv(Box<Table<&'a mut dyn Write>>),
    Jsonl(&'a mut dyn Write),
}

impl Rows<'_> {
    fn write(&mut self, entry: &Entry) -> anyhow::Result<()> {
        match self {
            Self::Csv(table) => table.row(entry)?,
            Self::Jsonl(out) => {
                out.write_all(&entry.encode())?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(table) => table.flush(),
            Self::Jsonl(out) => out.flush(),
        }
    }
}

fn conclude(
    args: &ExportArgs,
    exported: anyhow::Result<Exported>,
    said: &mut dyn Write,
) -> anyhow::Result<u8> {
    match exported {
        Err(error) => {
            writeln!(said, "not exported: {error:#}")?;
            Ok(FAILED)
        }
        Ok(Exported { n_entries, fault: Some(fault) }) => {
            let (seq, what) = (fault.seq, fault.what);
            writeln!(said, "NOT IN ORDER: entry {seq}: {what}")?;
            writeln!(
                said,
                "{n_entries} entries that precede it were exported, and nothing behind it."
            )?;
            Ok(NOT_VERIFIED)
        }
        Ok(Exported { n_entries, fault: None }) => {
            if let Some(file) = &args.out {
                writeln!(said, "{n_entries} entries in `{}`", file.display())?;
            }
            Ok(DONE)
        }
    }
}
