//! Listening addresses: one socket per worker on the same port.
//!
//! Every worker accepts on a socket of its own (`SO_REUSEPORT`), so that an accepted connection stays on the thread that accepted it.
//! An address is reserved before the workers start, by a socket that is bound but never listens: so port 0 has its port when
//! the workers ask for it, and an address that is taken is an error now and not thirty seconds of retries.

use std::io;
use std::net::{SocketAddr, TcpListener};

use pingora_core::listeners::TcpSocketOptions;
use socket2::{Domain, Protocol, Socket, Type};

/// An address that is ours until this is dropped.
pub(crate) struct Reserved {
    pub(crate) address: SocketAddr,
    socket: Socket,
}

impl Reserved {
    /// Listens on the address with the reserving socket itself, for what has one listener only.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        self.socket.listen(BACKLOG)?;
        Ok(self.socket.try_clone()?.into())
    }
}

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Reserves an address; port 0 gets a free port.
///
/// # Errors
///
/// When the address is not this machine's, not permitted, or somebody listens on it already, a gateway included.
pub(crate) fn reserve(address: SocketAddr) -> io::Result<Reserved> {
    // Without SO_REUSEPORT first: with it, a second gateway would silently share the first one's port.
    let alone = socket(address, false)?;
    let address = local_address(&alone)?;
    drop(alone);
    let shared = socket(address, true)?;
    Ok(Reserved { address, socket: shared })
}

fn socket(address: SocketAddr, shares_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shares_port {
        socket.set_reuse_port(true)?;
    } else {
        // Binding alone does not conflict with a listener that has SO_REUSEADDR; listening does.
        socket.bind(&address.into())?;
        socket.listen(1)?;
        return Ok(socket);
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("the socket has no internet address"))
}

/// The address as worker number `worker` asks Pingora for it.
///
/// Pingora keeps listening sockets in a table by the text of their address, and hands the same socket to whoever asks with the
/// same text. Leading zeros of the port make the texts differ and the address not.
pub(crate) fn for_worker(address: SocketAddr, worker: usize) -> (String, TcpSocketOptions) {
    let zeros = "0".repeat(worker);
    let text = match address {
        SocketAddr::V4(v4) => format!("{}:{zeros}{}", v4.ip(), v4.port()),
        SocketAddr::V6(v6) => format!("[{}]:{zeros}{}", v6.ip(), v6.port()),
    };
    let mut options = TcpSocketOptions::default();
    options.so_reuseport = Some(true);
    (text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_gets_a_port_and_a_taken_address_is_refused() {
        let reserved = reserve("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        assert_ne!(reserved.address.port(), 0);
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let error = reserve(taken.local_addr().expect("bound")).err().expect("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn workers_ask_for_one_address_with_different_texts() {
        for address in ["127.0.0.1:8080", "[::1]:8080"] {
            let address: SocketAddr = address.parse().expect("an address");
            let texts: Vec<String> = (0..3).map(|worker| for_worker(address, worker).0).collect();
            assert!(texts[0] != texts[1] && texts[1] != texts[2]);
            for text in &texts {
                assert_eq!(text.parse::<SocketAddr>().expect(text), address);
            }
        }
    }
}
