//! From an accepted TCP connection to a stream that carries HTTP: the PROXY protocol, then TLS, each where the listener has it.
//!
//! Pingora accepts; what follows is ours, because the PROXY protocol comes before TLS and a handshake needs a deadline and a bound of
//! its own: a handshake costs a hundred times a request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use moongate_exchange::Connection;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as TcpStream;
use pingora_core::protocols::tls::server::handshake_with_callback;
use pingora_core::tls::ssl::SslAcceptor;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::downstream::{Limits, Shared, proxy_protocol};
use crate::tls::{Certificates, TlsError};

/// A listener, as all workers share it.
pub struct Listening {
    address: SocketAddr,
    takes_proxy_protocol: bool,
    tls: Option<Tls>,
    connections: AtomicUsize,
}

struct Tls {
    acceptor: SslAcceptor,
    certificates: Certificates,
    /// How many handshakes may go on at the same time.
    handshakes: Semaphore,
}

impl Listening {
    /// A listener on an address.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(
        address: SocketAddr,
        takes_proxy_protocol: bool,
        certificates: Option<Certificates>,
        limits: &Limits,
    ) -> Result<Self, TlsError> {
        let tls = match certificates {
            Some(certificates) => Some(Tls {
                acceptor: certificates.acceptor()?,
                certificates,
                handshakes: Semaphore::new(limits.handshakes_max),
            }),
            None => None,
        };
        Ok(Self { address, takes_proxy_protocol, tls, connections: AtomicUsize::new(0) })
    }

    /// Whether a connection that reached an address came in here.
    pub(super) fn is_at(&self, local: SocketAddr) -> bool {
        self.address.port() == local.port()
            && (self.address.ip().is_unspecified() || self.address.ip().to_canonical() == local.ip().to_canonical())
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Counts a connection for as long as it lives.
pub(super) struct OpenConnection<'listener>(&'listener Listening);

impl<'listener> OpenConnection<'listener> {
    /// `None` when the listener has too many.
    pub(super) fn new(listener: &'listener Listening, connections_max: usize) -> Option<Self> {
        let before = listener.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Self(listener);
        (before < connections_max).then_some(counted)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes a connection ready for HTTP. `None` when it did not get that far: whoever it was hears nothing, as nothing was agreed on.
pub(super) async fn accept(
    shared: &Shared,
    listener: &Listening,
    stream: Stream,
    peer: SocketAddr,
    local: SocketAddr,
) -> Option<(Stream, Connection)> {
    let trusts = |peer: SocketAddr| shared.trusted_proxies.as_ref().is_some_and(|trusted| trusted(peer.ip()));
    if !listener.takes_proxy_protocol && listener.tls.is_none() {
        return Some((stream, Connection::new(peer, local, false).with_trust(trusts(peer))));
    }
    let mut stream = *stream.into_any().downcast::<TcpStream>().ok()?;
    let (mut peer, mut local) = (peer, local);
    if listener.takes_proxy_protocol {
        // Where trusted proxies are named, nobody else may speak for others.
        if shared.trusted_proxies.is_some() && !trusts(peer) {
            tracing::debug!(%peer, "connection refused: not from a trusted proxy");
            return None;
        }
        let (proxied, rest) = match timeout(shared.limits.head, proxy_protocol::read(&mut stream)).await.ok()? {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%peer, %error, "connection refused");
                return None;
            }
        };
        stream.rewind(&rest);
        if let Some(proxied) = proxied {
            (peer, local) = (proxied.peer, proxied.local);
        }
    }
    let connection = Connection::new(peer, local, listener.tls.is_some()).with_trust(trusts(peer));
    let Some(tls) = &listener.tls else { return Some((Box::new(stream), connection)) };
    let handshake = async {
        // The semaphore is never closed.
        let _place = tls.handshakes.acquire().await.ok()?;
        match handshake_with_callback(&tls.acceptor, stream, &tls.certificates).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                None
            }
        }
    };
    let stream = timeout(shared.limits.handshake, handshake).await.ok()??;
    Some((Box::new(stream), connection))
}
