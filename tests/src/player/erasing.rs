//! Erasure of what was played, and what is left of it.

use std::{collections::BTreeMap, path::PathBuf};

use brag_common::id::EnquiryRef;
use tonic::Code;

use super::{HUB, Played, people::People};
use crate::opened;

/// Why the enquiry is erased, in the words of those who ask for it.
const WHY: &str = "kept for as long as the agreement says";

impl Played {
    /// Two people of the information governance of the hub and of every agency erase the enquiry there, while everything runs. Gives how
    /// many values became unreadable at each: none where nobody was known, for nothing is kept there.
    ///
    /// # Errors
    /// When one of them is refused, or can not be reached.
    pub async fn erase(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let clock = self.stage.hand.clock();
        let people = People::new(&self.stage.partnership, self.addresses.clone(), clock);
        let enquiry: EnquiryRef = self.report.enquiry.parse()?;
        let mut erased = BTreeMap::new();
        for party in self.parties() {
            let n_values = match people.governance(&party, 1)?.ask(&enquiry, WHY).await {
                Ok(()) => people.governance(&party, 2)?.confirm(&enquiry).await?,
                Err(status) if status.code() == Code::NotFound => 0,
                Err(status) => return Err(status.into()),
            };
            erased.insert(party, n_values);
        }
        Ok(erased)
    }

    /// What the stores of the hub and of every agency, when they are stopped, give whoever has every key that is left: by party and place.
    ///
    /// # Errors
    /// When a store can not be read.
    pub fn everything(&self) -> anyhow::Result<BTreeMap<String, BTreeMap<String, Vec<u8>>>> {
        let open = |party: String| {
            let kinds = match party.as_str() {
                HUB => brag_hub::store::KINDS,
                _ => brag_agency_node::store::KINDS,
            };
            let folder = self.folder_of(&party)?;
            Ok((party, opened::everything(&folder, &folder.join("data"), kinds)?))
        };
        self.parties().map(open).collect()
    }

    /// Where the programs keep what they know and log.
    ///
    /// # Errors
    /// None in a play that was set up.
    pub fn data_folders(&self) -> anyhow::Result<Vec<PathBuf>> {
        self.parties().map(|party| Ok(self.folder_of(&party)?.join("data"))).collect()
    }

    /// The folder in which a party keeps its configuration, keys and data.
    fn folder_of(&self, party: &str) -> anyhow::Result<PathBuf> {
        let partnership = &self.stage.partnership;
        Ok(match party {
            HUB => partnership.hub_folder(),
            agency => partnership.node_folder(&agency.parse()?),
        })
    }

    fn parties(&self) -> impl Iterator<Item = String> {
        let agencies = self.stage.partnership.agencies().iter().map(ToString::to_string);
        std::iter::once(HUB.to_owned()).chain(agencies)
    }
}
