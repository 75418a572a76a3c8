//! The program while it runs, and its store while it does not.

use std::{
    fs::{File, TryLockError},
    net::SocketAddr,
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Enrolment, Examined, Findings, Life, Machine, State, Subject, machine::spoken};
use crate::time::{SignedDuration, Timestamp};

/// For one question at the admin port, which is on this machine.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Entries that a busy program may be ahead of its witnesses.
const UNSEEN_IS_USUAL: u64 = 1_000;
/// The hub turns epochs monthly unless it is told otherwise; a node that is behind this has missed one.
const EPOCH_AT_MOST: SignedDuration = SignedDuration::from_hours(45 * 24);

/// Status and text of what the program answers at `path`.
async fn ask(admin: SocketAddr, path: &'static str) -> Option<(u16, String)> {
    let asking = async {
        let tcp = TcpStream::connect(admin).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.ok()?;
        let driving = tokio::spawn(connection);
        let request = http::Request::get(path).header("host", "localhost");
        let answer =
            sender.send_request(request.body(Empty::<bytes::Bytes>::new()).ok()?).await.ok()?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_MAX_BYTES).collect().await.ok()?;
        driving.abort();
        Some((status, String::from_utf8(body.to_bytes().to_vec()).ok()?))
    };
    tokio::time::timeout(ASK_WITHIN, asking).await.ok().flatten()
}

/// Asks the admin port; without an answer, looks whether somebody holds the store.
pub(super) async fn look(examined: &Examined, findings: &mut Findings) -> (Life, Option<State>) {
    let admin = examined.admin;
    let ready = if admin.port() == 0 { None } else { ask(admin, "/ready").await };
    let Some((status, text)) = ready else {
        let life = if is_held(examined) { Life::Silent } else { Life::Stopped };
        match life {
            Life::Stopped => findings.note(
                Subject::Program,
                "it does not run",
                format!("start it when it should: {} serve", examined.program),
            ),
            Life::Silent if admin.port() == 0 => findings.note(
                Subject::Program,
                "something holds the store, and the admin port is chosen anew with each start, so it can not be asked",
                "write a port into admin_listen",
            ),
            Life::Silent | Life::Runs => findings.action(
                Subject::Program,
                format!("something holds the store, and nobody answers on {admin}"),
                "if an import or enrolment runs, wait for it; otherwise the program hangs or has another admin_listen: see its \
                 messages and restart it",
            ),
        }
        return (life, None);
    };
    if status == 200 {
        findings.ok(Subject::Program, "it runs and is ready");
    } else {
        let why: Vec<&str> = text.lines().skip(1).collect();
        let why = if why.is_empty() { "it does not say why".to_owned() } else { why.join("; ") };
        findings.action(
            Subject::Program,
            format!("it runs and is not ready: {why}"),
            "mend what it names; it becomes ready by itself",
        );
    }
    let state = ask(admin, "/state").await.filter(|(status, _)| *status == 200);
    let state: Option<State> = state.and_then(|(_, text)| serde_json::from_str(&text).ok());
    if let Some(state) = &state {
        if state.version != env!("CARGO_PKG_VERSION") {
            findings.note(
                Subject::Program,
                format!(
                    "version {} runs, this command is version {}",
                    state.version,
                    env!("CARGO_PKG_VERSION")
                ),
                "restart it to run what is installed",
            );
        }
        witness(state, findings);
    }
    (Life::Runs, state)
}

fn witness(state: &State, findings: &mut Findings) {
    let unseen = state.log_entries.saturating_sub(state.log_cosigned);
    let what = format!(
        "{} of the log's {} entries have been cosigned",
        state.log_cosigned, state.log_entries
    );
    let remedy = "see that those who witness can be reached (subject peer); detail leaves only under a checkpoint that they have signed";
    if unseen > UNSEEN_IS_USUAL {
        findings.action(Subject::Witness, what, remedy);
    } else if state.log_cosigned == 0 && state.log_entries > 0 {
        findings.note(Subject::Witness, what, remedy);
    } else {
        findings.ok(Subject::Witness, what);
    }
}

/// Whether somebody holds the store. Reads nothing of it; the lock is let go at once.
fn is_held(examined: &Examined) -> bool {
    let lock = File::open(examined.data.join("store").join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The store: what a running program says, or what opens while none runs.
pub(super) fn store(
    examined: &Examined,
    life: Life,
    state: Option<&State>,
    open: impl FnOnce() -> anyhow::Result<Option<Enrolment>>,
    findings: &mut Findings,
) -> Option<Enrolment> {
    match (life, state) {
        (Life::Runs, Some(state)) => {
            if state.store_available {
                findings.ok(Subject::Store, "the running program can write it");
            } else {
                findings.action(
                    Subject::Store,
                    "the running program can not write it",
                    "see its messages and the disk, then restart it: what was acknowledged is on the disk",
                );
            }
            if state.waiting > 0 {
                findings.note(
                    Subject::Peer,
                    format!("{} deliveries wait for the hub", state.waiting),
                    "they leave by themselves once the hub can be reached",
                );
            }
            state.enrolment
        }
        (Life::Runs, None) => {
            findings.note(
                Subject::Store,
                "the running program does not say how it is",
                "it may be an older version: restart it",
            );
            None
        }
        (Life::Silent, _) => {
            findings.note(
                Subject::Store,
                "not looked at: something holds it",
                "see the subject program",
            );
            None
        }
        (Life::Stopped, _) if !examined.data.join("store").is_dir() => {
            findings.ok(Subject::Store, "there is none yet");
            None
        }
        (Life::Stopped, _) => match open() {
            Ok(enrolment) => {
                findings.ok(Subject::Store, "it opens with the keys that are configured");
                enrolment
            }
            Err(error) => {
                findings.action(
                    Subject::Store,
                    format!("it does not open: {error:#}"),
                    "put back the key that it was made with, or the folder of keys of enquiries; if it is damaged, keep a copy and \
                     restore the newest backup",
                );
                None
            }
        },
    }
}

/// Whether everybody on the agency's records can be found.
pub(super) fn enrolment(
    examined: &Examined,
    machine: Machine,
    enrolment: Option<Enrolment>,
    now: Timestamp,
    findings: &mut Findings,
) {
    let Some(Enrolment { people, enrolled, epoch, told }) = enrolment else { return };
    let remedy = format!(
        "stop the program and run {} enrol; somebody who is not enrolled is not found",
        examined.program
    );
    let missing = people.saturating_sub(enrolled);
    if missing > 0 {
        findings.action(
            Subject::Enrolment,
            format!("{missing} of {people} people are not enrolled"),
            remedy,
        );
        return;
    }
    let newest = super::files::below(&examined.data.join("tokens"), 1_000);
    let newest = newest.iter().filter_map(|path| (machine.written)(path).ok()).max();
    let age = newest.map(|at| now.duration_since(at)).filter(|age| *age > EPOCH_AT_MOST);
    let shown = epoch.map_or_else(|| "none".to_owned(), |epoch| epoch.to_string());
    if epoch.is_some_and(|epoch| told > epoch) {
        findings.note(
            Subject::Enrolment,
            format!("the index is of epoch {shown}, the hub has epoch {told}"),
            "a running node enrols by itself; if this stays for a day, see its messages",
        );
    } else if let Some(age) = age.filter(|_| people > 0) {
        findings.note(
            Subject::Enrolment,
            format!("the index (epoch {shown}) is {} old", spoken(age)),
            "a running node enrols anew with each epoch of the hub, monthly as a rule: see that it runs and reaches the hub",
        );
    } else {
        findings.ok(Subject::Enrolment, format!("all {people} people are enrolled, epoch {shown}"));
    }
}
