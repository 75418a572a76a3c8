//! `backup` and `restore`, for both programs.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    BackupError,
    local::{self, Done},
    restore::{self, PutBack, Restoring},
    sealed::{Kind, public_half},
    take::Backups,
};
use crate::{
    keyfile::{self, KeyKind},
    program::Surroundings,
    secret::SecretBytes,
};

/// `backup`: makes one, or what is named.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BackupArgs {
    /// What else
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    /// What to make
    #[command(flatten)]
    pub make: MakeArgs,
}

/// Work on backups besides making one.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Make a recovery key; its private half is written to a file once and belongs away from the machine
    ///
    /// Prints what belongs into the configuration. Make it on another machine if you can.
    ///
    /// Example, after the program's name: backup init-recovery-key recovery.key
    #[command(verbatim_doc_comment)]
    InitRecoveryKey {
        /// The file to write
        file: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Read a backup from its first byte to its last, and say what is in it
    ///
    /// Exit 4 when it does not open, was altered or cut off. A restore into an empty folder checks more: log, store and agreement.
    ///
    /// Example, after the program's name: backup verify FILE --recovery-key recovery.key
    #[command(verbatim_doc_comment)]
    Verify {
        /// The backup
        file: PathBuf,
        /// The private half of the recovery key
        #[arg(long, value_name = "FILE")]
        recovery_key: PathBuf,
        /// It is a backup of enquiry keys
        #[arg(long)]
        enquiry_keys: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// What to make.
#[derive(Debug, Args)]
pub struct MakeArgs {
    /// The file to write, replaced once the new one is whole; or a folder, then the name is party and time
    #[arg(long, value_name = "FILE|DIR", required_unless_present = "enquiry_keys_to")]
    pub to: Option<PathBuf>,
    /// Write the keys of enquiries to this file, after the data; replaced as a whole, so that what was erased is in it no more
    #[arg(long, value_name = "FILE")]
    pub enquiry_keys_to: Option<PathBuf>,
    /// The program's configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    pub file: PathBuf,
    /// The private half of the recovery key
    #[arg(long, value_name = "FILE")]
    pub recovery_key: PathBuf,
    /// The folder to make; it is not there, or empty
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// The backup of the enquiry keys
    #[arg(long, value_name = "FILE", required_unless_present = "without_enquiry_keys")]
    pub enquiry_keys: Option<PathBuf>,
    /// The keys of enquiries are lost: put back everything but the enquiries
    #[arg(long, conflicts_with = "enquiry_keys")]
    pub without_enquiry_keys: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Says how something ended that did not end well, and gives the exit code.
///
/// # Errors
/// When `out` can not be written.
pub fn failed(error: BackupError, json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let code = error.exit();
    let text = format!("{:#}", anyhow::Error::new(error));
    if json {
        serde_json::to_writer_pretty(&mut *out, &json!({ "ok": false, "error": text }))?;
        writeln!(out)?;
    } else {
        writeln!(out, "not done: {text}")?;
    }
    Ok(code)
}

/// Makes a key, or reads a backup. Gives the exit code.
///
/// # Errors
/// When `out` can not be written.
pub fn run(command: &BackupCommand, out: &mut dyn Write) -> anyhow::Result<u8> {
    match command {
        BackupCommand::InitRecoveryKey { file, json } => match init(file) {
            Ok(public) if *json => {
                let document = json!({ "ok": true, "file": file, "recovery_key": public });
                serde_json::to_writer_pretty(&mut *out, &document)?;
                writeln!(out)?;
                Ok(0)
            }
            Ok(public) => {
                writeln!(
                    out,
                    "Made {}. Take it off this machine, and keep two copies of it in two safe places:",
                    file.display()
                )?;
                writeln!(out, "without it no backup opens, and with it every one does.")?;
                writeln!(out, "\nFor the configuration:\n\n[backup]\nrecovery_key = \"{public}\"")?;
                Ok(0)
            }
            Err(error) => failed(error, *json, out),
        },
        BackupCommand::Verify { file, recovery_key, enquiry_keys, json } => {
            let kind = if *enquiry_keys { Kind::EnquiryKeys } else { Kind::Data };
            let read = recovery(recovery_key).and_then(|key| restore::verify(kind, file, &key));
            let (header, manifest, digest) = match read {
                Ok(read) => read,
                Err(error) => return failed(error, *json, out),
            };
            if *json {
                let document =
                    json!({ "ok": true, "header": header, "manifest": manifest, "sha256": digest });
                serde_json::to_writer_pretty(&mut *out, &document)?;
                writeln!(out)?;
                return Ok(0);
            }
            writeln!(out, "{}: whole", file.display())?;
            writeln!(out, "of {} ({}), made {}", header.party, header.program, header.made)?;
            if let Some(log) = &manifest.log {
                writeln!(out, "log: {} entries of {}", log.entries, log.origin)?;
                writeln!(out, "log key: {}", log.key)?;
            }
            writeln!(
                out,
                "{} rows, {} files of {} bytes",
                manifest.n_rows, manifest.n_files, manifest.n_bytes
            )?;
            writeln!(out, "sha256: {digest}")?;
            Ok(0)
        }
    }
}

fn init(file: &Path) -> Result<String, BackupError> {
    let key = SecretBytes::random().map_err(std::io::Error::other)?;
    let public = public_half(&key)?;
    keyfile::write(file, KeyKind::Recovery, &key)?;
    Ok(public.to_string())
}

fn recovery(file: &Path) -> Result<SecretBytes<32>, BackupError> {
    Ok(keyfile::read(file, KeyKind::Recovery)?)
}

/// Makes backups of the program on `data`: it is asked when it runs; otherwise `open` opens what is stopped. Gives the exit code.
///
/// # Errors
/// When it can not be opened, or `out` can not be written.
pub async fn make<F: Future<Output = anyhow::Result<Backups>>>(
    args: &MakeArgs,
    data: &Path,
    party: &str,
    around: &Surroundings,
    open: impl FnOnce() -> F,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let now = around.clock.now();
    let mut wanted = Vec::new();
    if let Some(to) = &args.to {
        let file = if to.is_dir() {
            to.join(format!("{party}-{}.backup", now.to_string().replace(':', "-")))
        } else {
            to.clone()
        };
        wanted.push((Kind::Data, file));
    }
    // Behind the data: what is in a backup of the data has its key, unless it was erased in between.
    wanted.extend(args.enquiry_keys_to.iter().map(|file| (Kind::EnquiryKeys, file.clone())));
    let mut stopped = None;
    let mut open = Some(open);
    let mut made = Vec::new();
    for (kind, file) in wanted {
        let (folder, path) = (data.to_owned(), file.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = None;
            let written = local::whole_file(&path, |out| {
                answer = local::ask(&folder, kind, out)?;
                // Nothing has been written; the file does not take its name.
                answer.clone().ok_or(BackupError::NotABackup)
            });
            match (written, answer) {
                (Err(BackupError::NotABackup), None) => Ok(None),
                (written, _) => written.map(Some),
            }
        });
        let done = match asked.await? {
            Ok(Some(done)) => Ok(done),
            Err(error) => Err(error),
            Ok(None) => {
                if let Some(open) = open.take() {
                    stopped = Some(open().await?);
                }
                let Some(backups) = stopped.clone() else {
                    anyhow::bail!("the program was started meanwhile; make the backup again");
                };
                let runtime = tokio::runtime::Handle::current();
                let path = file.clone();
                tokio::task::spawn_blocking(move || {
                    local::whole_file(&path, |out| local::finished(&backups, kind, &runtime, out))
                })
                .await?
            }
        };
        match done {
            Ok(done) => made.push((kind, file, done)),
            Err(error) => return failed(error, args.json, out),
        }
    }
    told(&made, args.json, out)
}

fn told(made: &[(Kind, PathBuf, Done)], json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    if json {
        let files: Vec<_> = made
            .iter()
            .map(|(kind, file, done)| {
                let enquiry_keys = *kind == Kind::EnquiryKeys;
                json!({ "file": file, "enquiry_keys": enquiry_keys, "sha256": done.digest, "manifest": done.manifest })
            })
            .collect();
        serde_json::to_writer_pretty(&mut *out, &json!({ "ok": true, "made": files }))?;
        writeln!(out)?;
        return Ok(0);
    }
    for (_, file, done) in made {
        write!(out, "{}: whole", file.display())?;
        if let Some(log) = &done.manifest.log {
            write!(out, "; the log goes up to entry {} of {}", log.entries, log.origin)?;
        }
        writeln!(out, "\n  sha256 {}", done.digest)?;
    }
    Ok(0)
}

/// Puts a backup back. Gives the exit code.
///
/// # Errors
/// When `out` can not be written.
pub fn restore(
    args: &RestoreArgs,
    program: &str,
    around: &Surroundings,
    check: impl FnOnce(&Path) -> anyhow::Result<()>,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let put_back = recovery(&args.recovery_key).and_then(|key| {
        let what = Restoring {
            program,
            file: &args.file,
            key: &key,
            into: &args.into,
            enquiry_keys: args.enquiry_keys.as_deref(),
            now: around.clock.now(),
        };
        restore::restore(&what, check)
    });
    let put_back = match put_back {
        Ok(put_back) => put_back,
        Err(error) => return failed(error, args.json, out),
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &json!({ "ok": true, "restored": put_back }))?;
        writeln!(out)?;
        return Ok(0);
    }
    explain(&put_back, program, args, out)?;
    Ok(0)
}

fn explain(
    put_back: &PutBack,
    program: &str,
    args: &RestoreArgs,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let PutBack { header, manifest, digest, last, shard, config, to_provide } = put_back;
    writeln!(out, "{}: verified and put back", args.into.display())?;
    writeln!(
        out,
        "of {} ({}), made {}, sha256 {digest}",
        header.party, header.program, header.made
    )?;
    if let Some(log) = &manifest.log {
        write!(out, "The log goes up to entry {} of {}", log.entries, log.origin)?;
        match last {
            Some(last) => writeln!(out, ", written {last}.")?,
            None => writeln!(out, ".")?,
        }
        writeln!(
            out,
            "log key: {} (hold it against the one that information governance has)",
            log.key
        )?;
    }
    writeln!(
        out,
        "What was recorded behind that is lost here and stands with the others. The log goes on in the new shard {shard}, whose first entries \
         say so; once the program runs, it asks each party how much of the old one it has seen, and records the answer (`restore_gap`).\n\
         `hub log reconcile` then names each exchange that only the other side has."
    )?;
    if args.without_enquiry_keys {
        writeln!(
            out,
            "Without their keys the enquiries are lost; the agency's own records are not."
        )?;
    }
    writeln!(out, "\nBefore it starts:")?;
    writeln!(
        out,
        "- the program that this one takes the place of must not run again: keep its files, if there are any, for whoever looks into it;"
    )?;
    for path in to_provide {
        writeln!(out, "- put {} there: no backup has it;", path.display())?;
    }
    writeln!(
        out,
        "- the witness has a new key; a policy that names the old one has to name the one in data/witness/witness.pub after the start;"
    )?;
    writeln!(
        out,
        "- erase again by hand what two people had erased after the backup of the enquiry keys was made;"
    )?;
    writeln!(
        out,
        "- tell information governance, then run\n  {program} check-config --config {}",
        config.display()
    )?;
    Ok(())
}
