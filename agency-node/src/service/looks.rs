//! What pages show and no call of the desk gives: each checks the role, and is recorded before it answers.

use brag_common::{
    tls::peer_of,
    wire::{
        id,
        pb::{self, desk_service_server::DeskService as _},
    },
};
use tonic::{Request, Status};

use super::{ForStaff, refused};
use crate::{
    analysis::Named,
    config::Role,
    guard::SignedIn,
    look::{self, Extent},
};

/// The longest text that is checked while it is written, in bytes: an analysis is far shorter.
const MAX_CHECKED_BYTES: usize = 16 * 1024;

/// One person of an enquiry, by references.
#[derive(Debug)]
pub(crate) struct WhichPerson {
    pub(crate) enquiry: String,
    pub(crate) person: String,
    pub(crate) extent: Extent,
}

/// A text that others would read, while it is written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) enquiry: String,
    pub(crate) text: String,
}

impl ForStaff {
    /// Whoever has work at the desk, in the first of their roles.
    fn at_desk<T>(&self, request: &Request<T>) -> Result<SignedIn, Status> {
        let peer = peer_of(request)?;
        let assessor = self.0.staff(peer, Role::Assessor);
        assessor.or_else(|_| self.0.reviewer(peer)).map_err(refused)
    }

    /// The worklist, for a page. It names people, so that it was shown is recorded.
    pub(crate) async fn worklist_shown(
        &self,
        request: Request<pb::WorklistRequest>,
    ) -> Result<pb::WorklistResponse, Status> {
        let who = self.at_desk(&request)?;
        look::at_names(&self.0, &who).await.map_err(refused)?;
        Ok(self.worklist(request).await?.into_inner())
    }

    /// Everybody whom the agency was asked about. Role: assessor.
    pub(crate) async fn people(&self, request: Request<()>) -> Result<Vec<look::Listed>, Status> {
        let (who, ()) = self.signed_in(request, Role::Assessor)?;
        look::people(&self.0, &who).await.map_err(refused)
    }

    /// One person, and the agency's own record of them. Role: assessor.
    pub(crate) async fn person(
        &self,
        request: Request<WhichPerson>,
    ) -> Result<look::Person, Status> {
        let (who, which) = self.signed_in(request, Role::Assessor)?;
        let enquiry = id("enquiry", &which.enquiry).map_err(refused)?;
        let person = id("person", &which.person).map_err(refused)?;
        look::person(&self.0, &who, enquiry, person, which.extent).await.map_err(refused)
    }

    /// A release that waits, with the text that would leave. Roles: approver; deputy, once it was escalated.
    pub(crate) async fn release(&self, request: Request<String>) -> Result<look::Release, Status> {
        let who = self.0.reviewer(peer_of(&request)?).map_err(refused)?;
        let work = id("work", &request.into_inner()).map_err(refused)?;
        look::release(&self.0, &who, work).await.map_err(refused)
    }

    /// What keeps a text from being an analysis, in words; empty: nothing does. Shows nobody, and so is not recorded. Role: assessor.
    pub(crate) async fn check_draft(&self, request: Request<Draft>) -> Result<Vec<String>, Status> {
        let (who, Draft { enquiry, mut text }) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &enquiry).await?;
        let mut end = MAX_CHECKED_BYTES.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        let bounds = self.0.agreement.agreement().rating().analysis;
        let problems = self
            .0
            .store
            .run(move |store| Ok(Named::in_enquiry(store, &enquiry)?.problems(&text, bounds)))
            .await;
        problems.map_err(|error| refused(crate::guard::Refusal::from(error)))
    }
}
