//! One connection after the other: connecting, sending, and how far what was sent counts.

use std::{collections::VecDeque, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{Failed, Forwarder};
use crate::audit::tail::{Piece, Place};

/// For name resolution, TCP and TLS together.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For one piece. A receiver that takes nothing for so long is away.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// For the orderly end of a connection. The program's own end does not wait longer.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether the log has grown.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between attempts; doubled each time, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Pieces that were sent and do not count yet, at most; beyond that the newest is waited for with the one before.
const MOST_UNCONFIRMED: usize = 256;

/// Why a session ended.
enum Ended {
    /// The program stops.
    Stopping,
    /// Something did not work.
    Failed(Failed, io::Error),
}

impl Forwarder {
    /// Forwards until `shutdown`. What is not forwarded by then is at the next start.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.place.clone();
            let ended = tokio::select! {
                () = shutdown.cancelled() => return,
                connected = self.connect() => match connected {
                    Ok(stream) => self.session(stream, &shutdown).await,
                    Err(error) => Ended::Failed(Failed::Connect, error),
                },
            };
            self.metrics.connected.set(0);
            let Ended::Failed(failed, error) = ended else { return };
            self.metrics.count(failed);
            self.show_waiting(&self.place.clone());
            if self.place != before {
                pause = FIRST_PAUSE;
            }
            tracing::warn!(reason = failed.word(), %error, "the audit log is not forwarded for now");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let connecting = async {
            let tcp = TcpStream::connect(&self.config.address).await?;
            TlsConnector::from(Arc::clone(&self.tls)).connect(self.name.clone(), tcp).await
        };
        timeout(CONNECT_WITHIN, connecting).await.unwrap_or_else(|_| Err(late()))
    }

    async fn session(
        &mut self,
        stream: TlsStream<TcpStream>,
        shutdown: &CancellationToken,
    ) -> Ended {
        self.metrics.connected.set(1);
        tracing::info!("the audit log is forwarded");
        let (mut from, mut to) = tokio::io::split(stream);
        let mut sent = self.place.clone();
        let mut unconfirmed = VecDeque::new();
        loop {
            // Also in the midst of a long way: the program's end does not wait for it.
            if shutdown.is_cancelled() {
                self.end(from, to, sent).await;
                return Ended::Stopping;
            }
            if let Err(error) = self.confirm(&mut unconfirmed).await {
                return Ended::Failed(Failed::Place, error);
            }
            let piece = match self.read(sent.clone()).await {
                Ok(piece) => piece,
                Err(error) => return Ended::Failed(Failed::Log, error),
            };
            if let Some(damage) = &piece.passed_over {
                tracing::error!(damage, "entries of a damaged shard are not forwarded");
            }
            let has_moved = piece.next != sent;
            if has_moved {
                // A receiver says nothing; when it does, or closes, it is no receiver any more.
                let written = tokio::select! {
                    written = self.write(&mut to, &piece) => written,
                    closed = is_closed(&mut from) => Err(closed),
                    // Half of a message may have gone: what was sent does not count.
                    () = shutdown.cancelled() => return Ended::Stopping,
                };
                if let Err(error) = written {
                    return Ended::Failed(Failed::Connection, error);
                }
                sent = piece.next;
                note(&mut unconfirmed, sent.clone());
                self.show_waiting(&sent);
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                closed = is_closed(&mut from) => {
                    return Ended::Failed(Failed::Connection, closed);
                }
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn read(&self, place: Place) -> io::Result<Piece> {
        let tail = self.tail.clone();
        tokio::task::spawn_blocking(move || tail.read(&place)).await.map_err(io::Error::other)?
    }

    async fn write(
        &self,
        to: &mut WriteHalf<TlsStream<TcpStream>>,
        piece: &Piece,
    ) -> io::Result<()> {
        let log = self.tail.name_of(piece.next.shard);
        let mut frames = Vec::new();
        for (entry, json) in &piece.entries {
            self.heading.append(&mut frames, &log, entry, json);
        }
        let writing = async {
            to.write_all(&frames).await?;
            to.flush().await
        };
        timeout(WRITE_WITHIN, writing).await.unwrap_or_else(|_| Err(late()))?;
        self.metrics.sent.inc_by(piece.entries.len() as u64);
        Ok(())
    }

    /// What was sent long enough ago counts as arrived.
    async fn confirm(&mut self, unconfirmed: &mut VecDeque<(Instant, Place)>) -> io::Result<()> {
        let long_enough = self.config.confirm_after.get();
        let mut place = None;
        while let Some((_, arrived)) =
            unconfirmed.pop_front_if(|(at, _)| at.elapsed() >= long_enough)
        {
            place = Some(arrived);
        }
        match place {
            Some(place) => self.arrived(place).await,
            None => Ok(()),
        }
    }

    async fn arrived(&mut self, place: Place) -> io::Result<()> {
        let (file, keeping): (PathBuf, Place) = (self.file.clone(), place.clone());
        let kept = tokio::task::spawn_blocking(move || Self::keep(&file, &keeping));
        kept.await.map_err(io::Error::other)??;
        self.place = place;
        Ok(())
    }

    /// Ends in order: when the receiver answers our end with its own, it has read everything before it.
    async fn end(
        &mut self,
        mut from: ReadHalf<TlsStream<TcpStream>>,
        mut to: WriteHalf<TlsStream<TcpStream>>,
        sent: Place,
    ) {
        let closing = async {
            to.shutdown().await?;
            // TLS tells an end in order from one that was cut: the latter is an error here.
            let mut said = [0; 64];
            while from.read(&mut said).await? != 0 {}
            io::Result::Ok(())
        };
        if matches!(timeout(CLOSE_WITHIN, closing).await, Ok(Ok(()))) {
            // Otherwise it is sent again.
            let _ = self.arrived(sent).await;
        }
    }

    fn show_waiting(&self, place: &Place) {
        let n = self.tail.n_behind(place);
        self.metrics.waiting.set(i64::try_from(n).unwrap_or(i64::MAX));
    }
}

fn note(unconfirmed: &mut VecDeque<(Instant, Place)>, place: Place) {
    if unconfirmed.len() >= MOST_UNCONFIRMED {
        unconfirmed.pop_back();
    }
    unconfirmed.push_back((Instant::now(), place));
}

/// Waits until the receiver closes, or says something, which syslog does not do.
async fn is_closed(from: &mut ReadHalf<TlsStream<TcpStream>>) -> io::Error {
    let mut said = [0; 64];
    match from.read(&mut said).await {
        Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "the receiver closed"),
        Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "the receiver answers"),
        Err(error) => error,
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the receiver does not answer in time")
}
