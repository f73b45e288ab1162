//! Names to addresses, without ever making a worker wait for a resolver it could do without.
//!
//! Pingora's peers resolve names blocking and panic when that fails, so they are only ever given addresses. The system's resolver
//! runs on a thread for blocking work; answers are kept for a while, and an answer that has become old still serves when the
//! resolver fails.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long an answer is used without asking again. The system's resolver does not tell what the name's own time to live is; this
/// is short enough for names that move.
const FRESH: Duration = Duration::from_secs(10);

/// Most names kept per worker.
const NAMES_MAX: usize = 10_000;

/// Kept answers of one worker.
#[derive(Default)]
pub(super) struct Resolver {
    known: Mutex<HashMap<Box<str>, Known>>,
    turn: AtomicUsize,
}

#[derive(Clone)]
struct Known {
    addresses: std::sync::Arc<[IpAddr]>,
    since: Instant,
}

impl Resolver {
    /// The addresses of a host, the one to try first in front: callers take turns.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let known = self.known.lock().get(host).cloned();
        let addresses = match known {
            Some(known) if known.since.elapsed() < FRESH => known.addresses,
            old => match self.ask(host).await {
                Ok(addresses) => addresses,
                Err(error) => match old {
                    Some(old) => {
                        tracing::warn!(host, %error, "name not resolved, using its last addresses");
                        old.addresses
                    }
                    None => return Err(error),
                },
            },
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
        let rotated = addresses[turn..].iter().chain(&addresses[..turn]);
        Ok(rotated.map(|address| SocketAddr::new(*address, port)).collect())
    }

    async fn ask(&self, host: &str) -> io::Result<std::sync::Arc<[IpAddr]>> {
        let mut addresses: Vec<IpAddr> =
            tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let addresses: std::sync::Arc<[IpAddr]> = addresses.into();
        let mut known = self.known.lock();
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(host.into(), Known { addresses: std::sync::Arc::clone(&addresses), since: Instant::now() });
        Ok(addresses)
    }
}
