//! The attacker: one peer of the partnership that does one thing as fast as it can, on as many connections as help.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use brag_common::testing::http2::{
    Client, Kind, PREFACE, begun, field, frame, head, message, opening, reset,
};
use clap::ValueEnum;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What everybody may ask of every program.
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";

/// The most that HTTP/2 lets a server send unasked.
const EVERYTHING: u32 = i32::MAX.unsigned_abs();

/// A connection to the hub.
pub(super) type Stream = TlsStream<TcpStream>;

/// An attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// TCP connections that say nothing
    Silence,
    /// Complete handshakes, and the end of the connection
    Handshakes,
    /// Handshakes without a certificate
    Strangers,
    /// Handshakes after which nothing is said
    NotBegun,
    /// Heads of requests that do not end
    Heads,
    /// Requests whose message never comes
    Bodies,
    /// Streams that are opened and reset at once
    Resets,
    /// Streams that are opened, and reset when they have been taken
    Abandoned,
    /// More streams than are allowed
    Streams,
    /// A head that goes on for ever
    Continuation,
    /// Pings, whose answers are read
    Pings,
    /// Settings, whose acknowledgements are read
    Settings,
    /// Answers that nobody takes
    Unread,
    /// Messages longer than the limit
    Oversize,
}

impl Attack {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::Silence,
        Self::Handshakes,
        Self::Strangers,
        Self::NotBegun,
        Self::Heads,
        Self::Bodies,
        Self::Resets,
        Self::Abandoned,
        Self::Streams,
        Self::Continuation,
        Self::Pings,
        Self::Settings,
        Self::Unread,
        Self::Oversize,
    ];

    /// Its word on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Handshakes => "handshakes",
            Self::Strangers => "strangers",
            Self::NotBegun => "not-begun",
            Self::Heads => "heads",
            Self::Bodies => "bodies",
            Self::Resets => "resets",
            Self::Abandoned => "abandoned",
            Self::Streams => "streams",
            Self::Continuation => "continuation",
            Self::Pings => "pings",
            Self::Settings => "settings",
            Self::Unread => "unread",
            Self::Oversize => "oversize",
        }
    }

    /// What is counted of it.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Silence | Self::Handshakes | Self::Strangers | Self::NotBegun => "connections",
            Self::Heads | Self::Bodies | Self::Resets | Self::Abandoned | Self::Streams => {
                "streams"
            }
            Self::Continuation | Self::Pings | Self::Settings => "frames",
            Self::Unread | Self::Oversize => "calls",
        }
    }

    /// On how many connections at a time it does the most.
    const fn n_connections(self) -> usize {
        match self {
            // More than there are places.
            Self::Silence | Self::NotBegun => 64,
            Self::Heads | Self::Bodies | Self::Unread => 32,
            _ => 8,
        }
    }
}

/// How the hub is reached with a certificate, or without.
#[derive(Clone)]
pub(super) struct Door {
    address: SocketAddr,
    from: Ipv4Addr,
    config: Arc<ClientConfig>,
    stranger: Arc<ClientConfig>,
}

impl Door {
    /// With the certificate of this name in a folder.
    pub(super) fn open(
        address: SocketAddr,
        from: Ipv4Addr,
        folder: &Path,
        name: &str,
    ) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(folder.join("ca.pem"))? {
            roots.add(root?)?;
        }
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(folder.join(format!("{name}.pem")))?.collect();
        let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots);
        let mut stranger = builder.clone().with_no_client_auth();
        let mut config = builder.with_client_auth_cert(chain?, key)?;
        for config in [&mut config, &mut stranger] {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        Ok(Self { address, from, config: Arc::new(config), stranger: Arc::new(stranger) })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn connect(&self) -> io::Result<Stream> {
        self.connect_as(&self.config).await
    }

    /// From the address of this side: places before anybody is known are by address.
    async fn tcp(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(self.from.into(), 0))?;
        socket.set_nodelay(true)?;
        socket.connect(self.address).await
    }

    async fn connect_as(&self, config: &Arc<ClientConfig>) -> io::Result<Stream> {
        let tcp = self.tcp().await?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(config)).connect(name, tcp).await
    }
}

/// Attacks for so long; how often it was done.
///
/// # Errors
/// When the certificate can not be read. That the hub ends its connections is what it expects.
pub async fn attack(
    attack: Attack,
    address: SocketAddr,
    folder: &Path,
    within: Duration,
) -> anyhow::Result<u64> {
    let door = Door::open(address, Ipv4Addr::new(127, 0, 0, 2), folder, "attacker")?;
    let count = Arc::new(AtomicU64::new(0));
    let mut attacking = JoinSet::new();
    for _ in 0..attack.n_connections() {
        let (door, count) = (door.clone(), Arc::clone(&count));
        attacking.spawn(async move {
            loop {
                // Cut or refused: again, after a moment, as a flood from one machine would.
                if once(attack, &door, &count).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
    }
    tokio::time::sleep(within).await;
    attacking.shutdown().await;
    Ok(count.load(Ordering::Relaxed))
}

/// On one connection, until it ends.
async fn once(attack: Attack, door: &Door, count: &AtomicU64) -> io::Result<()> {
    let did = |n: u64| count.fetch_add(n, Ordering::Relaxed);
    match attack {
        Attack::Silence => {
            let mut tcp = door.tcp().await?;
            did(1);
            tcp.read_u8().await.map(drop)
        }
        Attack::Handshakes => {
            door.connect().await?.read_u8().await?;
            did(1);
            Ok(())
        }
        Attack::Strangers => {
            did(1);
            door.connect_as(&door.stranger).await?.read_u8().await.map(drop)
        }
        Attack::NotBegun => {
            let mut stream = door.connect().await?;
            did(1);
            stream.write_all(PREFACE.get(..23).unwrap_or_default()).await?;
            until_end(stream).await
        }
        Attack::Heads => {
            let bytes = frame(Kind::Headers, 0, 1, &head(CHECK));
            let client = opened(door, EVERYTHING, bytes).await?;
            did(1);
            until_end(client.0).await
        }
        Attack::Bodies => {
            let bytes = (1..200).step_by(2).flat_map(|stream| begun(stream, CHECK)).collect();
            let client = opened(door, EVERYTHING, bytes).await?;
            did(100);
            until_end(client.0).await
        }
        Attack::Unread => {
            let ask = |stream| [begun(stream, CHECK), message(stream, &[])].concat();
            let bytes = (1..200).step_by(2).flat_map(ask).collect();
            let client = opened(door, 0, bytes).await?;
            did(100);
            until_end(client.0).await
        }
        Attack::Abandoned => {
            let mut client = opened(door, EVERYTHING, Vec::new()).await?;
            for stream in (1..).step_by(2) {
                client.send(&begun(stream, CHECK)).await?;
                client.heard().await?;
                client.send(&reset(stream)).await?;
                did(1);
            }
            Ok(())
        }
        Attack::Resets => {
            flood(door, &[], count, 1, |n| [begun(2 * n + 1, CHECK), reset(2 * n + 1)].concat())
                .await
        }
        Attack::Streams => flood(door, &[], count, 1, |n| begun(2 * n + 1, CHECK)).await,
        Attack::Continuation => {
            let begin = frame(Kind::Headers, 0, 1, &head(CHECK));
            let more = frame(Kind::Continuation, 0, 1, &field("x", &"x".repeat(100)).repeat(100));
            flood(door, &begin, count, 1, |_| more.clone()).await
        }
        Attack::Pings => {
            let pings = frame(Kind::Ping, 0, 0, &[7; 8]).repeat(500);
            flood(door, &[], count, 500, |_| pings.clone()).await
        }
        Attack::Settings => {
            let settings = frame(Kind::Settings, 0, 0, &[]).repeat(500);
            flood(door, &[], count, 500, |_| settings.clone()).await
        }
        Attack::Oversize => {
            let announced = [&[0], &u32::MAX.to_be_bytes()[..], &[0; 8192]].concat();
            flood(door, &[], count, 1, |n| {
                [begun(2 * n + 1, CHECK), frame(Kind::Data, 1, 2 * n + 1, &announced)].concat()
            })
            .await
        }
    }
}

async fn opened(door: &Door, window: u32, bytes: Vec<u8>) -> io::Result<Client<Stream>> {
    let mut client = Client(door.connect().await?);
    client.send(&[opening(window), bytes].concat()).await?;
    Ok(client)
}

async fn until_end(mut stream: Stream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// Sends one thing after the other, and reads whatever comes, until the connection ends. Each counts as `units`.
async fn flood(
    door: &Door,
    begin: &[u8],
    count: &AtomicU64,
    units: u64,
    next: impl Fn(u32) -> Vec<u8>,
) -> io::Result<()> {
    let client = opened(door, EVERYTHING, begin.to_vec()).await?;
    let (mut reader, mut writer) = tokio::io::split(client.0);
    let writing = async {
        for n in 0..i32::MAX.unsigned_abs() / 2 {
            writer.write_all(&next(n)).await?;
            count.fetch_add(units, Ordering::Relaxed);
        }
        Ok(())
    };
    let reading = async {
        let mut bytes = [0; 16 * 1024];
        while reader.read(&mut bytes).await? > 0 {}
        io::Result::Ok(())
    };
    tokio::select! {
        written = writing => written,
        read = reading => read,
    }
}
