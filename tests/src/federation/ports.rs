//! Addresses that stay a server's own while it is stopped.

use std::{io, net::SocketAddr};

use tokio::net::TcpSocket;

/// An address on this machine that nobody else is given while this value lives.
///
/// The socket is bound and never listens. With `SO_REUSEADDR` on both, Linux lets a server listen on the same
/// address; port 0 and outgoing connections avoid it. So a server that is started again finds its port free.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl ReservedPort {
    /// Reserves a free port of the loopback interface.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_connections_until_somebody_listens_and_can_be_listened_on_again()
     {
        let port = ReservedPort::new().unwrap();
        assert!(TcpStream::connect(port.address()).await.is_err());
        for _ in 0..2 {
            let listener = TcpListener::bind(port.address()).await.unwrap();
            TcpStream::connect(port.address()).await.unwrap();
            listener.accept().await.unwrap();
        }
    }

    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<_> = (0..200).map(|_| ReservedPort::new().unwrap()).collect();
        let distinct: std::collections::BTreeSet<_> = ports.iter().map(|p| p.address()).collect();
        assert_eq!(distinct.len(), ports.len());
    }
}
