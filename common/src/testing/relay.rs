//! A stretch of network that a test can cut, or let fall silent; and an HTTP proxy.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// What a relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// Everything passes.
    Everything,
    /// Connections stand and nothing passes, not even an end.
    Silence,
    /// Connections are cut, and new ones at once.
    Nothing,
}

/// Passes connections on to an address. Ends with all its connections when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    passing: watch::Sender<Passing>,
    accepted: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Relay {
    /// A relay on any free port of this machine, to `to`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let passing = watch::Sender::new(Passing::Everything);
        let accepted = Arc::new(AtomicUsize::new(0));
        let (wanted, counted) = (passing.clone(), Arc::clone(&accepted));
        let task = tokio::spawn(async move {
            // Aborted with the relay, and all connections with it.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((here, _)) = listener.accept().await else { return };
                while connections.try_join_next().is_some() {}
                if *wanted.borrow() == Passing::Nothing {
                    continue;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(pass(here, to, wanted.subscribe()));
            }
        });
        Self { address, passing, accepted, _task: AbortOnDropHandle::new(task) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on.
    pub fn set(&self, passing: Passing) {
        self.passing.send_replace(passing);
    }

    /// Cuts every connection, and lets new ones pass.
    pub fn cut(&self) {
        self.set(Passing::Nothing);
        self.set(Passing::Everything);
    }

    /// How many connections it has passed on.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn pass(here: TcpStream, to: SocketAddr, passing: watch::Receiver<Passing>) {
    let Ok(there) = TcpStream::connect(to).await else { return };
    let ((here_read, here_write), (there_read, there_write)) =
        (here.into_split(), there.into_split());
    let both = async {
        tokio::join!(
            pump(here_read, there_write, passing.clone()),
            pump(there_read, here_write, passing.clone()),
        )
    };
    // A cut is seen even when everything passes again by the time it is looked: any change but silence is one.
    let mut cuts = passing.clone();
    let cut = async move {
        while cuts.changed().await.is_ok() && *cuts.borrow_and_update() == Passing::Silence {}
    };
    tokio::select! {
        _ = both => {}
        () = cut => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passing: watch::Receiver<Passing>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let n = from.read(&mut bytes).await?;
        let _ = passing.wait_for(|passing| *passing != Passing::Silence).await;
        if n == 0 {
            return to.shutdown().await;
        }
        to.write_all(bytes.get(..n).unwrap_or_default()).await?;
    }
}

/// An HTTP proxy that makes tunnels, on any free port, until the handle is dropped. With `credentials` (`user:password`) it wants
/// them. It counts the tunnels that it has made.
///
/// # Panics
/// When there is no free port.
pub async fn connect_proxy(
    credentials: Option<&'static str>,
) -> (SocketAddr, Arc<AtomicUsize>, AbortOnDropHandle<()>) {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tunnels);
    let wanted = credentials
        .map(|pair| format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair)));
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok((mut here, _)) = listener.accept().await else { return };
            while connections.try_join_next().is_some() {}
            let (counted, wanted) = (Arc::clone(&counted), wanted.clone());
            connections.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(here.read_u8().await?);
                }
                let head = String::from_utf8(head).map_err(io::Error::other)?;
                if wanted.is_some_and(|wanted| !head.contains(&wanted)) {
                    let refused = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
                    return here.write_all(refused.as_bytes()).await;
                }
                let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
                let mut there = TcpStream::connect(to.unwrap_or_default()).await?;
                here.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::io::copy_bidirectional(&mut here, &mut there).await.map(drop)
            });
        }
    });
    (address, tunnels, AbortOnDropHandle::new(task))
}
