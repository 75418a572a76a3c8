//! Witnessing between programs: the one service that hub and nodes both offer, and its client.
//!
//! Who is on the line is known from TLS. Which keys they sign their log with they state themselves, signed with the key that the
//! agreement in force names for them ([`keys`](super::keys)).

use std::{collections::BTreeMap, fmt, sync::Arc};

use brag_proto::v1::{
    self as pb,
    witness_service_client::WitnessServiceClient,
    witness_service_server::{WitnessService, WitnessServiceServer},
};
use tonic::{Request, Response, Status, transport::Endpoint};

use super::{
    NotCosigned, Witness,
    cosigned::{ANSWER_WITHIN, Answer, AskWitness, Asked, Question},
    keys::{LogKeys, NotVouched},
};
use crate::{
    audit::Party,
    config::IndependentWitness,
    keys::VerifyingKey,
    peer::{TrustDomain, VerifiedPeer},
    standing::PeerChannel,
    status::{PeerFacing, code_of, to_status},
    time::Timestamp,
    tlog::NoteKey,
    tls::{ClientTls, connect, peer_of, with_deadline},
    wire::{MAX_MESSAGE_BYTES, WireError, witness as wire},
};

/// The service, by its full name, for gRPC health.
pub const NAME: &str = "brag.v1.WitnessService";

/// Why a checkpoint is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The caller may not have its log witnessed here.
    #[error("this call is for the parties whose logs are witnessed here")]
    NotWitnessed {
        /// The program's own code for a caller whom it does not know as such.
        code: &'static str,
    },
    /// Not well-formed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The keys are not the caller's.
    #[error("the keys are not vouched for: {0}")]
    NotVouched(#[from] NotVouched),
    /// Not cosigned.
    #[error("{0}")]
    NotCosigned(NotCosigned),
    /// A request of an exchange does not show its caller's log.
    #[error("the request does not say how far the caller's log has come")]
    NotWitnessing,
    /// Something that can not fail did.
    #[error("the checkpoint could not be looked at")]
    Internal,
}

impl PeerFacing for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::NotWitnessed { code } => code,
            Self::Wire(error) => error.code(),
            Self::NotVouched(_) => "log_keys_not_vouched",
            Self::NotCosigned(NotCosigned::Checkpoint(_)) => "checkpoint_not_signed",
            Self::NotCosigned(NotCosigned::Conflict { .. }) => "checkpoint_conflict",
            Self::NotCosigned(NotCosigned::Inconsistent { .. }) => "checkpoint_inconsistent",
            Self::NotCosigned(NotCosigned::AnotherKey) => "log_key_changed",
            Self::NotCosigned(NotCosigned::NoEntry(_)) => "entry_not_in_log",
            Self::NotWitnessing => "not_witnessed",
            Self::NotCosigned(NotCosigned::TooMany) => "too_many_logs",
            Self::NotCosigned(NotCosigned::Io(_)) => "witness_unavailable",
            Self::Internal => "internal",
        }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        use tonic::Code;
        match self {
            Self::Wire(error) => error.grpc(),
            Self::NotWitnessed { .. } | Self::NotVouched(_) => Code::PermissionDenied,
            Self::NotCosigned(NotCosigned::Io(_)) => Code::Unavailable,
            // Of an exchange, it may be tried again once the log is in order: nothing was looked at.
            Self::NotCosigned(_) | Self::NotWitnessing => Code::Aborted,
            Self::Internal => Code::Internal,
        }
    }
}

/// What a program's witness stands on.
pub trait WitnessHost: fmt::Debug + Send + Sync + 'static {
    /// The witness.
    fn witness(&self) -> &Arc<Witness>;
    /// The time.
    fn now(&self) -> Timestamp;
    /// Whose names count.
    fn trust_domain(&self) -> &TrustDomain;
    /// This program's own keys, as it states them now; `None` when it does not have the key to state them with, and for a witness
    /// that is no party: who asks it knows its key.
    fn own_keys(&self) -> Option<LogKeys>;
    /// As [`own_keys`](Self::own_keys), with the key of this shard of the program's log.
    fn own_keys_with(&self, log: &NoteKey) -> Option<LogKeys>;
    /// The party on the line, whose log is witnessed here; otherwise the code with which it is refused.
    ///
    /// # Errors
    /// When its log is not witnessed here.
    fn party(&self, peer: &VerifiedPeer) -> Result<Party, &'static str>;
    /// The key that the agreement names for a party's statements.
    fn statement_key(&self, party: &Party) -> Option<VerifyingKey>;
    /// Somebody's log was refused because it does not continue what it was: for information governance.
    fn inconsistent(&self, party: &Party) -> impl Future<Output = ()> + Send;
    /// How a call ended, for whoever counts them.
    fn ended(&self, _code: &'static str) {}
}

/// The service of a program.
#[must_use]
pub fn service<H: WitnessHost>(host: Arc<H>) -> WitnessServiceServer<Handler<H>> {
    WitnessServiceServer::new(Handler(host))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// Handlers of the service.
#[derive(Debug)]
pub struct Handler<H>(Arc<H>);

impl<H: WitnessHost> Handler<H> {
    async fn add(
        &self,
        request: Request<pb::AddCheckpointRequest>,
    ) -> Result<pb::AddCheckpointResponse, Refused> {
        let host = &self.0;
        let unknown = |code| Refused::NotWitnessed { code };
        let peer = peer_of(&request).map_err(|_| unknown("no_certificate"))?;
        let party = host.party(peer).map_err(unknown)?;
        let message = request.into_inner();
        let keys: LogKeys = message.keys.ok_or(WireError::Missing("keys"))?.try_into()?;
        let key = host.statement_key(&party).ok_or_else(|| unknown("no_statement_key"))?;
        keys.verify(host.trust_domain(), &party, &key)?;
        let proof = wire::to_proof(&message.proof)?;
        let note = wire::to_checkpoint(&message.checkpoint)?;
        let (witness, now) = (Arc::clone(host.witness()), host.now());
        let adding = tokio::task::spawn_blocking(move || {
            witness.add(&keys.log, message.old_size, &proof, note, now)
        });
        use pb::add_checkpoint_response::Outcome;
        let outcome = match adding.await.map_err(|_| Refused::Internal)? {
            Ok(line) => Outcome::Cosignature(line),
            Err(NotCosigned::Conflict { kept }) => {
                let kept = kept.map(|kept| kept.to_bytes()).transpose();
                Outcome::Last(kept.map_err(|_| Refused::Internal)?.unwrap_or_default())
            }
            Err(NotCosigned::Inconsistent { kept }) => {
                tracing::error!(%party, "a log does not continue what it was; its checkpoint is kept");
                host.inconsistent(&party).await;
                Outcome::Last(kept.to_bytes().map_err(|_| Refused::Internal)?)
            }
            Err(other) => {
                tracing::warn!(%party, error = %other, "a checkpoint is not cosigned");
                return Err(Refused::NotCosigned(other));
            }
        };
        let keys = host.own_keys();
        Ok(pb::AddCheckpointResponse {
            keys: keys.as_ref().map(Into::into),
            outcome: Some(outcome),
        })
    }
}

#[tonic::async_trait]
impl<H: WitnessHost> WitnessService for Handler<H> {
    async fn add_checkpoint(
        &self,
        request: Request<pb::AddCheckpointRequest>,
    ) -> Result<Response<pb::AddCheckpointResponse>, Status> {
        use pb::add_checkpoint_response::Outcome;
        let answer = self.add(request).await;
        self.0.ended(match &answer {
            Ok(answer) => match answer.outcome {
                Some(Outcome::Cosignature(_)) => "ok",
                Some(Outcome::Last(_)) | None => "not_cosigned",
            },
            Err(refused) => refused.code(),
        });
        answer.map(Response::new).map_err(|refused| to_status(&refused))
    }
}

/// Asks other programs' witnesses.
#[derive(Debug)]
pub struct Peers<H> {
    host: Arc<H>,
    channels: BTreeMap<Asked, Reached>,
}

/// How a witness is reached.
#[derive(Debug)]
struct Reached {
    /// Only it answers there.
    channel: PeerChannel,
    /// Its key, when it is no party; a party states its own.
    key: Option<NoteKey>,
}

impl<H: WitnessHost> Peers<H> {
    /// Parties, each with a channel that only it answers on, and none else yet.
    #[must_use]
    pub fn new(
        host: Arc<H>,
        channels: impl IntoIterator<Item = (Party, impl Into<PeerChannel>)>,
    ) -> Self {
        let channels = channels.into_iter().map(|(party, channel)| {
            (Asked::Party(party), Reached { channel: channel.into(), key: None })
        });
        Self { host, channels: channels.collect() }
    }

    /// Asks these too, which are no parties.
    ///
    /// # Errors
    /// When an endpoint is not a URI.
    pub fn and(
        mut self,
        witnesses: &[IndependentWitness],
        tls: &Arc<ClientTls>,
    ) -> Result<Self, tonic::transport::Error> {
        for witness in witnesses {
            let endpoint = Endpoint::from_shared(witness.endpoint.clone())?;
            let channel = connect(&endpoint, witness.tls.clone(), Arc::clone(tls));
            let name = Asked::Independent(witness.key.0.key_name().into());
            let key = Some(witness.key.0.clone());
            self.channels.insert(name, Reached { channel: channel.into(), key });
        }
        Ok(self)
    }

    async fn call(&self, witness: &Asked, question: Question) -> Result<Answer, &'static str> {
        let Reached { channel, key } = self.channels.get(witness).ok_or("not_a_witness")?;
        let mut client = WitnessServiceClient::new(channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let request = pb::AddCheckpointRequest {
            keys: Some((&self.host.own_keys_with(&question.log).ok_or("no_statement_key")?).into()),
            old_size: question.old_size,
            proof: wire::from_proof(&question.proof),
            checkpoint: question.checkpoint.to_bytes().map_err(|_| "checkpoint_too_long")?,
        };
        let answer = client.add_checkpoint(with_deadline(request, ANSWER_WITHIN)).await;
        let answer = answer.map_err(|status| match code_of(&status) {
            Some("witness_unavailable") => "witness_unavailable",
            Some("log_key_changed") => "log_key_changed",
            Some(_) => "refused",
            None => "unreachable",
        })?;
        let answer = answer.into_inner();
        use pb::add_checkpoint_response::Outcome;
        match answer.outcome.ok_or("empty_answer")? {
            Outcome::Cosignature(line) => {
                let key = match (witness, key) {
                    (Asked::Party(party), _) => self.stated(party, answer.keys)?,
                    (Asked::Independent(_), Some(key)) => key.clone(),
                    (Asked::Independent(_), None) => return Err("no_keys"),
                };
                if !wire::is_line_of(&line, &key) {
                    return Err("line_of_another_key");
                }
                Ok(Answer::Cosigned { line, key })
            }
            Outcome::Last(bytes) if bytes.is_empty() => Ok(Answer::Last(None)),
            Outcome::Last(bytes) => {
                let last = wire::to_checkpoint(&bytes).map_err(|_| "malformed_checkpoint")?;
                Ok(Answer::Last(Some(Box::new(last))))
            }
        }
    }
}

impl<H: WitnessHost> Peers<H> {
    /// The witness key that a party states.
    fn stated(&self, party: &Party, keys: Option<pb::LogKeys>) -> Result<NoteKey, &'static str> {
        let keys: LogKeys = keys.ok_or("no_keys")?.try_into().map_err(|_| "malformed_keys")?;
        let key = self.host.statement_key(party).ok_or("not_a_party")?;
        keys.verify(self.host.trust_domain(), party, &key).map_err(|_| "keys_not_vouched")?;
        Ok(keys.witness)
    }
}

impl<H: WitnessHost> AskWitness for Peers<H> {
    fn witnesses(&self) -> Vec<Asked> {
        self.channels.keys().cloned().collect()
    }

    async fn ask(&self, witness: &Asked, question: Question) -> Answer {
        self.call(witness, question).await.unwrap_or_else(Answer::Failed)
    }
}
