//! A small TCP relay between two programs, which can be cut, and can hold up what passes.
//!
//! It knows nothing of what passes: that is TLS between the two. Its address stays while the program behind it comes back at another.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What a relay does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes it on.
    Open,
    /// Ends every connection, and takes none.
    Cut,
    /// Passes every piece on so much later.
    Slow(Duration),
}

/// A relay. It listens until this program ends.
#[derive(Debug, Clone)]
pub struct Relay(Arc<State>);

#[derive(Debug)]
struct State {
    address: SocketAddr,
    target: Mutex<Option<SocketAddr>>,
    mode: watch::Sender<Mode>,
    n_broken: AtomicU64,
}

impl Relay {
    /// Listens at any free port of this machine; nothing is behind it yet.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn listen() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let state = Arc::new(State {
            address: listener.local_addr()?,
            target: Mutex::default(),
            mode: watch::Sender::new(Mode::Open),
            n_broken: AtomicU64::new(0),
        });
        tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self(state))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Who is behind it from now on.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.0.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
    }

    /// What it does from now on, also with connections that stand.
    pub fn set(&self, mode: Mode) {
        self.0.mode.send_replace(mode);
    }

    /// Connections that stood and that a cut has ended.
    #[must_use]
    pub fn n_broken(&self) -> u64 {
        self.0.n_broken.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        // A connection that failed before it was taken is nobody's.
        let Ok((near, _)) = listener.accept().await else { continue };
        if *state.mode.borrow() != Mode::Cut {
            tokio::spawn(pass(near, Arc::clone(&state)));
        }
    }
}

async fn pass(near: TcpStream, state: Arc<State>) {
    let target = *state.target.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(target) = target else { return };
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let mut mode = state.mode.subscribe();
    let both = async {
        tokio::join!(
            one_way(near_read, far_write, state.mode.subscribe()),
            one_way(far_read, near_write, state.mode.subscribe())
        )
    };
    tokio::select! {
        _ = both => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => { state.n_broken.fetch_add(1, Ordering::Relaxed); }
    }
}

/// Whatever ends one way, ends it for the other side too.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mode: watch::Receiver<Mode>,
) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(n) = from.read(&mut piece).await
        && n > 0
    {
        let held = *mode.borrow();
        if let Mode::Slow(by) = held {
            tokio::time::sleep(by).await;
        }
        if to.write_all(&piece[..n]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (read, write) = stream.into_split();
                tokio::spawn(one_way(read, write, watch::channel(Mode::Open).1));
            }
        });
        address
    }

    async fn say(stream: &mut TcpStream) -> std::io::Result<[u8; 2]> {
        stream.write_all(b"hi").await?;
        let mut back = [0; 2];
        stream.read_exact(&mut back).await?;
        Ok(back)
    }

    #[tokio::test]
    async fn what_passes_can_be_cut_held_up_and_led_elsewhere() {
        let relay = Relay::listen().await.unwrap();
        relay.lead_to(echo().await);
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(say(&mut stream).await.unwrap(), *b"hi");

        relay.set(Mode::Slow(Duration::from_millis(150)));
        let began = std::time::Instant::now();
        say(&mut stream).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(300), "there and back");

        relay.set(Mode::Cut);
        assert!(say(&mut stream).await.is_err());
        assert_eq!(relay.n_broken(), 1);
        let mut refused = TcpStream::connect(relay.address()).await.unwrap();
        assert!(say(&mut refused).await.is_err());

        relay.set(Mode::Open);
        relay.lead_to(echo().await);
        let mut again = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(say(&mut again).await.unwrap(), *b"hi");
    }
}
