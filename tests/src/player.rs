//! Plays a scenario on real processes, and compares what came of it with what had to.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use brag_common::{program::LOG_SHARD, wire::pb};
use brag_hub::render::Paint;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    partnership::{AUDITOR, COORDINATOR},
    processes::Fleet,
    scenario::Scenario,
    sweep::{Sweep, Swept},
};

mod acts;
mod compare;
mod consents;
mod ending;
mod erasing;
mod flags;
mod hands;
mod life;
pub(crate) mod people;
mod print;
mod progress;
mod receipts;
mod releases;
mod report;
mod requests;
mod seen;
mod stage;
mod statements;
mod troubles;

pub(crate) use self::stage::{Addresses, share_known};
use self::{
    acts::{Play, Scene},
    hands::Desks,
    people::{People, asked},
    stage::{HUB, Stage},
};
pub use self::{
    hands::Consoles,
    print::text,
    progress::Narrator,
    report::{LogRow, Reconciled, Report, SweepRow},
};

/// The end of a demo that a person has interrupted.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// What to play, and where.
#[derive(Debug)]
pub struct Options {
    /// The folder of all data; empty.
    pub folder: PathBuf,
    /// Invented people in all.
    pub n_people: usize,
    /// When the hub is killed besides what the scenario says.
    pub kill_hub: KillHub,
    /// What is done on the pages of consoles; `None`: nothing.
    pub consoles: Option<Consoles>,
}

/// When the hub is killed, without a word, and started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillHub {
    /// When the scenario says so.
    AsWritten,
    /// Before everything that happens, too, while what came before may still be on its way.
    AtEveryStep,
}

/// A play that has come to its end; its processes still run until [`Played::stop`].
#[derive(Debug)]
pub struct Played {
    fleet: Fleet,
    stage: Stage,
    addresses: Addresses,
    desks: Option<Desks>,
    /// What came of it so far: logs and leaks are looked at in [`Played::look_back`].
    pub report: Report,
}

/// Sets the stage and plays. When it fails or is interrupted, everything that runs is stopped first.
///
/// # Errors
/// [`Interrupted`]; or when something can not be set up, a program dies, or somebody can not act.
pub async fn play(
    scenario: &Scenario,
    options: Options,
    narrator: &Narrator,
    interrupted: &CancellationToken,
) -> anyhow::Result<Played> {
    let Options { folder, n_people, kill_hub, consoles } = options;
    let desks = consoles.map(Desks::new);
    let stage = tokio::select! {
        biased;
        () = interrupted.cancelled() => anyhow::bail!(Interrupted),
        stage = Stage::set(folder, scenario, n_people, narrator) => stage?,
    };
    let fleet = Fleet::new(stage.staged.clone());
    let played = tokio::select! {
        biased;
        () = interrupted.cancelled() => Err(Interrupted.into()),
        played = raise_and_play(&stage, &fleet, desks.as_ref(), (scenario, kill_hub), narrator) => played,
    };
    match played {
        Ok((addresses, report)) => Ok(Played { fleet, stage, addresses, desks, report }),
        Err(error) => {
            narrator.say("Stopping what runs ...");
            if let Err(trouble) = fleet.stop().await {
                narrator.say(&trouble.to_string());
            }
            Err(error)
        }
    }
}

async fn raise_and_play(
    stage: &Stage,
    fleet: &Fleet,
    desks: Option<&Desks>,
    (scenario, kill_hub): (&Scenario, KillHub),
    narrator: &Narrator,
) -> anyhow::Result<(Addresses, Report)> {
    let addresses = stage.raise(fleet, narrator).await?;
    let people = People::new(&stage.partnership, addresses.clone(), stage.hand.clock());
    let playing = async {
        let work = narrator.begin("Playing the scenario", scenario.events().len());
        let play = Play::open(scenario, Scene { people: &people, stage, fleet, desks }).await?;
        let report = play.play_out(kill_hub, || work.step()).await?;
        work.done();
        anyhow::Ok(report)
    };
    let report = tokio::select! {
        died = fleet.one_has_died() => Err(died),
        report = playing => report,
    }?;
    fleet.keep_metrics()?;
    // Whoever looks around afterwards finds a clock that goes.
    stage.hand.let_run()?;
    Ok((addresses, report))
}

impl Played {
    /// One more act of a person at the console of a program, while everything still runs.
    ///
    /// # Errors
    /// When nobody uses consoles in this play, the page refuses it, or it can not be done.
    pub async fn on_page(
        &self,
        (program, who): (&str, &str),
        act: &str,
        what: Value,
    ) -> anyhow::Result<Value> {
        let desks = self.desks.as_ref().context("nobody uses consoles in this play")?;
        Ok(desks.act((&self.stage, &self.fleet), (program, who), act, what).await?)
    }

    /// The reference of somebody in the enquiry, by their label.
    ///
    /// # Errors
    /// When the hub does not answer, or nobody has this label.
    pub async fn reference(&self, label: &str) -> anyhow::Result<String> {
        let clock = self.stage.hand.clock();
        let people = People::new(&self.stage.partnership, self.addresses.clone(), clock);
        let request = pb::ShowRequest { enquiry: self.report.enquiry.clone() };
        let shown = people.coordinator()?.show(asked(request)).await?.into_inner();
        let known = shown.people.into_iter().find(|person| person.label == label);
        Ok(known.with_context(|| format!("nobody is labelled {label}"))?.person)
    }

    /// Stops every process.
    ///
    /// # Errors
    /// When one does not end cleanly.
    pub async fn stop(&mut self, narrator: &Narrator) -> anyhow::Result<()> {
        let work = narrator.begin("Stopping", 1);
        self.fleet.stop().await?;
        work.done();
        Ok(())
    }

    /// Waits until a process ends that nobody told to.
    pub async fn one_has_died(&mut self) -> anyhow::Error {
        self.fleet.one_has_died().await
    }

    /// Verifies every log with the programs' own command, and looks for leaks in everything that was written.
    ///
    /// # Errors
    /// When a program can not be started or a file not be read.
    pub async fn look_back(
        &mut self,
        scenario: &Scenario,
        narrator: &Narrator,
    ) -> anyhow::Result<()> {
        let partnership = &self.stage.partnership;
        let work = narrator.begin("Verifying the logs", partnership.agencies().len() + 1);
        let mut logs = vec![self.verify(HUB, "hub", &partnership.hub_folder()).await?];
        work.step();
        for agency in partnership.agencies() {
            let folder = partnership.node_folder(agency);
            logs.push(self.verify(agency.as_str(), "agency-node", &folder).await?);
            work.step();
        }
        work.done();
        self.report.logs = logs;
        self.report.agreement = partnership.agreement_path();
        self.report.receipts = receipts::compare(&self.report, partnership)?;
        self.report.reconciled = self.reconcile(narrator).await?;
        let work = narrator.begin("Sweeping for leaks", 2);
        self.report.sweeps = self.sweep(scenario, narrator)?;
        work.done();
        self.report.phases = narrator.phases();
        self.report.conclude();
        Ok(())
    }

    /// Compares both sides of every exchange with the hub's own command.
    async fn reconcile(&self, narrator: &Narrator) -> anyhow::Result<Reconciled> {
        let partnership = &self.stage.partnership;
        let work = narrator.begin("Comparing the logs", 1);
        let log = |folder: PathBuf| folder.join("data/log").join(LOG_SHARD).display().to_string();
        let nodes =
            partnership.agencies().iter().map(|agency| log(partnership.node_folder(agency)));
        let dirs: Vec<String> =
            std::iter::once(log(partnership.hub_folder())).chain(nodes).collect();
        let mut args = vec!["log", "reconcile", "--json"];
        args.extend(dirs.iter().map(String::as_str));
        let ended = self.stage.programs.run("hub.reconcile", "hub", &args).await?;
        let said: Value =
            serde_json::from_str(&ended.stdout).context("`hub log reconcile` gave no JSON")?;
        work.done();
        let count = |what: &str| said["total"][what].as_u64().unwrap_or_default();
        let counts = ["agreed", "explained", "one_sided", "different"].map(count);
        let differences = said["differences"].as_array().into_iter().flatten();
        let error = said["error"].as_str().map(str::to_owned);
        Ok(Reconciled {
            ok: ended.code() == Some(0) && said["status"] == "agree",
            exchanges: counts.iter().sum(),
            agreed: counts[0],
            explained: said["classes"].clone(),
            one_sided: counts[2],
            different: counts[3],
            differences: differences.map(Value::to_string).chain(error).collect(),
        })
    }

    async fn verify(&self, party: &str, program: &str, folder: &Path) -> anyhow::Result<LogRow> {
        let key = brag_common::keyfile::read_signing_key(&folder.join("keys/log.key"))?;
        let (key, log) = (key.verifying_key().to_string(), folder.join("data/log").join(LOG_SHARD));
        let shown = log.display().to_string();
        let args = ["log", "verify", &shown, "--key", &key, "--json"];
        let ended = self.stage.programs.run(&format!("{party}.verify"), program, &args).await?;
        let said: Value = serde_json::from_str(&ended.stdout)
            .with_context(|| format!("`{program} log verify` of {party} gave no JSON"))?;
        let ok = ended.code() == Some(0) && said["status"] == "ok";
        let fault = said["fault"]["text"].as_str().or_else(|| said["error"].as_str());
        Ok(LogRow {
            party: party.to_owned(),
            ok,
            dir: log,
            n_entries: said["n_entries"].as_u64().unwrap_or_default(),
            fault: (!ok).then(|| fault.unwrap_or("not in order").to_owned()),
        })
    }

    /// Payloads may be nowhere: stores are sealed. Names may not be in what operators and auditors see.
    fn sweep(&self, scenario: &Scenario, narrator: &Narrator) -> anyhow::Result<Vec<SweepRow>> {
        let folder = self.stage.partnership.folder();
        let captured = self.stage.programs.captured().to_owned();
        let shown = text(&self.report, Paint::Plain);
        let json = serde_json::to_string(&self.report)?;
        let with_own_output = |sweep: &Sweep, swept: &mut Swept| {
            sweep.bytes(Path::new("(progress of the demo)"), narrator.said().as_bytes(), swept);
            sweep.bytes(Path::new("(output of the demo)"), shown.as_bytes(), swept);
            sweep.bytes(Path::new("(JSON of the demo)"), json.as_bytes(), swept);
        };
        let payloads = Sweep::new(scenario.markers());
        let mut swept = payloads.folder(folder, &|_| true)?;
        with_own_output(&payloads, &mut swept);
        let payloads = SweepRow {
            what: "payloads in stores, logs, metrics and output".to_owned(),
            ok: swept.leaks.is_empty(),
            swept,
        };
        let names = Sweep::new(scenario.names().into_iter().chain(scenario.numbers()));
        let swept = names.folder(folder, &|path: &Path| {
            let in_log = path.components().any(|part| part.as_os_str() == "log");
            in_log || path.starts_with(&captured)
        })?;
        let names = SweepRow {
            what: "names and numbers of people in logs, metrics and output of the programs"
                .to_owned(),
            ok: swept.leaks.is_empty(),
            swept,
        };
        Ok(vec![payloads, names])
    }

    /// How to reach what runs, as commands that work when they are pasted.
    ///
    /// # Errors
    /// When a profile can not be written.
    pub async fn how_to_reach(&self) -> anyhow::Result<String> {
        let clock = self.stage.hand.clock();
        let people = People::new(&self.stage.partnership, self.addresses.clone(), clock);
        let profiles = people.write_profiles()?;
        let program = |name: &str| self.stage.programs.path(name).display().to_string();
        let (hub, node) = (program("hub"), program("agency-node"));
        let profile = |name: &str| profiles.join(format!("{name}.toml")).display().to_string();
        let coordinator = profile(crate::partnership::COORDINATOR);
        let enquiry = &self.report.enquiry;
        let mut said = format!(
            "It is up. The data is in {}\n\nAs the hub's co-ordinator:\n  \
             {hub} enquiry show {enquiry} --profile {coordinator}\n  \
             {hub} enquiry list --profile {coordinator}\n\n\
             As an assessor or approver of an agency:\n",
            self.stage.partnership.folder().display()
        );
        for (name, command) in
            [("csc.assessor", "inbox"), ("das.assessor", "worklist"), ("edu.approver1", "worklist")]
        {
            said.push_str(&format!("  {node} {command} --profile {}\n", profile(name)));
        }
        said.push_str(&format!(
            "  and so on: {}/<agency>.assessor.toml, .approver1.toml, .approver2.toml\n\nLogs:\n",
            profiles.display()
        ));
        let log = self.stage.partnership.hub_folder().join("data/log").join(LOG_SHARD);
        said.push_str(&format!("  {hub} log show {}\n", log.display()));
        for (name, listen, admin) in self.fleet.running() {
            said.push_str(&format!(
                "  {name:<4} https://{listen}  metrics http://{admin}/metrics\n"
            ));
        }
        said.push_str("\nIn a browser, which has to be told to trust an authority that was made just now: set up an account with an\ninvitation. The programs' clock is ahead, so codes of an app would be wrong; for the key that the page shows:\n");
        let demo = program("demo");
        let folder = self.stage.partnership.folder().display();
        said.push_str(&format!("  {demo} --data {folder} --code KEY\n"));
        for (server, program, person) in [
            (HUB, "hub", COORDINATOR),
            (HUB, "hub", AUDITOR),
            ("CSC", "agency-node", "csc.assessor"),
        ] {
            let invitation = self.invite(server, program, person).await?;
            let console = self.fleet.console(server)?;
            said.push_str(&format!(
                "  {server:<4} https://{console}/sign-in/set-up  {person}  {invitation}\n"
            ));
        }
        said.push_str("\nPress Ctrl-C to stop everything.");
        Ok(said)
    }

    /// Invites somebody to a console: the code with which they set up their account.
    async fn invite(&self, server: &str, program: &str, person: &str) -> anyhow::Result<String> {
        let partnership = &self.stage.partnership;
        let config = match program {
            "hub" => partnership.hub_folder().join("hub.toml"),
            _ => partnership.node_folder(&server.parse()?).join("agency-node.toml"),
        };
        let config = config.display().to_string();
        let args = ["account", "invite", person, "--config", &config];
        let ended = self.stage.staged.run(&format!("{person}.invite"), program, &args).await?;
        ended.done(&format!("inviting {person}"))?;
        let code = ended.stdout.lines().next().context("an invitation has a code")?;
        Ok(code.to_owned())
    }
}

/// How a demo ends, as an exit code: 0 as expected, 1 not, 130 interrupted.
#[must_use]
pub fn exit_code(ended: &anyhow::Result<bool>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(_) => ExitCode::FAILURE,
    }
}
