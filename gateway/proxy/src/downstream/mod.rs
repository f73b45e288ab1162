//! The client's side: from an accepted connection to the pipeline and back.
//!
//! [`Engine`] is what Pingora calls with every new stream. [`protocol`] finds out which HTTP it speaks; [`io`] keeps the deadlines of
//! a connection and, with [`framing`], gives the codec one request at a time; [`service`] turns hyper's request into an
//! [`moongate_exchange::Exchange`] and the answer back into hyper's; [`streams`] watches HTTP/2 streams.

mod body;
mod framing;
mod io;
mod linger;
mod protocol;
mod rest;
mod service;
mod state;
mod streams;
mod unread;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use moongate_exchange::Connection;
use moongate_runtime::Published;
use moongate_runtime::pipeline::{AccessRecord, Behaviour};
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use tokio::sync::watch;

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
    /// Most connections, over all workers; further ones are closed at once.
    pub connections_max: usize,
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
    /// Open connections, over all workers.
    pub connections: AtomicUsize,
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
        let _open = OpenConnection::new(&self.shared)?;
        let digest = stream.get_socket_digest()?;
        let peer = *digest.peer_addr()?.as_inet()?;
        let local = *digest.local_addr()?.as_inet()?;
        let is_tls = stream.get_ssl_digest().is_some();
        let connection = Arc::new(Connection::new(peer, local, is_tls));
        protocol::serve(self, stream, connection).await;
        None
    }
}

/// Counts a connection for as long as it lives.
struct OpenConnection<'shared>(&'shared Shared);

impl<'shared> OpenConnection<'shared> {
    /// `None` when there are too many.
    fn new(shared: &'shared Shared) -> Option<Self> {
        let before = shared.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Self(shared);
        (before < shared.limits.connections_max).then_some(counted)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
