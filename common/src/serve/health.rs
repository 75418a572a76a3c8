//! gRPC health and reflection, to add to a program's routes.

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use super::MAX_MESSAGE_BYTES;
use crate::admin::Readiness;

/// Keeps the health of services up to date. Dropping it leaves them as they are.
#[derive(Debug)]
pub struct HealthTask {
    _task: AbortOnDropHandle<()>,
}

/// The health service (`grpc.health.v1`), for the named services and for the program as a whole
/// (the empty name): `SERVING` while `readiness` is ready, otherwise `NOT_SERVING`, also once nobody
/// can say any more.
pub async fn health(
    services: &'static [&'static str],
    mut readiness: watch::Receiver<Readiness>,
) -> (HealthServer<HealthService>, HealthTask) {
    let reporter = HealthReporter::new();
    let initial = status(&readiness.borrow_and_update());
    report(&reporter, services, initial).await;
    let server = HealthServer::new(HealthService::from_health_reporter(reporter.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let task = tokio::spawn(async move {
        while readiness.changed().await.is_ok() {
            let now = status(&readiness.borrow_and_update());
            report(&reporter, services, now).await;
        }
        report(&reporter, services, ServingStatus::NotServing).await;
    });
    (server, HealthTask { _task: AbortOnDropHandle::new(task) })
}

const fn status(readiness: &Readiness) -> ServingStatus {
    if readiness.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing }
}

async fn report(reporter: &HealthReporter, services: &[&str], status: ServingStatus) {
    for service in services.iter().copied().chain([""]) {
        reporter.set_service_status(service, status).await;
    }
}

/// The reflection service (`grpc.reflection.v1`), for an encoded `FileDescriptorSet`.
///
/// # Errors
/// When the set can not be decoded; that is a defect of the build.
pub fn reflection(
    file_descriptor_set: &[u8],
) -> Result<ServerReflectionServer<impl ServerReflection>, tonic_reflection::server::Error> {
    let server = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(file_descriptor_set)
        .build_v1()?;
    Ok(server
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}
