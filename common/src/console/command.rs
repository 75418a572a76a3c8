//! `account`: the operator's commands for local accounts of the console. They need no running program.

use std::{io::Write, path::Path};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::accounts::{self, AccountError, Standing};
use crate::{id::StaffName, time::SharedClock};

/// What to do with an account.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Invite a member of staff to set up an account, over the one they may have
    ///
    /// Prints a code once. Give it to that person alone; with it they choose a password and an authenticator app at
    /// /sign-in/set-up of the console within three days. Sessions of a former account end.
    ///
    /// Example: hub account invite j.okafor --config /etc/brag/hub/hub.toml
    #[command(verbatim_doc_comment)]
    Invite(One),
    /// Lock an account: its sessions end, and nobody signs in with it
    ///
    /// Example: hub account lock j.okafor --config /etc/brag/hub/hub.toml
    #[command(verbatim_doc_comment)]
    Lock(One),
    /// Remove an account: its sessions end
    ///
    /// Example: hub account remove j.okafor --config /etc/brag/hub/hub.toml
    #[command(verbatim_doc_comment)]
    Remove(One),
    /// List the staff of the configuration and where their accounts stand
    ///
    /// Example: hub account list --config /etc/brag/hub/hub.toml
    #[command(verbatim_doc_comment)]
    List(Listed),
}

/// Whose account.
#[derive(Debug, Args)]
pub struct One {
    /// The member of staff, by the name in the configuration
    pub name: StaffName,
    /// The configuration of the program
    #[arg(long, value_name = "FILE")]
    pub config: std::path::PathBuf,
}

/// Whose accounts.
#[derive(Debug, Args)]
pub struct Listed {
    /// The configuration of the program
    #[arg(long, value_name = "FILE")]
    pub config: std::path::PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl AccountCommand {
    /// The configuration that it is about.
    #[must_use]
    pub fn config(&self) -> &Path {
        match self {
            Self::Invite(one) | Self::Lock(one) | Self::Remove(one) => &one.config,
            Self::List(listed) => &listed.config,
        }
    }

    /// Does it, in a program's data folder, for the staff of its configuration.
    ///
    /// # Errors
    /// When the person is none of the staff, or a file can not be read or written.
    pub fn run(
        &self,
        data: &Path,
        staff: &[StaffName],
        clock: &SharedClock,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let known = |one: &One| {
            anyhow::ensure!(
                staff.contains(&one.name),
                "{} is not listed under [[staff]] in {}; list them with their roles first",
                one.name,
                one.config.display()
            );
            Ok(())
        };
        match self {
            Self::Invite(one) => {
                known(one)?;
                let (code, until) = accounts::invite(data, &one.name, clock.now())?;
                writeln!(out, "{code}")?;
                writeln!(
                    out,
                    "Give this code to {} alone. It is good until {until:.0}.",
                    one.name
                )?;
            }
            // Whoever has left is not listed any more.
            Self::Lock(one) => accounts::lock(data, &one.name, clock.now())
                .with_context(|| format!("the account of {}", one.name))?,
            Self::Remove(one) => accounts::remove(data, &one.name)
                .with_context(|| format!("the account of {}", one.name))?,
            Self::List(listed) => list(data, staff, listed.json, out)?,
        }
        Ok(())
    }
}

fn list(data: &Path, staff: &[StaffName], json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for name in staff {
        let word = match accounts::standing(data, name) {
            Ok(Standing::Invited(until)) => format!("invited until {until:.0}"),
            Ok(Standing::Active) => "active".to_owned(),
            Ok(Standing::Locked) => "locked".to_owned(),
            Err(AccountError::Absent) => "none".to_owned(),
            Err(error) => return Err(error.into()),
        };
        rows.push((name, word));
    }
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, word)| json!({ "name": name.as_str(), "account": word }))
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "accounts": rows }))?)?;
    } else {
        for (name, word) in rows {
            writeln!(out, "{name}: {word}")?;
        }
    }
    Ok(())
}
