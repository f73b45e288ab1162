//! Going over to another protocol on the connection of a request (RFC 9110 section 7.8).

use std::time::Duration;

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways: what is left of a connection after 101 (Switching Protocols).
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A client's wish to go over to another protocol.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The protocol, as the client named it: one token, `websocket`.
    pub protocol: HeaderValue,
    /// How long the connection may last, once the route has allowed it. `None`: it has not, and the upstream is not asked.
    pub allowed: Option<UpgradeLimits>,
}

/// How long a connection may last that speaks another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeLimits {
    /// Longest time without a byte in either direction.
    pub idle: Duration,
    /// Longest time altogether.
    pub lifetime: Duration,
}
