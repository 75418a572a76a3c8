//! `hub agreement`: check and sign an agreement, and see what it decides. Needs no running program
//! and no network.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    agreement::{
        self, Agreement, AgreementFaults, NoteError, Outcome, RecipientDecision, Signatory, Step,
        StepResult,
        cases::{Case, CaseFile},
    },
    audit::Digest,
    id::AgencyId,
    keyfile,
    time::Timestamp,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

pub use self::amend::{CollectArgs, DiffArgs, InstallArgs};

mod amend;

/// What to do with an agreement.
#[derive(Debug, Subcommand)]
pub enum AgreementCommand {
    /// Validate an agreement and say what it still lacks
    ///
    /// Prints every fault with its line and what is expected there. Exit 0: no faults; 1: faults.
    ///
    /// Example: hub agreement check agreement.toml
    #[command(verbatim_doc_comment)]
    Check {
        /// The agreement: its text, or a signed note
        file: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Add one signature to an agreement
    ///
    /// Each party signs with the key whose public half the agreement gives it; the hub signs too. Others'
    /// signatures are kept. Exit 4: the key is not the one in the agreement.
    ///
    /// Example: hub agreement sign agreement.toml --hub --key keys/statements.key --out agreement.signed
    #[command(verbatim_doc_comment)]
    Sign(SignArgs),
    /// Put signatures together that parties gave apart, each at its own node
    ///
    /// Every signature is verified. Says on standard error who has still to sign. Exit 4: a signature does not verify, or
    /// the notes are not over one text.
    ///
    /// Example: hub agreement collect agreement.toml csc.note pol.note --out agreement.note
    #[command(verbatim_doc_comment)]
    Collect(CollectArgs),
    /// Say in words what a new version changes, and for whom
    ///
    /// Each change loosens, tightens, or is neither. Read it before you sign.
    ///
    /// Example: hub agreement diff version-3.note version-4.toml
    #[command(verbatim_doc_comment)]
    Diff(DiffArgs),
    /// Install a new version at this hub, which takes it up without a restart
    ///
    /// Accepted only when the hub's own key and every party's have signed exactly this text, and it is the next version of
    /// the one that is newest here. Earlier versions stay, so that what was signed under them can be verified. Exit 4: not
    /// accepted, and why.
    ///
    /// Example: hub agreement install agreement.note --config /etc/brag/hub/hub.toml
    #[command(verbatim_doc_comment)]
    Install(InstallArgs),
    /// Decide the requests of a case file
    ///
    /// Shows for every request what would be decided for each recipient, and by which rules. Nothing is
    /// sent and nothing is logged. Exit 1 with --check: something differs from what the file expects.
    ///
    /// Example: hub agreement decide agreement.toml cases/s1.json --check
    #[command(verbatim_doc_comment)]
    Decide(DecideArgs),
}

/// Whose signature to add, and how.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The agreement: its text, or a note that others have signed
    file: PathBuf,
    /// Sign as this party, for example `--agency CSC`
    #[arg(long, value_name = "ID", conflicts_with = "hub", required_unless_present = "hub")]
    agency: Option<AgencyId>,
    /// Sign as the hub
    #[arg(long)]
    hub: bool,
    /// File with the signing key, mode 0600; `init` made it
    #[arg(long, value_name = "KEYFILE")]
    key: PathBuf,
    /// Where to write the signed note; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which requests to decide, and how to show it.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// The agreement: its text, or a signed note, which is not verified here
    agreement: PathBuf,
    /// The case file
    cases: PathBuf,
    /// Compare with what the file expects; exit with 1 when anything differs
    #[arg(long)]
    check: bool,
    /// Decide as of this time (RFC 3339), for example 2026-03-02T09:00:00Z; by default the start of the
    /// agreement's validity
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How a command ended, as an exit code that scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed: a fault in a file, a difference from what is expected.
    Failed,
    /// Not a valid command.
    Usage,
    /// Refused by the agreement or a rule.
    Refused,
    /// A signature does not verify.
    VerificationFailed,
}

impl Exit {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::VerificationFailed => 4,
        }
    }
}

/// Runs a command and writes what it has to say.
///
/// # Errors
/// When a file can not be read or written, or is not what it should be.
pub fn run(command: &AgreementCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        AgreementCommand::Check { file, json } => check(file, *json, stdout),
        AgreementCommand::Sign(args) => sign(args, stdout),
        AgreementCommand::Collect(args) => amend::collect(args, stdout),
        AgreementCommand::Diff(args) => amend::diff(args, stdout),
        AgreementCommand::Install(args) => amend::install(args, stdout),
        AgreementCommand::Decide(args) => decide(args, stdout),
    }
}

fn check(file: &Path, as_json: bool, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let text = read_text(file)?;
    let parsed = Agreement::parse(&text);
    let digest = Digest::of(text.as_bytes());
    let exit = if parsed.is_ok() { Exit::Done } else { Exit::Failed };
    if as_json {
        let document = match &parsed {
            Ok(agreement) => agreement_json(agreement, &digest),
            Err(faults) => faults_json(faults),
        };
        writeln!(stdout, "{document:#}")?;
        return Ok(exit);
    }
    match parsed {
        Err(faults) => {
            for fault in faults.as_slice() {
                writeln!(stdout, "{}:{fault}", file.display())?;
            }
        }
        Ok(agreement) => {
            writeln!(
                stdout,
                "{} version {}: valid {} to {}, {} parties, {} categories, {} environment",
                agreement.id(),
                agreement.version(),
                agreement.valid_from(),
                agreement.valid_to(),
                agreement.parties().count(),
                agreement.categories().len(),
                agreement.environment(),
            )?;
            match agreement.ready() {
                Ok(()) => writeln!(stdout, "keys: complete")?,
                Err(missing) => writeln!(stdout, "keys: {missing}; add them before signing")?,
            }
            writeln!(stdout, "SHA-256 of the text: {digest}")?;
        }
    }
    Ok(exit)
}

fn agreement_json(agreement: &Agreement, digest: &Digest) -> Value {
    let missing: Vec<_> = agreement.missing_keys().iter().map(ToString::to_string).collect();
    json!({
        "valid": true,
        "id": agreement.id(),
        "version": agreement.version(),
        "digest": digest.to_string(),
        "valid_from": agreement.valid_from().to_string(),
        "valid_to": agreement.valid_to().to_string(),
        "environment": agreement.environment(),
        "parties": agreement.parties().map(|party| party.id().as_str()).collect::<Vec<_>>(),
        "missing_keys": missing,
    })
}

fn faults_json(faults: &AgreementFaults) -> Value {
    let fault = |fault: &agreement::Fault| json!({ "line": fault.line, "path": fault.path, "message": fault.message });
    json!({ "valid": false, "faults": faults.as_slice().iter().map(fault).collect::<Vec<_>>() })
}

fn sign(args: &SignArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let input = read(&args.file)?;
    let key = keyfile::read_signing_key(&args.key)?;
    // Clap has seen to it that exactly one of the two is there.
    let signatory = args.agency.clone().map_or(Signatory::Hub, Signatory::Party);
    let note = match agreement::sign(&input, &signatory, &key) {
        Ok(note) => note,
        Err(error @ NoteError::OtherKey(_)) => {
            writeln!(stdout, "not signed: {error}")?;
            return Ok(Exit::VerificationFailed);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("signing {}", args.file.display()));
        }
    };
    match &args.out {
        Some(out) => fs::write(out, note).with_context(|| format!("writing {}", out.display()))?,
        None => stdout.write_all(&note)?,
    }
    Ok(Exit::Done)
}

fn decide(args: &DecideArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let agreement = Agreement::parse(&read_text(&args.agreement)?)
        .with_context(|| format!("reading {}", args.agreement.display()))?;
    let cases = read(&args.cases)?;
    let cases = std::str::from_utf8(&cases).map_err(anyhow::Error::from);
    let file = cases
        .and_then(|cases| Ok(CaseFile::parse(cases)?))
        .with_context(|| format!("reading {}", args.cases.display()))?;
    let decided: Vec<_> = file
        .cases(args.at.unwrap_or(agreement.starts()))
        .into_iter()
        .map(|case| (case.decide(&agreement), case))
        .collect();
    let mut mismatches = Vec::new();
    if args.check {
        mismatches = file.uprating_mismatches();
        mismatches.extend(decided.iter().flat_map(|(found, case)| case.mismatches(found)));
    }

    if args.json {
        let requests: Vec<_> =
            decided.iter().map(|(decisions, case)| case_json(case, decisions)).collect();
        let mut document = json!({ "name": file.name, "requests": requests });
        if let (true, Some(document)) = (args.check, document.as_object_mut()) {
            document.insert("mismatches".to_owned(), json!(mismatches));
        }
        writeln!(stdout, "{document:#}")?;
    } else {
        for (decisions, case) in &decided {
            write_case(case, decisions, stdout)?;
        }
        if args.check {
            for line in &mismatches {
                writeln!(stdout, "MISMATCH {} {line}", file.name)?;
            }
            let n_decisions: usize = decided.iter().map(|(decisions, _)| decisions.len()).sum();
            writeln!(
                stdout,
                "{}: {n_decisions} decisions, {} mismatches",
                file.name,
                mismatches.len()
            )?;
        }
    }
    Ok(if mismatches.is_empty() { Exit::Done } else { Exit::Failed })
}

fn write_case(
    case: &Case,
    decisions: &[RecipientDecision],
    stdout: &mut dyn Write,
) -> std::io::Result<()> {
    let request = &case.request;
    writeln!(
        stdout,
        "{}  {} about {}, held by {}",
        case.id, request.category, request.person, request.holder
    )?;
    for decision in decisions {
        write!(stdout, "  to {}: ", decision.recipient)?;
        match &decision.outcome {
            Outcome::Release(permit) => {
                writeln!(stdout, "release by {} until {}", permit.gate(), permit.expires())?;
            }
            Outcome::Review(pending) => {
                let (gate, n) = (pending.details().gate(), pending.approvals().count());
                writeln!(stdout, "review by {gate}, {n} approval(s)")?;
            }
            Outcome::Deny(reason) => writeln!(stdout, "deny {reason}: {}", reason.text())?,
        }
        for step in &decision.trace {
            writeln!(stdout, "      {step}")?;
        }
        if !decision.would_be_released_if.is_empty() {
            let words: Vec<_> =
                decision.would_be_released_if.iter().map(ToString::to_string).collect();
            writeln!(stdout, "      would be released if: {}", words.join(", "))?;
        }
    }
    Ok(())
}

fn case_json(case: &Case, decisions: &[RecipientDecision]) -> Value {
    let decisions: Vec<_> = decisions.iter().map(decision_json).collect();
    json!({
        "id": case.id,
        "holder": case.request.holder,
        "person": case.request.person,
        "category": case.request.category,
        "decisions": decisions,
    })
}

fn decision_json(decision: &RecipientDecision) -> Value {
    let (word, permit, approvals) = match &decision.outcome {
        Outcome::Release(permit) => ("release", Some(permit), None),
        Outcome::Review(pending) => {
            ("review", Some(pending.details()), Some(pending.approvals().count()))
        }
        Outcome::Deny(_) => ("deny", None, None),
    };
    let reason = match &decision.outcome {
        Outcome::Deny(reason) => Some(reason.code()),
        Outcome::Release(_) | Outcome::Review(_) => None,
    };
    let obligations = permit
        .map(|permit| permit.obligations().iter().map(ToString::to_string).collect::<Vec<_>>());
    let hypotheses: Vec<_> =
        decision.would_be_released_if.iter().map(|hypothesis| hypothesis.word()).collect();
    json!({
        "recipient": decision.recipient,
        "decision": word,
        "reason": reason,
        "approvals": approvals,
        "gate": permit.map(|permit| permit.gate()),
        "expires": permit.map(|permit| permit.expires().to_string()),
        "obligations": obligations,
        "would_be_released_if": hypotheses,
        "trace": decision.trace.iter().map(step_json).collect::<Vec<_>>(),
    })
}

fn step_json(step: &Step) -> Value {
    let (result, reason) = match step.result {
        StepResult::Met => ("met", None),
        StepResult::NotMet(reason) => ("not_met", Some(reason.code())),
        StepResult::Refused(reason) => ("refused", Some(reason.code())),
    };
    let evidence: Vec<_> = step.evidence.iter().map(|evidence| evidence.as_str()).collect();
    json!({
        "stage": step.stage.word(),
        "rule": step.rule,
        "result": result,
        "reason": reason,
        "evidence": evidence,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    agreement::text_of(&read(path)?).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests;
