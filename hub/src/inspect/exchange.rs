//! One exchange from both sides, and the receipts for its entries.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    audit::{
        Origin, VerifyError,
        backwards::backwards,
        checkpoints,
        entry::{Entry, Party},
        storage::ORIGIN_FILE,
        verify::read_verified,
    },
    id::{AgencyId, RequestId},
    keys::VerifyingKey,
    tlog::{CheckpointNote, Proof},
};
use memchr::memmem::Finder;
use tonic::{Request, Status};

use super::{Inspection, refused};
use crate::guard::Refusal;

/// The most entries of one side that are shown. An exchange has a handful.
const MAX_ENTRIES: usize = 500;

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The hub's entries, oldest first.
    pub hub: Vec<Entry>,
    /// The sides of nodes, of those whose log's copy is configured here.
    pub nodes: Vec<NodeSide>,
    /// The other sides that the hub's entries name and of whose log there is no copy here.
    pub not_here: Vec<Party>,
    /// Checkpoints that cover all of the hub's entries: the first and, where it is another, the largest.
    pub covered_by: Vec<Covering>,
    /// There were more entries than are shown.
    pub cut: bool,
}

/// A node's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSide {
    /// Whose.
    pub agency: AgencyId,
    /// Its entries, oldest first; why the copy can not be read.
    pub entries: Result<Vec<Entry>, &'static str>,
}

/// A checkpoint of the hub's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covering {
    /// How many entries it is over.
    pub size: u64,
    /// Whose lines are on it beside the log's own; each was verified when the hub took it.
    pub cosigned_by: Vec<String>,
}

/// A receipt: a proof that anybody can check, or the entry that it proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its number.
    pub seq: u64,
    /// The proof (C2SP tlog-proof).
    pub proof: String,
    /// The entry's exact bytes.
    pub entry: Vec<u8>,
}

/// Every entry of an exchange, oldest first, and whether there were more. Blocks: it reads the whole log.
fn entries_of(dir: &Path, exchange: &RequestId) -> Result<(Vec<Entry>, bool), VerifyError> {
    let finder = Finder::new(exchange.as_str().as_bytes());
    let (mut entries, mut cut) = (Vec::new(), false);
    backwards(dir, None, &|json| finder.find(json).is_some(), &mut |_, entry| {
        entries.extend(entry.filter(|entry| entry.exchange.as_ref() == Some(exchange)));
        cut = entries.len() >= MAX_ENTRIES;
        if cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    entries.reverse();
    Ok((entries, cut))
}

/// A node's side from the copy of its log.
fn node_side(dir: &Path, agency: &AgencyId, exchange: &RequestId) -> NodeSide {
    let origin = std::fs::read_to_string(dir.join(ORIGIN_FILE)).ok();
    let origin = origin.and_then(|text| text.trim().parse::<Origin>().ok());
    let entries = match origin {
        None => Err("there is no log in the folder that is configured for it"),
        Some(origin) if *origin.party() != Party::Agency(agency.clone()) => {
            Err("the log in the folder that is configured for it is of another party")
        }
        Some(_) => match entries_of(dir, exchange) {
            Ok((entries, _)) => Ok(entries),
            Err(_) => Err("the copy of its log can not be read"),
        },
    };
    NodeSide { agency: agency.clone(), entries }
}

/// The first and the largest checkpoint over more than `seq` entries.
fn covering(notes: &[CheckpointNote], seq: u64) -> Vec<Covering> {
    let size = |note: &&CheckpointNote| note.checkpoint().head.size;
    let over: Vec<_> = notes.iter().filter(|note| size(note) > seq).collect();
    let first = over.iter().copied().min_by_key(size);
    let largest = over.iter().copied().max_by_key(size);
    let largest = largest.filter(|largest| first.is_none_or(|first| size(&first) != size(largest)));
    let shown = |note: &CheckpointNote| {
        let origin = &*note.checkpoint().origin;
        let others = note.signers().filter(|name| *name != origin);
        Covering {
            size: note.checkpoint().head.size,
            cosigned_by: others.map(str::to_owned).collect(),
        }
    };
    first.into_iter().chain(largest).map(shown).collect()
}

/// The receipt for an entry: everything up to it is verified on the way. Blocks.
fn receipt(dir: &Path, key: &VerifyingKey, origin: &Origin, seq: u64) -> anyhow::Result<Receipt> {
    let mut entry = None;
    let (_, tree) = read_verified(dir, key, origin, &mut |number, json| {
        if number == seq {
            entry = Some(json.to_vec());
        }
        Ok(())
    })?;
    let entry = entry.context("there is no entry of this number")?;
    let kept = checkpoints::read(dir)??;
    let covering = kept.into_iter().map(|(_, note)| note);
    let covering = covering.filter(|note| note.checkpoint().head.size > seq);
    let checkpoint = covering
        .max_by_key(|note| note.checkpoint().head.size)
        .context("no checkpoint covers the entry yet; one is made about every minute")?;
    let size = checkpoint.checkpoint().head.size;
    anyhow::ensure!(
        tree.head().size >= size && tree.head_at(size)? == checkpoint.checkpoint().head,
        "the checkpoint is not of these entries: check the log"
    );
    let proof = Proof { index: seq, hashes: tree.prove_inclusion(seq, size)?, checkpoint };
    Ok(Receipt { seq, proof: proof.to_text()?, entry })
}

impl Inspection {
    /// Everything that is here of an exchange.
    ///
    /// # Errors
    /// When the caller is no auditor, there is no such exchange in the hub's log, or it can not be recorded or read.
    pub async fn exchange(&self, request: Request<RequestId>) -> Result<Exchange, Status> {
        let (who, exchange) = self.auditor(request)?;
        self.both_sides(&who, exchange).await.map_err(refused)
    }

    async fn both_sides(
        &self,
        who: &crate::guard::SignedIn,
        exchange: RequestId,
    ) -> Result<Exchange, Refusal> {
        let _one_at_a_time = self.shared.auditing.lock().await;
        let copies = self.shared.config.governance.node_logs.clone();
        let read = self.read(move |dir| {
            let (hub, cut) = entries_of(&dir, &exchange)?;
            let notes = match checkpoints::read(&dir) {
                Ok(Ok(notes)) => notes.into_iter().map(|(_, note)| note).collect(),
                // What is wrong with them is for a check to say.
                Ok(Err(_)) | Err(_) => Vec::new(),
            };
            let mut peers: Vec<Party> = hub.iter().filter_map(|entry| entry.peer.clone()).collect();
            peers.sort_unstable();
            peers.dedup();
            let nodes = copies.iter().filter(|(agency, _)| {
                peers.is_empty() || peers.contains(&Party::Agency((*agency).clone()))
            });
            let nodes: Vec<_> =
                nodes.map(|(agency, dir)| node_side(dir.as_path(), agency, &exchange)).collect();
            let here = |party: &Party| {
                let is = |side: &NodeSide| Party::Agency(side.agency.clone()) == *party;
                *party == Party::Hub || nodes.iter().any(is)
            };
            peers.retain(|party| !here(party));
            let last = hub.last().map(|entry| entry.seq);
            let covered_by = last.map_or_else(Vec::new, |last| covering(&notes, last));
            Ok(Exchange { hub, nodes, not_here: peers, covered_by, cut })
        });
        let found = read.await?;
        // Before anything of it is shown. The look says by a number which exchange it was: an entry that named it would be one of its
        // entries, and the other side would lack it.
        let looked = self.looked(who, "exchange", |draft| {
            let first = found.hub.first();
            draft.count = first.map(|entry| entry.seq);
            draft.enquiry = first.and_then(|entry| entry.enquiry.clone());
        });
        looked.await?;
        let nothing = |side: &NodeSide| side.entries.as_ref().is_ok_and(Vec::is_empty);
        if found.hub.is_empty() && found.nodes.iter().all(nothing) {
            return Err(Refusal::NotFound("exchange"));
        }
        Ok(found)
    }

    /// Whether some checkpoint covers an entry, so that there can be a receipt for it. What is wrong with them is for a check to say.
    pub(crate) async fn is_covered(&self, seq: u64) -> bool {
        let covers = move |dir: PathBuf| {
            let notes = checkpoints::read(&dir).ok()?.ok()?;
            Some(notes.into_iter().any(|(_, note)| note.checkpoint().head.size > seq))
        };
        let dir = self.log_dir();
        let covers = tokio::task::spawn_blocking(move || covers(dir)).await;
        covers.ok().flatten().unwrap_or_default()
    }

    /// The receipt for an entry.
    ///
    /// # Errors
    /// When the caller is no auditor, there is no such entry, no checkpoint covers it, the log is not in order, or it can not be
    /// recorded or read.
    pub async fn receipt(&self, request: Request<u64>) -> Result<Receipt, Status> {
        let (who, seq) = self.auditor(request)?;
        let _one_at_a_time = self.shared.auditing.lock().await;
        let looked = self.looked(&who, "receipt", |draft| draft.count = Some(seq)).await;
        looked.map_err(refused)?;
        let audit = self.shared.log.audit();
        let (key, origin) = (*audit.verifying_key(), audit.origin().clone());
        let dir = self.log_dir();
        let made = tokio::task::spawn_blocking(move || receipt(&dir, &key, &origin, seq)).await;
        let made = made.map_err(|_| refused(Refusal::Internal))?;
        made.map_err(|error| refused(Refusal::rule("no_receipt", format!("{error:#}"))))
    }
}
