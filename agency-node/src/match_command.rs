//! `agency-node match`: how well the exchange would find people, measured on two files of records; weights learned from
//! them; and the agency's own likely duplicates. Nothing leaves the machine, and nothing is stored but what `--out` names.

use std::{io::Write, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context as _;
use brag_common::{
    matching::{
        identity::CanonicalIdentity,
        weigh::Thresholds,
        weights::{
            Weights,
            learn::{Standing, learn},
        },
    },
    time::SystemClock,
};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    Config,
    cli::{ConfigArg, Exit, print_json},
    ground::Ground,
};

mod duplicates;
mod eval;
mod people;
mod report;

#[cfg(test)]
mod tests;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum MatchCommand {
    /// Measure keys, weighing and confirmation on two files of people and the true pairs
    ///
    /// The people of --left are asked about, those of --right are enrolled. Both files have the
    /// layout of `import`; the truth is CSV with the columns left_id and right_id. Plain match keys
    /// stand for the blinded tokens, which hit in the same places.
    ///
    /// Prints for each stage how many true pairs it finds (recall) and how many of its pairs are
    /// true (precision); how often a person who is not enrolled would be disclosed; what is left to
    /// a person (review); what each kind of key finds and hits wrongly by itself; and the time.
    ///
    /// Example: agency-node match eval --left a.csv --right b.csv --truth t.csv --json
    #[command(verbatim_doc_comment)]
    Eval(EvalArgs),
    /// Learn weights from two files of people, without knowing who is the same
    ///
    /// Expectation-maximisation over the pairs that share a match key. With --prior-odds and
    /// --strangers the weights stand for any agency, as the shipped ones do; without, for these two
    /// files. The node uses the shipped weights; `match eval --weights` measures others.
    ///
    /// Example: agency-node match train --left a.csv --right b.csv --out weights.toml
    #[command(verbatim_doc_comment)]
    Train(TrainArgs),
    /// List people who are likely recorded twice
    ///
    /// Looks into the node's store, for which the node has to be stopped, or into a file. Prints a
    /// line for each pair: the agency's own ids, `same` or `unclear`, and the probability; no name.
    ///
    /// Example: agency-node match duplicates --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Duplicates(DuplicatesArgs),
}

/// How to measure.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The people who are asked about
    #[arg(long, value_name = "FILE")]
    left: PathBuf,
    /// The people who are enrolled
    #[arg(long, value_name = "FILE")]
    right: PathBuf,
    /// The true pairs: CSV with left_id and right_id
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Groups to report apart: CSV with left_id and group
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
    /// Weights of `match train`; by default the shipped ones
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Weigh as if so many people were enrolled; by default as many as RIGHT has, and at least 10000
    #[arg(long, value_name = "N")]
    people: Option<u64>,
    /// Posterior from which an identity is disclosed
    #[arg(long, value_name = "P", default_value_t = 0.9)]
    disclose_from: f64,
    /// Posterior from which a person is asked to decide
    #[arg(long, value_name = "P", default_value_t = 0.2)]
    review_from: f64,
    /// Write the ids of every pair that was disclosed wrongly here, with the keys that hit; never a name
    #[arg(long, value_name = "FILE")]
    wrong: Option<PathBuf>,
    /// Leave identifiers out
    #[arg(long)]
    no_identifiers: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How to learn.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// One file of people
    #[arg(long, value_name = "FILE")]
    left: PathBuf,
    /// Another, of an agency that knows some of the same
    #[arg(long, value_name = "FILE")]
    right: PathBuf,
    /// Write the weights here; by default to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What the files are, for the weights' provenance
    #[arg(long, value_name = "TEXT", default_value = "two files of an agency")]
    provenance: String,
    /// Odds, before anything is known, that an agency knows whom it is asked about; by default as in the files
    #[arg(long, value_name = "ODDS", requires = "strangers")]
    prior_odds: Option<f64>,
    /// Strangers among whom a record is confirmed; by default as in the files
    #[arg(long, value_name = "N", requires = "prior_odds")]
    strangers: Option<f64>,
    /// Leave identifiers out
    #[arg(long)]
    no_identifiers: bool,
}

/// Whose duplicates.
#[derive(Debug, Args)]
pub struct DuplicatesArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Look into this file instead of the node's store
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs one of the commands.
///
/// # Errors
/// When a file can not be read or written, or the node runs.
pub async fn run(command: &MatchCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        MatchCommand::Eval(args) => eval_command(args, stdout),
        MatchCommand::Train(args) => train_command(args, stdout),
        MatchCommand::Duplicates(args) => duplicates_command(args, stdout).await,
    }
}

fn eval_command(args: &EvalArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let thresholds = Thresholds::new(args.disclose_from, args.review_from)?;
    let identifiers = people::Identifiers::from(args.no_identifiers);
    let left = people::read(&args.left, identifiers)?;
    let right = people::read(&args.right, identifiers)?;
    let truth = people::read_truth(&args.truth, &left, &right)?;
    let groups = match &args.groups {
        Some(file) => people::read_groups(file, &left)?,
        None => vec![String::new(); left.len()],
    };
    let given = match &args.weights {
        Some(file) => Some(read_weights(file)?),
        None => None,
    };
    let weights = given.as_ref().unwrap_or_else(|| Weights::shipped());
    let n_people = args.people.unwrap_or(right.len() as u64);
    let setting = eval::Setting { weights, thresholds, n_people };
    let measured = eval::evaluate(&left, &right, &truth, &groups, &setting);
    if let Some(file) = &args.wrong {
        let context = || format!("can not write wrong pairs to `{}`", file.display());
        let out = std::fs::File::create(file).with_context(context)?;
        report::write_wrong(out, &measured, &left, &right).with_context(context)?;
    }
    if args.json {
        print_json(stdout, &report::document(&measured, &weights.provenance))?;
    } else {
        report::print(stdout, &measured, &weights.provenance)?;
    }
    Ok(Exit::Done)
}

fn read_weights(file: &std::path::Path) -> anyhow::Result<Weights> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("can not read weights from `{}`", file.display()))?;
    toml::from_str(&text).with_context(|| format!("`{}` does not hold weights", file.display()))
}

fn train_command(args: &TrainArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let identifiers = people::Identifiers::from(args.no_identifiers);
    let (left, right) =
        (people::read(&args.left, identifiers)?, people::read(&args.right, identifiers)?);
    let only = |people: people::People| -> Vec<_> {
        people.into_iter().map(|(_, identity)| identity).collect()
    };
    let standing = match args.prior_odds.zip(args.strangers) {
        Some((prior_odds, strangers)) => Standing::Anywhere { prior_odds, strangers },
        None => Standing::AsLearned,
    };
    let weights = learn(&only(left), &only(right), standing, &args.provenance);
    let text = toml::to_string(&weights)?;
    match &args.out {
        Some(file) => std::fs::write(file, text)
            .with_context(|| format!("can not write weights to `{}`", file.display()))?,
        None => stdout.write_all(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

async fn duplicates_command(args: &DuplicatesArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let people = match &args.file {
        Some(file) => people::read(file, people::Identifiers::Kept)?,
        None => {
            let config = Config::load(args.config.path())?;
            let ground = Ground::open(config, Arc::new(SystemClock), |options| options).await?;
            let store = ground.store.clone();
            tokio::task::spawn_blocking(move || stored_people(&store)).await??
        }
    };
    let n_people = people.len();
    let found = duplicates::find(&people);
    if args.json {
        let pairs: Vec<_> = found
            .iter()
            .map(|pair| {
                json!({ "one": pair.one, "other": pair.other, "result": pair.word(), "posterior": pair.posterior })
            })
            .collect();
        let seconds = start.elapsed().as_secs_f64();
        print_json(stdout, &json!({ "people": n_people, "pairs": pairs, "seconds": seconds }))?;
    } else {
        for pair in &found {
            writeln!(
                stdout,
                "{}  {}  {}  {:.3}",
                pair.one,
                pair.other,
                pair.word(),
                pair.posterior
            )?;
        }
        writeln!(stdout, "{} pairs among {n_people} people.", found.len())?;
    }
    Ok(Exit::Done)
}

fn stored_people(store: &crate::store::Store) -> anyhow::Result<people::People> {
    let mut people = Vec::new();
    for row in store.people() {
        let (_, person) = row?;
        let identity = CanonicalIdentity::decode(&person.identity)
            .ok()
            .context("an identity in the store does not read back")?;
        people.push((person.source_id, identity.identity().clone()));
    }
    Ok(people)
}
