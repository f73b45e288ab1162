//! The client's connection, as far as requests care.

use std::net::SocketAddr;

use http::HeaderValue;

/// Facts about a downstream connection, shared by all its requests.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The address that the other end of the connection has: the client, or a proxy before us. Where the PROXY protocol is on, it is
    /// what that says.
    pub peer: SocketAddr,
    /// The address the client reached.
    pub local: SocketAddr,
    /// Whether the connection is TLS: the scheme is `https`.
    pub is_tls: bool,
    /// Whether the peer is a proxy that the operator trusts to say who its clients are.
    pub is_trusted_proxy: bool,
    peer_ip: HeaderValue,
}

impl Connection {
    /// A connection between two addresses. What requests need of it as text is made here, once.
    pub fn new(peer: SocketAddr, local: SocketAddr, is_tls: bool) -> Self {
        let peer_ip = HeaderValue::try_from(peer.ip().to_string()).expect("an IP address is visible ASCII");
        Self { peer, local, is_tls, is_trusted_proxy: false, peer_ip }
    }

    /// The same, from a proxy that the operator trusts or not.
    #[must_use]
    pub fn with_trust(mut self, is_trusted_proxy: bool) -> Self {
        self.is_trusted_proxy = is_trusted_proxy;
        self
    }

    /// The peer's IP address as a header's value.
    pub fn peer_ip(&self) -> &HeaderValue {
        &self.peer_ip
    }

    /// The peer's IP address as text.
    pub fn peer_ip_text(&self) -> &str {
        self.peer_ip.to_str().unwrap_or_default()
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }
}
