//! From one version to the next: what it changes, gathering its signatures, and taking it up.

use std::{fs, io::Write, path::PathBuf};

use anyhow::Context as _;
use brag_common::{
    agreement::{self, Agreement, Difference, NoteError},
    program::install as keep,
    version_folder::VersionFolder,
};
use clap::Args;
use serde_json::json;

use super::{Exit, read, read_text};
use crate::{Config, hub::AsHub};

/// Two versions to compare.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The version before: its text, or a signed note, which is not verified here
    old: PathBuf,
    /// The version after
    new: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Notes to put together.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// The agreement's text, and what each party has signed
    #[arg(required = true)]
    notes: Vec<PathBuf>,
    /// Where to write the note with all signatures; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What to install, and where.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The note that every party and the hub have signed
    file: PathBuf,
    /// The hub's configuration
    #[arg(long, value_name = "FILE", default_value = "./hub.toml")]
    config: PathBuf,
}

/// Says what changes, for whom.
pub(super) fn diff(args: &DiffArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let parse = |path: &PathBuf| {
        Agreement::parse(&read_text(path)?).with_context(|| format!("reading {}", path.display()))
    };
    let found = agreement::diff(&parse(&args.old)?, &parse(&args.new)?);
    if args.json {
        let differences: Vec<_> = found
            .iter()
            .map(|Difference { whom, section, effect, words }| {
                json!({ "whom": whom, "section": section, "effect": effect.word(), "words": words })
            })
            .collect();
        writeln!(stdout, "{:#}", json!({ "differences": differences }))?;
    } else if found.is_empty() {
        writeln!(stdout, "Nothing changes for anybody.")?;
    } else {
        for difference in &found {
            writeln!(stdout, "{difference}")?;
        }
    }
    Ok(Exit::Done)
}

/// Puts signatures together that were given apart.
pub(super) fn collect(args: &CollectArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let notes = args.notes.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let (note, missing) = match agreement::collect(&notes) {
        Ok(collected) => collected,
        Err(error @ (NoteError::Bad(_) | NoteError::Unknown(_) | NoteError::OtherText)) => {
            writeln!(std::io::stderr(), "hub: not collected: {error}")?;
            return Ok(Exit::VerificationFailed);
        }
        Err(error) => return Err(error).context("collecting signatures"),
    };
    match &args.out {
        Some(out) => fs::write(out, note).with_context(|| format!("writing {}", out.display()))?,
        None => stdout.write_all(&note)?,
    }
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        writeln!(std::io::stderr(), "hub: still to sign: {}", names.join(", "))?;
    }
    Ok(Exit::Done)
}

/// Installs a version at the hub.
pub(super) fn install(args: &InstallArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config)?;
    let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
    let accepted = match keep(&folder, &AsHub::of(&config), read(&args.file)?) {
        Ok(accepted) => accepted,
        Err(error) => {
            writeln!(stdout, "not installed: {error:#}")?;
            return Ok(Exit::VerificationFailed);
        }
    };
    let model = accepted.agreement();
    writeln!(
        stdout,
        "{} version {} is installed ({}); it holds from {} on, and a running hub takes it up by itself",
        model.id(),
        model.version(),
        accepted.digest(),
        model.starts(),
    )?;
    for party in model.parties().filter(|party| !config.nodes.contains_key(party.id())) {
        let id = party.id();
        writeln!(
            stdout,
            "to do: add {id} to [nodes] of the configuration, and start the hub again"
        )?;
    }
    Ok(Exit::Done)
}
