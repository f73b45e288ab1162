//! A port that is known before the gateway starts: for projects that name their own gateway as upstream.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

/// A free port, kept free for the gateway under test.
///
/// The socket is bound but never listens, so that nobody else is given the port and connections go to whoever listens.
pub struct ReservedPort {
    /// The port.
    pub port: u16,
    _socket: Socket,
}

impl Default for ReservedPort {
    fn default() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // The gateway's workers share their port among themselves, and with this socket.
        socket.set_reuse_address(true).and_then(|()| socket.set_reuse_port(true)).expect("options of a fresh socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let address =
            socket.local_addr().ok().and_then(|address| address.as_socket()).expect("a bound socket has an address");
        Self { port: address.port(), _socket: socket }
    }
}

/// A port that stays free while nobody listens on it: for a process that is stopped and started again. It is none of those that the
/// system gives to outgoing connections (source: kernel documentation, `ip_local_port_range`, from 32768 by default).
pub fn lasting() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    // Test processes beside each other begin at different places.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
