//! Workers, listeners, and the end of the process.
//!
//! One Pingora service per worker, each with one thread of its own and the same addresses. On SIGTERM the process drains: its
//! API listeners close, `/readyz` turns 503, connections end after the request they are in, and when none is left, or the drain's time is up, the process
//! ends. SIGINT ends it at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use moongate_runtime::Published;
use moongate_runtime::pipeline::Behaviour;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server as PingoraServer, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::listening::Service;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::downstream::{Engine, Limits, Listener, Listening, Shared, TrustedProxies};
use crate::health::{self, Health};
use crate::listeners::{self, Reserved};
use crate::tls::{Certificates, TlsError};
use crate::upstream::{Fleet, ResolverOptions};

/// How often a draining process looks whether requests are left.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Pingora's read buffer under TLS, in bytes: a record's head and the record itself then come with one system call. It is there for as
/// long as the connection, so it is a quarter of Pingora's default. Without TLS there is none: the codec reads into a buffer of
/// its own and writes an answer at once.
const TLS_READ_BUFFER_BYTES: usize = 16 * 1024;

/// Where to listen.
pub struct Listen {
    /// Plain HTTP/1.1 and HTTP/2.
    pub http: SocketAddr,
    /// TLS, if at all.
    pub https: Option<(SocketAddr, Certificates)>,
    /// Health and metrics.
    pub health: SocketAddr,
    /// Whether plain connections begin with the PROXY protocol.
    pub http_proxy_protocol: bool,
    /// Whether TLS connections begin with the PROXY protocol.
    pub https_proxy_protocol: bool,
}

/// Where the server really listens: port 0 has become a port.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Plain HTTP/1.1 and HTTP/2.
    pub http: SocketAddr,
    /// TLS.
    pub https: Option<SocketAddr>,
    /// Health and metrics.
    pub health: SocketAddr,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("the thread that looks after upstreams cannot be started")]
    Thread(#[source] std::io::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What the server needs beside addresses.
pub struct Options {
    /// Worker threads.
    pub workers: usize,
    /// What clients may take.
    pub limits: Limits,
    /// How errors look.
    pub behaviour: Behaviour,
    /// Who may say for whom it asks. `None`: nobody.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Longest wait for requests under way when the process is told to end.
    pub drain: Duration,
    /// Hears about finished requests.
    pub listener: Listener,
    /// Where snapshots are published.
    pub published: Arc<Published>,
    /// How names of upstreams are resolved.
    pub resolver: ResolverOptions,
    /// Ends the process, when it was told to and has drained.
    pub end: Arc<dyn Fn() + Send + Sync>,
}

/// A server whose addresses are reserved.
pub struct Server {
    http: Reserved,
    https: Option<(Reserved, Certificates)>,
    health: Reserved,
    http_proxy_protocol: bool,
    https_proxy_protocol: bool,
}

impl Server {
    /// Reserves the addresses.
    ///
    /// # Errors
    ///
    /// When one of them cannot be listened on.
    pub fn bind(listen: Listen) -> Result<Self, ServerError> {
        let reserve = |address| listeners::reserve(address).map_err(|source| ServerError::Listen { address, source });
        let https = match listen.https {
            Some((address, certificates)) => Some((reserve(address)?, certificates)),
            None => None,
        };
        Ok(Self {
            http: reserve(listen.http)?,
            https,
            health: reserve(listen.health)?,
            http_proxy_protocol: listen.http_proxy_protocol,
            https_proxy_protocol: listen.https_proxy_protocol,
        })
    }

    /// Where the server will listen.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            http: self.http.address,
            https: self.https.as_ref().map(|(reserved, _)| reserved.address),
            health: self.health.address,
        }
    }

    /// Serves until the process is told to end.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn run(self, options: Options) -> Result<(), ServerError> {
        let (drain, draining) = watch::channel(false);
        let workers = options.workers.max(1);
        let fleet =
            Fleet::start(options.resolver, workers, Arc::clone(&options.published)).map_err(ServerError::Thread)?;
        let limits = options.limits;
        let mut listeners = vec![Listening::new(self.http.address, self.http_proxy_protocol, None, &limits)?];
        if let Some((reserved, certificates)) = &self.https {
            let certificates = Some(certificates.clone());
            listeners.push(Listening::new(reserved.address, self.https_proxy_protocol, certificates, &limits)?);
        }
        let shared = Arc::new(Shared {
            fleet,
            published: options.published,
            behaviour: options.behaviour,
            limits: options.limits,
            listener: options.listener,
            draining,
            in_flight: AtomicUsize::new(0),
            trusted_proxies: options.trusted_proxies,
            listeners,
        });
        let mut server = PingoraServer::new_with_opt_and_conf(None, configuration(options.drain));
        for worker in 0..workers {
            let mut service = Service::new(format!("worker {worker}"), Engine::new(Arc::clone(&shared), worker));
            service.threads = Some(1);
            let (address, socket) = listeners::for_worker(self.http.address, worker);
            let listener = ListenerConfig::tcp(address).tcp_socket_options(socket);
            service.add_listener(listener.l4_buffer(L4BufferSettings::unbuffered()));
            if let Some((reserved, _)) = &self.https {
                // TLS is ours: see `downstream/accept.rs`.
                let (address, socket) = listeners::for_worker(reserved.address, worker);
                let listener = ListenerConfig::tcp(address).tcp_socket_options(socket);
                service.add_listener(listener.l4_buffer(L4BufferSettings::default().read(TLS_READ_BUFFER_BYTES)));
            }
            server.add_service(service);
        }
        let listener = self.health.listen();
        listener
            .and_then(|listener| health::start(Health { shared: Arc::clone(&shared) }, listener))
            .map_err(|source| ServerError::Listen { address: self.health.address, source })?;
        let end = End { drain, longest: options.drain, shared, end: options.end };
        server.run(RunArgs { shutdown_signal: Box::new(end) });
        Ok(())
    }
}

/// Pingora's own settings. Its defaults wait five minutes before a process may end; ours is to have drained by then.
fn configuration(drain: Duration) -> ServerConf {
    ServerConf {
        work_stealing: false,
        // Pingora waits for all of this, whatever goes on; the drain ends the process earlier.
        grace_period_seconds: Some(drain.as_secs() + 1),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    }
}

/// Waits for the signal to end.
struct End {
    drain: watch::Sender<bool>,
    longest: Duration,
    shared: Arc<Shared>,
    end: Arc<dyn Fn() + Send + Sync>,
}

#[async_trait]
impl ShutdownSignalWatch for End {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("signals cannot be received, the process ends when it is killed");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
            _ = terminate.recv() => {}
        }
        tracing::info!("draining");
        self.drain.send_replace(true);
        // Listeners close when this function returns, so the waiting goes on elsewhere.
        let (shared, longest, end) = (Arc::clone(&self.shared), self.longest, Arc::clone(&self.end));
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                () = drained(&shared, longest) => {}
            }
            end();
        });
        ShutdownSignal::GracefulTerminate
    }
}

/// Waits until no request is under way, or the time is up.
async fn drained(shared: &Shared, longest: Duration) {
    let none_left = async {
        while shared.in_flight.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        // The last answers are in the sockets' buffers; their connections close by themselves.
        tokio::time::sleep(DRAIN_LOOK).await;
    };
    if tokio::time::timeout(longest, none_left).await.is_err() {
        let left = shared.in_flight.load(Ordering::Relaxed);
        tracing::warn!(left, "the drain's time is up, requests under way are cut off");
    }
}
