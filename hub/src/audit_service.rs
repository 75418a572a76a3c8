//! What an auditor does at the running hub: reads its log and alerts, and says how an alert was handled. Entries hold references and codes;
//! nothing here reads an enquiry, a rating or an analysis. Each look is recorded before anything is shown.

use std::sync::Arc;

use brag_common::{
    alert::docket::{self, Listed},
    audit::{VerifyError, entry::Action},
    status::to_status,
    tls::peer_of,
    wire::{
        MAX_MESSAGE_BYTES, audit as wire,
        pb::{
            self,
            audit_service_server::{AuditService, AuditServiceServer},
        },
    },
};
use tonic::{Request, Response, Status};

use crate::{
    config::Role,
    guard::{Refusal, SignedIn},
    hub::Shared,
    store::{Change, shapes::HandledRecord},
};

/// The service for auditors.
#[must_use]
pub fn auditors(shared: Arc<Shared>) -> AuditServiceServer<ForAuditors> {
    AuditServiceServer::new(ForAuditors(shared))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The handlers, for calls from within the program: the console makes them for whoever has signed in.
#[must_use]
pub const fn auditor_calls(shared: Arc<Shared>) -> ForAuditors {
    ForAuditors(shared)
}

/// Handlers of [`AuditService`].
#[derive(Debug)]
pub struct ForAuditors(Arc<Shared>);

fn refused(refusal: impl Into<Refusal>) -> Status {
    to_status(&refusal.into())
}

impl ForAuditors {
    fn signed_in<T>(&self, request: Request<T>) -> Result<(SignedIn, T), Status> {
        let who = self.0.staff(peer_of(&request)?, Role::Auditor).map_err(refused)?;
        Ok((who, request.into_inner()))
    }

    async fn looked(&self, who: &SignedIn, at: &str) -> Result<(), Refusal> {
        let mut draft = self.0.draft(Action::ReportRead);
        draft.decision = at.parse().ok();
        self.0.log.record(who.signs(draft)).await?;
        Ok(())
    }

    /// Reads the log off the runtime's threads.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&std::path::Path) -> Result<T, VerifyError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let dir = self.0.log.audit().dir().to_owned();
        let read = tokio::task::spawn_blocking(move || work(&dir)).await;
        read.map_err(|_| Refusal::Internal)?.map_err(|error| {
            tracing::error!(%error, "the log can not be read for an auditor");
            Refusal::Internal
        })
    }

    async fn alerts(
        &self,
        who: &SignedIn,
        message: pb::ListAlertsRequest,
    ) -> Result<pb::ListAlertsResponse, Refusal> {
        let limit = wire::limit(message.limit)?;
        let _one_at_a_time = self.0.auditing.lock().await;
        self.looked(who, "alerts").await?;
        let listed = self.read(docket::read).await?;
        let wanted = listed.into_values().filter(|one| {
            one.entry.seq >= message.from && !(message.open_only && one.handled.is_some())
        });
        // One more than fits, so that the answer says that there is more.
        let wanted: Vec<Listed> = wanted.take(limit.saturating_add(1)).collect();
        let noted = self.0.store.run(move |store| {
            let note = |one: Listed| {
                let kept = store.handled(one.entry.seq)?;
                Ok((one, kept.map(|kept| kept.note).unwrap_or_default()))
            };
            wanted.into_iter().map(note).collect()
        });
        Ok(wire::alerts(noted.await?, limit))
    }

    async fn handle(
        &self,
        who: &SignedIn,
        message: pb::HandleAlertRequest,
    ) -> Result<pb::HandleAlertResponse, Refusal> {
        let shared = &self.0;
        let _one_at_a_time = shared.auditing.lock().await;
        let listed = self.read(docket::read).await?;
        let alert = docket::to_handle(&listed, message.number, who.name(), &message.note)
            .map_err(|why| Refusal::rule(why.code(), why.to_string()))?;
        let mut draft = shared.draft(Action::AlertHandled);
        draft.count = Some(message.number);
        draft.enquiry.clone_from(&alert.enquiry);
        draft.decision.clone_from(&alert.decision);
        shared.log.record(who.signs(draft)).await?;
        let record = HandledRecord {
            by: who.name().clone(),
            at: shared.clock.now(),
            note: message.note.trim().to_owned(),
        };
        let mut change = Change::new();
        change.handled(message.number, &record)?;
        shared.store.run(move |store| store.commit(change)).await?;
        Ok(pb::HandleAlertResponse {})
    }

    async fn entries(
        &self,
        who: &SignedIn,
        message: pb::ListEntriesRequest,
    ) -> Result<pb::ListEntriesResponse, Refusal> {
        let (limit, action) = (wire::limit(message.limit)?, wire::action(&message.action)?);
        let _one_at_a_time = self.0.auditing.lock().await;
        self.looked(who, "entries").await?;
        let one_more = limit.saturating_add(1);
        let read = self.read(move |dir| docket::page(dir, message.from, one_more, action));
        Ok(wire::entries(read.await?, limit))
    }
}

#[tonic::async_trait]
impl AuditService for ForAuditors {
    async fn list_alerts(
        &self,
        request: Request<pb::ListAlertsRequest>,
    ) -> Result<Response<pb::ListAlertsResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        Ok(Response::new(self.alerts(&who, message).await.map_err(refused)?))
    }

    async fn handle_alert(
        &self,
        request: Request<pb::HandleAlertRequest>,
    ) -> Result<Response<pb::HandleAlertResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        Ok(Response::new(self.handle(&who, message).await.map_err(refused)?))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        Ok(Response::new(self.entries(&who, message).await.map_err(refused)?))
    }
}
