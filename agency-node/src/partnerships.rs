//! Several partnerships from one process: a police force, or a hospital trust, is a party of more than one.
//!
//! Each partnership has a node of its own: configuration, keys, agreement, certificates, log, store of enquiries, tokens, budgets,
//! staff, addresses. The nodes share the process, and the agency's own records if their configurations name the same store of them
//! (`[records]`). They share nothing else, and this module refuses configurations that would.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{audit::entry::Digest, lifecycle::Served, program::Surroundings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{Config, Node, store::SharedRecords};

/// The most partnerships of one process: each has threads, files and listeners of its own.
pub const MAX_PARTNERSHIPS: usize = 64;

/// Something that two partnerships must not have in common.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` and `{}` have the same {what}: {remedy}", one.display(), other.display())]
pub struct InCommon {
    what: What,
    one: PathBuf,
    other: PathBuf,
    remedy: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Data,
    ViewKeys,
    EnquiryKeys,
    Listen,
    AdminListen,
    ConsoleListen,
    Key(&'static str),
}

impl What {
    const fn remedy(self) -> &'static str {
        match self {
            Self::Data | Self::ViewKeys | Self::EnquiryKeys => {
                "give each partnership a folder of its own, none within another"
            }
            Self::Listen | Self::AdminListen | Self::ConsoleListen => {
                "give each partnership a port of its own"
            }
            Self::Key(_) => {
                "make keys for each partnership with `agency-node init`; what one key signs or opens in two partnerships joins them"
            }
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data => f.write_str("`data`"),
            Self::ViewKeys => f.write_str("`view_keys`"),
            Self::EnquiryKeys => f.write_str("`enquiry_keys`"),
            Self::Listen => f.write_str("`listen`"),
            Self::AdminListen => f.write_str("`admin_listen`"),
            Self::ConsoleListen => f.write_str("`console.listen`"),
            Self::Key(name) => write!(f, "key `{name}`"),
        }
    }
}

/// Reads the configuration of each partnership.
///
/// # Errors
/// When one can not be read, there are more than [`MAX_PARTNERSHIPS`], or two have something in common ([`InCommon`]).
pub fn load(paths: &[PathBuf]) -> anyhow::Result<Vec<Config>> {
    anyhow::ensure!(
        paths.len() <= MAX_PARTNERSHIPS,
        "{} configurations are given; one process serves at most {MAX_PARTNERSHIPS} partnerships",
        paths.len()
    );
    let configs = paths.iter().map(|path| Ok(Config::load(path)?));
    let configs = configs.collect::<anyhow::Result<Vec<_>>>()?;
    let named: Vec<_> = paths.iter().map(PathBuf::as_path).zip(&configs).collect();
    nothing_in_common(&named)?;
    Ok(configs)
}

/// Whether partnerships have nothing in common but, maybe, the agency's own records. Reads the key files; one that can not be read is
/// passed over, as whoever opens it says so.
///
/// # Errors
/// With the first thing that two of them share.
pub fn nothing_in_common(named: &[(&Path, &Config)]) -> Result<(), InCommon> {
    let mut folders: Vec<(PathBuf, What, &Path)> = Vec::new();
    let mut rest: BTreeMap<(What, String), &Path> = BTreeMap::new();
    for (path, config) in named {
        let own = [
            (config.data.as_path().to_owned(), What::Data),
            (config.view_key_folder(), What::ViewKeys),
            (config.enquiry_key_folder(), What::EnquiryKeys),
        ];
        for (folder, what) in own {
            let folder = folder.canonicalize().unwrap_or(folder);
            let met = folders.iter().find(|(known, _, of)| {
                of != path && (known.starts_with(&folder) || folder.starts_with(known))
            });
            if let Some((_, _, one)) = met {
                return Err(in_common(what, one, path));
            }
            folders.push((folder, what, path));
        }
        let console = config.console.as_ref().map(|console| console.listen);
        let addresses = [
            (What::Listen, Some(config.listen)),
            (What::AdminListen, Some(config.admin_listen)),
            (What::ConsoleListen, console),
        ];
        let addresses = addresses.into_iter().filter_map(|(what, address)| {
            // Port 0 is a free one, each time another.
            let address = address.filter(|address| address.port() != 0)?;
            Some((what, address.to_string()))
        });
        let keys = &config.keys;
        let keys = [
            ("statements", keys.statements.as_path()),
            ("sealing", keys.sealing.as_path()),
            ("store", keys.store.as_path()),
            ("log", keys.log.as_path()),
            ("witness", keys.witness.as_path()),
        ];
        let keys = keys.into_iter().filter_map(|(name, file)| {
            let bytes = Zeroizing::new(std::fs::read(file).ok()?);
            Some((What::Key(name), Digest::of(&bytes).to_string()))
        });
        for (what, value) in addresses.chain(keys) {
            if let Some(one) = rest.insert((what, value), path) {
                return Err(in_common(what, one, path));
            }
        }
    }
    Ok(())
}

fn in_common(what: What, one: &Path, other: &Path) -> InCommon {
    InCommon { what, one: one.to_owned(), other: other.to_owned(), remedy: what.remedy() }
}

/// The agency's nodes, ready to run.
#[derive(Debug)]
pub struct Partnerships(Vec<Node>);

impl Partnerships {
    /// Opens everything that the configurations name, and listens. Nothing is served yet.
    ///
    /// # Errors
    /// When something is missing or wrong, or two are of one partnership; the error says what and where.
    pub async fn build(configs: Vec<Config>, surroundings: &Surroundings) -> anyhow::Result<Self> {
        let records = SharedRecords::default();
        let mut nodes: Vec<Node> = Vec::with_capacity(configs.len());
        for config in configs {
            let of = config.data.as_path().display().to_string();
            let node = Node::build_beside(config, surroundings.clone(), &records).await;
            let node = node.with_context(|| format!("the partnership with `data` in `{of}`"))?;
            let domain = node.shared().trust_domain.clone();
            anyhow::ensure!(
                nodes.iter().all(|other| other.shared().trust_domain != domain),
                "two configurations are of one partnership, `{domain}`; an agency has one node in it"
            );
            nodes.push(node);
        }
        Ok(Self(nodes))
    }

    /// The files that the configurations were read from, in their order: backups have them.
    #[must_use]
    pub fn configured_by(self, files: &[PathBuf]) -> Self {
        let nodes = self.0.into_iter().zip(files);
        Self(nodes.map(|(node, file)| node.configured_by(file)).collect())
    }

    /// Serves all of them until `shutdown`. `started` is told where, in the order of the configurations, once each serves. When one ends
    /// by itself the others are stopped: whoever supervises the process starts it again whole.
    ///
    /// # Errors
    /// The first that a node ends with.
    pub async fn run(
        self,
        shutdown: CancellationToken,
        started: impl FnOnce(Vec<Served>) + Send,
    ) -> anyhow::Result<()> {
        let n_nodes = self.0.len();
        let (tell, mut told) = tokio::sync::mpsc::channel(n_nodes.max(1));
        let mut running = JoinSet::new();
        for (n, node) in self.0.into_iter().enumerate() {
            let (shutdown, tell) = (shutdown.clone(), tell.clone());
            running.spawn(async move {
                let ended = node
                    .run(shutdown.clone(), move |served| {
                        // There is a place for each.
                        let _ = tell.try_send((n, served));
                    })
                    .await;
                shutdown.cancel();
                ended
            });
        }
        drop(tell);
        let mut served = Vec::with_capacity(n_nodes);
        while let Some(one) = told.recv().await {
            served.push(one);
        }
        if served.len() == n_nodes {
            served.sort_unstable_by_key(|(n, _)| *n);
            started(served.into_iter().map(|(_, served)| served).collect());
        }
        let mut outcome = Ok(());
        while let Some(ended) = running.join_next().await {
            let ended = ended.context("a node ended in a way that it should not").flatten();
            outcome = outcome.and(ended);
        }
        outcome
    }
}
