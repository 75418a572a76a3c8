//! New versions of the agreement, while everybody runs.

use std::path::PathBuf;

use brag_agency_node::ground::AsAgency;
use brag_common::{program::install, version_folder::VersionFolder};
use brag_hub::hub::AsHub;
use toml_edit::DocumentMut;

use super::{Federation, eventually, id};

impl Federation {
    /// The agreement that everybody began with.
    ///
    /// # Panics
    /// When it can not be read.
    #[must_use]
    pub fn first_note(&self) -> Vec<u8> {
        std::fs::read(self.partnership.agreement_path()).unwrap()
    }

    /// The version after the first, signed by all.
    ///
    /// # Panics
    /// When it is not valid.
    pub fn amended(&self, change: impl FnOnce(&mut DocumentMut)) -> Vec<u8> {
        self.partnership.amend(&self.first_note(), change).unwrap()
    }

    /// Installs a version at a node, as its command does.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn try_install(&self, agency: &str, note: &[u8]) -> anyhow::Result<()> {
        let config = self.node_config(&id(agency));
        let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
        install(&folder, &AsAgency::of(&config), note.to_vec()).map(drop)
    }

    /// Installs a version at the hub, as its command does.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn try_install_at_hub(&self, note: &[u8]) -> anyhow::Result<()> {
        let config = brag_hub::Config::load(&self.hub.config).unwrap();
        let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
        install(&folder, &AsHub::of(&config), note.to_vec()).map(drop)
    }

    /// Installs a version at a running node, and waits until it has taken it up.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn install(&self, agency: &str, note: &[u8]) {
        self.try_install(agency, note).unwrap();
        let version = version_of(note);
        eventually("the node has taken the version up", async || {
            let shared = self.inside(agency);
            let newest = shared.agreement.versions().newest().agreement.agreement().version();
            (newest == version).then_some(())
        })
        .await;
    }

    /// Installs a version at the running hub, and waits until it has taken it up.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn install_at_hub(&self, note: &[u8]) {
        self.try_install_at_hub(note).unwrap();
        let version = version_of(note);
        eventually("the hub has taken the version up", async || {
            let shared = self.inside_hub();
            let newest = shared.agreement.versions().newest().agreement.agreement().version();
            (newest == version).then_some(())
        })
        .await;
    }

    /// Installs a version at the hub and at these nodes, all running.
    pub async fn install_everywhere(&self, agencies: &[&str], note: &[u8]) {
        self.install_at_hub(note).await;
        for agency in agencies {
            self.install(agency, note).await;
        }
    }

    /// The folder of a node's keys.
    #[must_use]
    pub fn keys_of(&self, agency: &str) -> PathBuf {
        self.partnership.node_folder(&id(agency)).join("keys")
    }
}

fn version_of(note: &[u8]) -> u32 {
    let text = brag_common::agreement::text_of(note).unwrap();
    brag_common::agreement::Agreement::parse(&text).unwrap().version()
}
