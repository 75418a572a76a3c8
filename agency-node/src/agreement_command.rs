//! `agency-node agreement`: sign a new version at the agency's own node, offline, and take it up when all have signed.

use std::{fs, io::Write, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use brag_common::{
    agreement::{self, NoteError, Signatory},
    keyfile,
    program::install as keep,
    time::{SharedClock, SystemClock},
    version_folder::{VersionFolder, chain},
};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    Config,
    cli::{ConfigArg, Exit, print_json},
    ground::AsAgency,
};

/// What to do with an agreement.
#[derive(Debug, Subcommand)]
pub enum AgreementCommand {
    /// Sign an agreement as this agency; needs no running node and no network
    ///
    /// Read `hub agreement diff` first. Signs with whichever of the agency's keys the text names, and leaves the
    /// signatures of others as they are. Exit 4: the text names none of them.
    ///
    /// Example: agency-node agreement sign agreement.toml --out csc.note
    #[command(verbatim_doc_comment)]
    Sign(SignArgs),
    /// Install a new version at this node, which takes it up without a restart
    ///
    /// Accepted only when the agency's own key and every party's have signed exactly this text, and it is the next version
    /// of the one that is newest here. Earlier versions stay, so that what was signed under them can be verified. Exit 4:
    /// not accepted, and why.
    ///
    /// Example: agency-node agreement install agreement.note --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Install(InstallArgs),
    /// List the versions that are here, and which holds now
    ///
    /// Example: agency-node agreement show
    #[command(verbatim_doc_comment)]
    Show(ShowArgs),
}

/// What to sign.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The agreement: its text, or a note that others have signed
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    /// Where to write the signed note; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What to install.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The note that every party and the hub have signed
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
}

/// How to list.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs a command.
///
/// # Errors
/// When a file can not be read or written, or is not what it should be.
pub fn run(command: &AgreementCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        AgreementCommand::Sign(args) => sign(args, stdout),
        AgreementCommand::Install(args) => install(args, stdout),
        AgreementCommand::Show(args) => show(args, stdout),
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn sign(args: &SignArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    let input = read(&args.file)?;
    let signatory = Signatory::Party(config.agency.clone());
    let mut signed = None;
    for key in keyfile::read_signing_ring(config.keys.statements.as_path())? {
        match agreement::sign(&input, &signatory, &key) {
            Ok(note) => signed = Some(note),
            Err(NoteError::OtherKey(_)) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("signing {}", args.file.display()));
            }
        }
    }
    let Some(note) = signed else {
        writeln!(stdout, "not signed: {}", NoteError::OtherKey(signatory))?;
        return Ok(Exit::NotVerified);
    };
    match &args.out {
        Some(out) => fs::write(out, note).with_context(|| format!("writing {}", out.display()))?,
        None => stdout.write_all(&note)?,
    }
    Ok(Exit::Done)
}

fn install(args: &InstallArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
    let accepted = match keep(&folder, &AsAgency::of(&config), read(&args.file)?) {
        Ok(accepted) => accepted,
        Err(error) => {
            writeln!(stdout, "not installed: {error:#}")?;
            return Ok(Exit::NotVerified);
        }
    };
    let model = accepted.agreement();
    writeln!(
        stdout,
        "{} version {} is installed ({}); it holds from {} on, and a running node takes it up by itself",
        model.id(),
        model.version(),
        accepted.digest(),
        model.starts(),
    )?;
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
    let own = AsAgency::of(&config);
    let chain = chain(&folder.found()?, |found| {
        let path = found.path.display();
        own.verify_note(&found.note)
            .with_context(|| format!("the agreement `{path}` is not accepted"))
    })?;
    let clock: SharedClock = Arc::new(SystemClock);
    let now = clock.now();
    let begun = |agreement: &agreement::SignedAgreement| agreement.agreement().starts() <= now;
    let holds = chain.iter().rposition(|(agreement, _)| begun(agreement)).unwrap_or(0);
    let mut versions = Vec::new();
    for (place, (agreement, found)) in chain.iter().enumerate() {
        let model = agreement.agreement();
        let state = match place.cmp(&holds) {
            std::cmp::Ordering::Less => "superseded",
            std::cmp::Ordering::Equal if model.in_force(now) => "holds",
            std::cmp::Ordering::Equal => "not in force",
            std::cmp::Ordering::Greater => "waits",
        };
        if args.json {
            versions.push(json!({
                "id": model.id(),
                "version": model.version(),
                "digest": agreement.digest(),
                "valid_from": model.valid_from().to_string(),
                "valid_to": model.valid_to().to_string(),
                "state": state,
                "file": found.path,
            }));
        } else {
            writeln!(
                stdout,
                "version {}  {} to {}  {state}  {}",
                model.version(),
                model.valid_from(),
                model.valid_to(),
                agreement.digest()
            )?;
        }
    }
    if args.json {
        print_json(stdout, &json!({ "versions": versions }))?;
    }
    Ok(Exit::Done)
}
