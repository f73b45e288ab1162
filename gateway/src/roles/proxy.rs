//! The data plane: listeners, workers, and the snapshot they serve.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use moongate_function::local::Functions;
use moongate_proxy::tls::Certificates;
use moongate_proxy::{Addresses, Listen, Options, Server, ServerError};
use moongate_runtime::Published;
use moongate_runtime::pipeline::Behaviour;

use crate::access_log;
use crate::settings::{AccessLog, Settings};

/// How long listeners have to come up.
const START: Duration = Duration::from_secs(10);

/// A proxy whose addresses are reserved.
pub(crate) struct Proxy {
    server: Server,
}

impl Proxy {
    /// Reserves the addresses and reads the certificates.
    ///
    /// # Errors
    ///
    /// When an address is taken or a certificate cannot be used.
    pub(crate) fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let https = match &settings.tls {
            Some(tls) => Some((tls.listen, Certificates::read(&tls.certificates)?)),
            None => None,
        };
        let server = Server::bind(Listen {
            http: settings.listen,
            https,
            health: settings.health_listen,
            http_proxy_protocol: settings.proxy_protocol,
            https_proxy_protocol: settings.tls.as_ref().is_some_and(|tls| tls.proxy_protocol),
        });
        Ok(Self { server: server.map_err(with_advice)? })
    }

    /// Where it will listen.
    pub(crate) fn addresses(&self) -> Addresses {
        self.server.addresses()
    }

    /// Serves until the process is told to end; `ready` is called once, when all listeners accept.
    ///
    /// # Errors
    ///
    /// When TLS or the access log cannot be set up.
    pub(crate) fn run(
        self,
        settings: &Settings,
        access_log: AccessLog,
        shows_details: bool,
        published: Arc<Published>,
        functions: Functions,
        ready: impl FnOnce(Addresses) + Send + 'static,
    ) -> anyhow::Result<()> {
        let addresses = self.addresses();
        let options = Options {
            workers: settings.workers,
            limits: settings.limits,
            behaviour: Behaviour { shows_details },
            trusted_proxies: settings.trusted_proxies(),
            drain: settings.drain,
            listener: access_log::listener(access_log)?,
            published,
            resolver: settings.resolver.clone(),
            end: Arc::new(move || {
                functions.stop_blocking();
                std::process::exit(0)
            }),
        };
        std::thread::Builder::new().name("start".to_owned()).spawn(move || {
            let all = [Some(addresses.http), addresses.https, Some(addresses.health)];
            if all.into_iter().flatten().all(accepts) {
                ready(addresses);
            }
        })?;
        self.server.run(options)?;
        Ok(())
    }
}

/// What to do about an address that is taken.
fn with_advice(error: ServerError) -> anyhow::Error {
    let is_taken =
        matches!(&error, ServerError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse);
    if is_taken {
        let advice = "another process listens there; choose another address with --listen or --health-listen";
        return anyhow::anyhow!("{error}: {advice}");
    }
    anyhow::Error::new(error)
}

/// Waits until somebody accepts on an address. Workers bind their sockets themselves, so this is how one sees that they have.
fn accepts(address: SocketAddr) -> bool {
    let reachable = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()))
        }
        other => other,
    };
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if TcpStream::connect_timeout(&reachable, Duration::from_secs(1)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    tracing::error!(%address, "nobody accepts connections");
    false
}
