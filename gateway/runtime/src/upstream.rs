//! Upstreams: whom the gateway connects to, and the interface to whatever does the connecting.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;
use moongate_config::integration::HttpVersion;
use moongate_config::upstream::{BalancePolicy, HealthCheckType};
use moongate_exchange::{BodyError, IntegrationFacts, Request, Response};

use crate::outbound::Reach;
use crate::plan::CallPlan;

/// An upstream: everything that decides whom a connection reaches, how far it is trusted, and which target a request goes to.
///
/// Connections, health and counts belong to [`Upstream::id`]: two upstreams that differ in anything never share them, and one that
/// did not change keeps them when a configuration is compiled again.
#[derive(Debug)]
pub struct Upstream {
    /// Unique in this process for as long as it runs.
    pub id: u64,
    /// What it is.
    pub spec: UpstreamSpec,
}

/// How it is written in a URL, without a path: `http://orders:9000`, or `upstream://orders` for a document's.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.spec.name, &*self.spec.targets) {
            (None, [target, ..]) => {
                let scheme = if target.tls.is_some() { "https" } else { "http" };
                write!(f, "{scheme}://{}", String::from_utf8_lossy(target.authority.as_bytes()))
            }
            (name, _) => write!(f, "upstream://{}", name.as_deref().unwrap_or_default()),
        }
    }
}

/// What an upstream is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamSpec {
    /// The name of its document; `None` for a URL that a route gives.
    pub name: Option<Box<str>>,
    /// The servers, at least one.
    pub targets: Box<[Target]>,
    /// The HTTP version to speak.
    pub version: HttpVersion,
    /// How a target is chosen.
    pub balance: BalancePolicy,
    /// How many connections are made and kept.
    pub pool: PoolLimits,
    /// Asking targets whether they are well.
    pub health_check: Option<HealthCheck>,
    /// Setting targets aside that fail.
    pub outliers: Option<Outliers>,
    /// When requests are refused at once.
    pub breaker: Option<Breaker>,
}

/// A server, or a name that stands for several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Host name or address, without brackets, in lower case.
    pub host: Box<str>,
    /// Port; without meaning where SRV records say it.
    pub port: u16,
    /// Whether SRV records of the name list the servers (RFC 2782).
    pub is_srv: bool,
    /// Its share, relative to the other targets', at least 1.
    pub weight: u32,
    /// `Host` field and `:authority`.
    pub authority: HeaderValue,
    /// TLS, where the scheme is `https`.
    pub tls: Option<UpstreamTls>,
    /// Which addresses may be connected to, where a script chose the host. `None`: the operator did, any.
    pub reach: Option<Reach>,
}

/// How an upstream's TLS is verified, and who we are for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// The name the certificate must have; also sent as SNI.
    pub server_name: Box<str>,
    /// Certificate authorities to trust instead of the system's, as PEM.
    pub ca_pem: Option<Arc<[u8]>>,
    /// The certificate to show.
    pub client: Option<ClientCertificate>,
    /// Whether any certificate will do.
    pub accepts_any_certificate: bool,
}

/// A certificate to show to an upstream, and its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The chain, leaf first, as PEM.
    pub chain_pem: Arc<[u8]>,
    /// The private key, as PEM.
    pub key_pem: Arc<[u8]>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(..)")
    }
}

/// How many connections are made and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolLimits {
    /// Most connections to all targets together, over all workers.
    pub connections_max: u32,
    /// Most requests that wait for a connection, over all workers.
    pub pending_max: u32,
    /// Most unused connections kept per target and worker.
    pub idle_max: u32,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            connections_max: 8_192,
            pending_max: 4_096,
            // A pool smaller than the concurrency costs a connection per request.
            idle_max: 512,
            // Below the 60 to 75 seconds after which most servers close, so that most connections are closed by us and not under
            // a request.
            idle: Duration::from_secs(50),
        }
    }
}

/// Asking targets whether they are well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// What is asked.
    pub kind: HealthCheckType,
    /// Path and query to ask for.
    pub path: Box<str>,
    /// The first and last status of each range that means well.
    pub statuses: Box<[(u16, u16)]>,
    /// Time from one question to the next.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Good answers in a row after which a target is well again.
    pub healthy_after: u32,
    /// Bad answers in a row after which it is not.
    pub unhealthy_after: u32,
}

/// Setting targets aside that fail requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outliers {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// How long a target is set aside the first time.
    pub ejection: Duration,
    /// Largest share of targets that may be set aside, in percent.
    pub ejected_percent_max: u32,
}

/// When requests are refused at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Breaker {
    /// Most requests under way, over all workers.
    pub requests_max: Option<u32>,
    /// When the circuit opens.
    pub errors: Option<ErrorLimit>,
}

/// The share of failures at which a circuit opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorLimit {
    /// The share, in percent.
    pub percent: u32,
    /// The time over which it is counted.
    pub window: Duration,
    /// Fewest requests in that time.
    pub requests_min: u32,
    /// How long the circuit stays open.
    pub open: Duration,
}

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its name has no address.
    #[error("the name `{host}` could not be resolved: {reason}")]
    Resolve {
        /// The name.
        host: Box<str>,
        /// What the resolver said.
        reason: Box<str>,
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
    /// It said that it did not process the request.
    #[error("the upstream did not take the request: {reason}")]
    Refused {
        /// What it said.
        reason: Box<str>,
    },
    /// The deadline passed.
    #[error("no answer within the deadline")]
    TimedOut,
    /// There is too much to do, or too much has failed: the upstream was not asked.
    #[error("the upstream is left alone: {reason}")]
    Overloaded {
        /// What is too much.
        reason: &'static str,
    },
    /// The client's body broke off while it was sent.
    #[error("the request's body broke off")]
    RequestBody(#[source] BodyError),
}

/// Sends requests to upstreams: implemented by the proxy over sockets, and by tests without.
pub trait Upstreams: Send + Sync {
    /// Sends a request and waits for the head of the answer until `deadline`, over all attempts; the body streams. `hash` is what
    /// requests that belong together have in common. `facts` is told how it went.
    fn send(
        &self,
        call: &CallPlan,
        request: Request,
        hash: Option<u64>,
        deadline: Instant,
        facts: &mut IntegrationFacts,
    ) -> impl Future<Output = Result<Response, UpstreamError>> + Send;
}

/// The next [`Upstream::id`].
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
