//! Upstreams: whom the gateway connects to, and the interface to whatever does the connecting.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::HeaderValue;
use moongate_config::integration::HttpVersion;
use moongate_exchange::{BodyError, IntegrationFacts, Request, Response};

/// An upstream: everything that decides whom a connection reaches and how far it is trusted.
///
/// Connections are pooled by [`Upstream::id`]: two upstreams that differ in any field never share one.
#[derive(Debug)]
pub struct Upstream {
    /// Unique in this process for as long as it runs.
    pub id: u64,
    /// Host name or address, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// `Host` field and `:authority`.
    pub authority: HeaderValue,
    /// TLS, where the scheme is `https`.
    pub tls: Option<UpstreamTls>,
    /// The HTTP version to speak.
    pub version: HttpVersion,
}

/// How an upstream's TLS is verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// The name the certificate must have; also sent as SNI.
    pub server_name: Box<str>,
    /// Certificate authorities to trust instead of the system's, as PEM.
    pub ca_pem: Option<Arc<[u8]>>,
    /// Whether any certificate will do.
    pub accepts_any_certificate: bool,
}

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its name has no address.
    #[error("the name `{host}` could not be resolved")]
    Resolve {
        /// The name.
        host: Box<str>,
        /// What the resolver said.
        #[source]
        source: std::io::Error,
    },
    /// No connection, or no TLS.
    #[error("no connection to {address}: {reason}")]
    Connect {
        /// The address, `host:port`.
        address: Box<str>,
        /// What was wrong.
        reason: Box<str>,
    },
    /// It broke the connection off, or spoke no HTTP.
    #[error("the upstream broke off before its answer: {reason}")]
    Exchange {
        /// What was wrong.
        reason: Box<str>,
    },
    /// The deadline passed.
    #[error("no answer within the deadline")]
    TimedOut,
    /// The client's body broke off while it was sent.
    #[error("the request's body broke off")]
    RequestBody(#[source] BodyError),
}

/// Sends requests to upstreams: implemented by the proxy over sockets, and by tests without.
pub trait Upstreams: Send + Sync {
    /// Sends a request and waits for the head of the answer until `deadline`; the body streams. `facts` is told how it went.
    fn send(
        &self,
        upstream: &Arc<Upstream>,
        request: Request,
        deadline: Instant,
        facts: &mut IntegrationFacts,
    ) -> impl Future<Output = Result<Response, UpstreamError>> + Send;
}

/// The next [`Upstream::id`].
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
