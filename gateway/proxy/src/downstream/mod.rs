//! The client's side: from an accepted connection to the pipeline and back.
//!
//! [`Engine`] is what Pingora calls with every new stream. [`accept`] reads what comes before HTTP (PROXY protocol, TLS); [`protocol`] finds out which HTTP it speaks; [`io`] keeps the deadlines of
//! a connection and, with [`framing`], gives the codec one request at a time; [`service`] turns hyper's request into an
//! [`moongate_exchange::Exchange`] and the answer back into hyper's; [`streams`] watches HTTP/2 streams.

mod accept;
mod body;
mod forwarded;
mod framing;
mod io;
mod linger;
mod protocol;
mod proxy_protocol;
mod rest;
mod service;
mod state;
mod streams;
mod tunnel;
mod unread;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use moongate_runtime::Published;
use moongate_runtime::pipeline::{AccessRecord, Behaviour};
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use tokio::sync::watch;

pub use accept::Listening;
pub use forwarded::TrustedProxies;

use crate::downstream::accept::OpenConnection;
use crate::upstream::{Fleet, Pool};

/// What a client may take of a worker's time and memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// Between requests on a connection, and before the first.
    pub idle: Duration,
    /// In so much time a client must send something of a request's body, and take something of an answer: 1 KiB at least.
    pub stall: Duration,
    /// How long a client that has closed its sending side behind a request is believed to wait for the answer.
    pub half_close: Duration,
    /// Largest head (request line and fields), in bytes.
    pub head_bytes_max: usize,
    /// Most connections of a listener, over all workers; further ones are closed at once.
    pub connections_max: usize,
    /// From a TCP connection to the end of its TLS handshake, waiting for its turn included.
    pub handshake: Duration,
    /// Most TLS handshakes of a listener at the same time, over all workers; further ones wait for their turn.
    pub handshakes_max: usize,
    /// Most concurrent streams on an HTTP/2 connection.
    pub streams_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(60),
            // Clients that half-close are scripts that ask one thing; those that have gone shall not keep upstreams busy.
            half_close: Duration::from_secs(2),
            // Room for large tokens and cookies; AWS takes 10,240 bytes (source: API Gateway quotas).
            head_bytes_max: 64 * 1024,
            connections_max: 16_384,
            handshake: Duration::from_secs(10),
            // A worker does about a thousand a second: twice as many waiting would be late in any case.
            handshakes_max: 512,
            streams_max: 128,
        }
    }
}

/// Hears about every finished request. Runs on the worker: it must not block.
pub type Listener = Arc<dyn Fn(&AccessRecord<'_>) + Send + Sync>;

/// What all workers share.
pub struct Shared {
    /// Where the newest snapshot is.
    pub published: Arc<Published>,
    /// How errors look.
    pub behaviour: Behaviour,
    /// What clients may take.
    pub limits: Limits,
    /// Hears about finished requests.
    pub listener: Listener,
    /// What is known about upstreams.
    pub fleet: Arc<Fleet>,
    /// Becomes true when the process drains: connections end after the request they are in.
    pub draining: watch::Receiver<bool>,
    /// Requests under way, over all workers.
    pub in_flight: AtomicUsize,
    /// Who may say for whom it asks. `None`: nobody.
    pub trusted_proxies: Option<TrustedProxies>,
    /// The listeners; the first one takes what belongs to no other.
    pub listeners: Vec<Listening>,
}

impl Shared {
    /// Open connections, over all listeners and workers.
    pub(crate) fn connections(&self) -> usize {
        self.listeners.iter().map(Listening::connections).sum()
    }

    /// The listener that a connection came in at.
    fn listener(&self, local: std::net::SocketAddr) -> Option<&Listening> {
        self.listeners.iter().find(|listener| listener.is_at(local)).or(self.listeners.first())
    }
}

/// One worker's engine.
pub struct Engine {
    shared: Arc<Shared>,
    pool: Pool,
    worker: usize,
    sweeper: OnceLock<()>,
}

impl Engine {
    /// The engine of worker number `worker`.
    pub fn new(shared: Arc<Shared>, worker: usize) -> Self {
        let pool = Pool::new(Arc::clone(&shared.fleet), worker);
        Self { shared, pool, worker, sweeper: OnceLock::new() }
    }
}

#[async_trait]
impl ServerApp for Engine {
    async fn process_new(self: &Arc<Self>, stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        moongate_runtime::enter_worker(self.worker);
        self.sweeper.get_or_init(|| {
            // On this worker's runtime, and gone with it.
            let pool = self.pool.clone();
            tokio::spawn(async move { pool.sweep().await });
        });
        let digest = stream.get_socket_digest()?;
        let peer = *digest.peer_addr()?.as_inet()?;
        let local = *digest.local_addr()?.as_inet()?;
        let listener = self.shared.listener(local)?;
        let _open = OpenConnection::new(listener, self.shared.limits.connections_max)?;
        let (stream, connection) = accept::accept(&self.shared, listener, stream, peer, local).await?;
        protocol::serve(self, stream, Arc::new(connection)).await;
        None
    }
}
