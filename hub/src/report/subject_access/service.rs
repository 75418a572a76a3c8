//! The calls of information governance: authenticate, read, call the step, encode. No decisions here.

use std::sync::Arc;

use brag_common::{
    audit::entry::Digest,
    status::to_status,
    tls::peer_of,
    wire::{
        MAX_MESSAGE_BYTES, WireError, bounded, id,
        pb::{
            self, DocumentForm,
            subject_access_service_server::{SubjectAccessService, SubjectAccessServiceServer},
        },
    },
};
use tonic::{Request, Response, Status};

use super::requests::{self, Shown};
use crate::{
    config::Role,
    guard::{Refusal, SignedIn},
    hub::Shared,
    report::{document::Document, html::html, json::json, text::text},
    service::MAX_VIEW_BYTES,
};

/// The service, by its full name, for gRPC health.
pub const NAME: &str = "brag.v1.SubjectAccessService";

/// The most agencies whose analyses are named in a request.
const MAX_AGENCIES: usize = 32;

/// The longest document, in bytes: about 400 enquiries in which every agency has rated the person.
const MAX_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// The service.
#[must_use]
pub fn subject_access(shared: Arc<Shared>) -> SubjectAccessServiceServer<ForSubjectAccess> {
    SubjectAccessServiceServer::new(ForSubjectAccess(shared))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_VIEW_BYTES)
}

/// The handlers, for calls from within the program: the console makes them for whoever has signed in.
#[must_use]
pub const fn subject_access_calls(shared: Arc<Shared>) -> ForSubjectAccess {
    ForSubjectAccess(shared)
}

/// Handlers of [`SubjectAccessService`].
#[derive(Debug)]
pub struct ForSubjectAccess(Arc<Shared>);

fn refused(refusal: impl Into<Refusal>) -> Status {
    to_status(&refusal.into())
}

impl ForSubjectAccess {
    fn signed_in<T>(&self, request: Request<T>) -> Result<(SignedIn, T), Status> {
        let who = self.0.staff(peer_of(&request)?, Role::Auditor).map_err(refused)?;
        Ok((who, request.into_inner()))
    }

    /// Begins an answer: the call, with the document as data.
    ///
    /// # Errors
    /// As the call.
    pub async fn asked(
        &self,
        request: Request<pb::AskSubjectAccessRequest>,
    ) -> Result<Shown, Status> {
        let (who, message) = self.signed_in(request)?;
        let named = &message.analyses_of;
        bounded("analyses_of", named, 0..=MAX_AGENCIES, "at most 32 agencies").map_err(refused)?;
        let named = named.iter().map(|agency| id("analyses_of", agency));
        let named: Result<_, WireError> = named.collect();
        let named = named.map_err(refused)?;
        requests::ask(&self.0, &who, &message.identity, named).await.map_err(refused)
    }

    /// Shows a draft: the call, with the document as data.
    ///
    /// # Errors
    /// As the call.
    pub async fn shown(
        &self,
        request: Request<pb::ShowSubjectAccessRequest>,
    ) -> Result<Shown, Status> {
        let (who, message) = self.signed_in(request)?;
        let shown = requests::show(&self.0, &who, message.request, &message.identity).await;
        shown.map_err(refused)
    }
}

/// A document in the form asked for.
fn rendered(document: &Document, form: DocumentForm) -> Result<Vec<u8>, Refusal> {
    let bytes = match form {
        DocumentForm::Unspecified | DocumentForm::Text => text(document).into_bytes(),
        DocumentForm::Html => html(document).into_bytes(),
        DocumentForm::Json => format!("{:#}\n", json(document)).into_bytes(),
    };
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(Refusal::rule("document_too_long", "the document is longer than 8 MiB"));
    }
    Ok(bytes)
}

/// The form is looked at before anything is done or recorded.
fn known(form: i32) -> Result<DocumentForm, Status> {
    DocumentForm::try_from(form)
        .map_err(|_| refused(WireError::invalid("form", "a form this version knows")))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn draft(shown: &Shown, form: DocumentForm) -> Result<pb::SubjectAccessDraft, Refusal> {
    Ok(pb::SubjectAccessDraft {
        digest: shown.digest.as_bytes().to_vec(),
        approvals_needed: count(shown.needed),
        approvals: count(shown.given),
        safety_profile: shown.safe,
        document: rendered(&shown.document, form)?,
    })
}

fn to_digest(bytes: &[u8]) -> Result<Digest, WireError> {
    let wrong = WireError::invalid("draft_digest", "32 bytes");
    bytes.try_into().map(Digest::from_bytes).map_err(|_| wrong)
}

#[tonic::async_trait]
impl SubjectAccessService for ForSubjectAccess {
    async fn ask_subject_access(
        &self,
        request: Request<pb::AskSubjectAccessRequest>,
    ) -> Result<Response<pb::AskSubjectAccessResponse>, Status> {
        let form = known(request.get_ref().form)?;
        let shown = self.asked(request).await?;
        let draft = draft(&shown, form).map_err(refused)?;
        Ok(Response::new(pb::AskSubjectAccessResponse {
            request: shown.request,
            draft: Some(draft),
        }))
    }

    async fn show_subject_access(
        &self,
        request: Request<pb::ShowSubjectAccessRequest>,
    ) -> Result<Response<pb::ShowSubjectAccessResponse>, Status> {
        let form = known(request.get_ref().form)?;
        let draft = draft(&self.shown(request).await?, form).map_err(refused)?;
        Ok(Response::new(pb::ShowSubjectAccessResponse { draft: Some(draft) }))
    }

    async fn approve_subject_access(
        &self,
        request: Request<pb::ApproveSubjectAccessRequest>,
    ) -> Result<Response<pb::ApproveSubjectAccessResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let read = to_digest(&message.draft_digest).map_err(refused)?;
        let approved =
            requests::approve(&self.0, &who, message.request, &message.identity, read).await;
        let (needed, given) = approved.map_err(refused)?;
        Ok(Response::new(pb::ApproveSubjectAccessResponse {
            approvals_needed: count(needed),
            approvals: count(given),
        }))
    }

    async fn issue_subject_access(
        &self,
        request: Request<pb::IssueSubjectAccessRequest>,
    ) -> Result<Response<pb::IssueSubjectAccessResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let form = known(message.form)?;
        let issued = requests::issue(&self.0, &who, message.request, &message.identity).await;
        let document = rendered(&issued.map_err(refused)?, form).map_err(refused)?;
        Ok(Response::new(pb::IssueSubjectAccessResponse { document }))
    }

    async fn list_subject_access(
        &self,
        request: Request<pb::ListSubjectAccessRequest>,
    ) -> Result<Response<pb::ListSubjectAccessResponse>, Status> {
        let (who, _) = self.signed_in(request)?;
        let listed = requests::list(&self.0, &who).await.map_err(refused)?;
        let views = listed.into_iter().map(|(request, record)| pb::SubjectAccessView {
            request,
            asked_by: record.asked_by.to_string(),
            asked_at_unix_ms: record.asked_at.as_millisecond(),
            approved_by: record.approvals.iter().map(|one| one.by.to_string()).collect(),
            issued_at_unix_ms: record.issued_at.map_or(0, |at| at.as_millisecond()),
        });
        Ok(Response::new(pb::ListSubjectAccessResponse { requests: views.collect() }))
    }
}
