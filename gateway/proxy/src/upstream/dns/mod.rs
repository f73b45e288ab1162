//! Names to addresses: a stub resolver of our own (RFC 1123 section 6.1.3) that never blocks a thread.
//!
//! It runs on the thread that looks after upstreams, not on workers. Each name is asked for once at a time, however many upstreams
//! have it; answers are kept for as long as their zone says, within a floor and a ceiling, "no" too (RFC 2308); when no server
//! answers, the last good answer serves on (RFC 8767). What the hosts file knows is not asked for.
//!
//! *Why not a crate*: the well-kept ones bring some forty others, and what matters here (one question per name in the process, stale
//! answers, times to live seen by the caller) would be built on top of them all the same.

mod message;
mod system;
mod transport;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::upstream::dns::message::{Kind, Record, Server};
use crate::upstream::dns::system::System;

/// Most names kept.
const NAMES_MAX: usize = 10_000;

/// How long what the hosts file says is used without looking again.
const HOSTS_TTL: Duration = Duration::from_secs(10);

/// How long an old answer serves when no server gives a new one (RFC 8767 section 5 recommends one to three days).
const STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon a name is asked for again after no server answered; doubles up to the second.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long the addresses of one family are waited for when those of the other are there.
const FAMILY_PATIENCE: Duration = Duration::from_millis(250);

/// Most servers of a service that are looked at.
const SERVERS_MAX: usize = 64;

/// Most names that an alias leads through, beyond those within one answer.
const ALIAS_STEPS_MAX: usize = 8;

/// How names are resolved.
#[derive(Clone, Debug)]
pub struct ResolverOptions {
    /// Servers to ask; empty for those of `resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// The hosts file.
    pub hosts_file: PathBuf,
    /// The file that names servers and search domains.
    pub resolv_conf: PathBuf,
    /// Longest wait for one server.
    pub timeout: Duration,
    /// How often all servers are tried.
    pub attempts: u32,
    /// Shortest time that an answer is used, whatever its time to live.
    pub ttl_min: Duration,
    /// Longest time that an answer is used, whatever its time to live.
    pub ttl_max: Duration,
    /// Longest time that "no such name" is believed.
    pub negative_ttl_max: Duration,
}

impl Default for ResolverOptions {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            hosts_file: PathBuf::from("/etc/hosts"),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            timeout: Duration::from_millis(1_500),
            attempts: 2,
            ttl_min: Duration::from_secs(1),
            ttl_max: Duration::from_secs(300),
            negative_ttl_max: Duration::from_secs(30),
        }
    }
}

/// What is looked for: a host's addresses, or a service's servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Query {
    pub(super) name: Box<str>,
    pub(super) is_srv: bool,
}

/// An address that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: IpAddr,
    /// What SRV records say beside it.
    pub(super) service: Option<Service>,
}

/// What an SRV record says about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) port: u16,
    pub(super) weight: u16,
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LookupError {
    /// The servers say that there is none.
    #[error("there is no such name, or it has no address")]
    NoSuchName,
    /// No server gave an answer.
    #[error("no name server answered")]
    NoAnswer,
}

/// What is known about a name, and until when that is used.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The addresses, IPv6 and IPv4 by turns (RFC 8305 section 4); never empty.
    pub(super) places: Result<Arc<[Place]>, LookupError>,
    pub(super) until: Instant,
}

/// Finds addresses. One for the process.
#[derive(Debug)]
pub(super) struct Resolver {
    options: ResolverOptions,
    system: Mutex<System>,
    names: Mutex<HashMap<Query, Slot>>,
}

#[derive(Debug)]
enum Slot {
    Known(Kept),
    /// Somebody asks; whoever else wants to know waits.
    Asking {
        done: watch::Receiver<bool>,
        before: Option<Kept>,
    },
}

enum Look {
    Known(Known),
    Wait(watch::Receiver<bool>),
}

#[derive(Clone, Debug)]
struct Kept {
    known: Known,
    /// The last addresses there were, for when no server answers.
    good: Option<(Arc<[Place]>, Instant)>,
    failures: u32,
}

impl Resolver {
    pub(super) fn new(options: ResolverOptions) -> Self {
        let system = System::new(options.hosts_file.clone(), options.resolv_conf.clone());
        Self { options, system: Mutex::new(system), names: Mutex::default() }
    }

    /// What is known about a name, after asking if need be.
    pub(super) async fn lookup(self: &Arc<Self>, query: &Query) -> Known {
        loop {
            let done = match self.look(query) {
                Look::Known(known) => return known,
                Look::Wait(done) => done,
            };
            wait(done).await;
        }
    }

    /// What is known, or whom to wait for; asks where nobody does yet.
    fn look(self: &Arc<Self>, query: &Query) -> Look {
        let mut names = self.names.lock();
        let before = match names.get(query) {
            Some(Slot::Known(kept)) if kept.known.until > Instant::now() => return Look::Known(kept.known.clone()),
            Some(Slot::Known(kept)) => Some(kept.clone()),
            Some(Slot::Asking { done, .. }) => return Look::Wait(done.clone()),
            None => None,
        };
        if names.len() >= NAMES_MAX {
            forget_some(&mut names);
        }
        let (sender, done) = watch::channel(false);
        names.insert(query.clone(), Slot::Asking { done: done.clone(), before });
        // A task of its own: the question goes on when whoever asked first does not wait for the answer.
        let (resolver, query) = (Arc::clone(self), query.clone());
        tokio::spawn(async move {
            resolver.ask(&query).await;
            sender.send_replace(true);
        });
        Look::Wait(done)
    }

    async fn ask(&self, query: &Query) {
        let found = if query.is_srv { self.service(&query.name).await } else { self.addresses(&query.name).await };
        let mut names = self.names.lock();
        let before = match names.remove(query) {
            Some(Slot::Asking { before, .. }) => before,
            Some(Slot::Known(kept)) => Some(kept),
            None => None,
        };
        let kept = self.judge(query, found, before);
        names.insert(query.clone(), Slot::Known(kept));
    }

    /// What is made of an answer, or of none.
    fn judge(&self, query: &Query, found: Found, before: Option<Kept>) -> Kept {
        let now = Instant::now();
        let options = &self.options;
        let (good, failures) = before.map_or((None, 0), |kept| (kept.good, kept.failures));
        match found {
            Found::Places(places, ttl) => {
                let places: Arc<[Place]> = places.into();
                let until = now + ttl.clamp(options.ttl_min, options.ttl_max.max(options.ttl_min));
                let good = Some((Arc::clone(&places), now));
                Kept { known: Known { places: Ok(places), until }, good, failures: 0 }
            }
            Found::Nothing(ttl) => {
                let until = now + ttl.clamp(options.ttl_min, options.negative_ttl_max.max(options.ttl_min));
                // The zone's word counts, as RFC 8767 section 4 asks: the old addresses are not used any more.
                Kept { known: Known { places: Err(LookupError::NoSuchName), until }, good: None, failures: 0 }
            }
            Found::NoAnswer(reason) => {
                let pause = FAILURE_PAUSE.saturating_mul(1 << failures.min(5)).min(FAILURE_PAUSE_MAX);
                let good = good.filter(|(_, since)| since.elapsed() < STALE_MAX);
                let name = &*query.name;
                if failures == 0 {
                    let fallback = if good.is_some() { "using its last addresses" } else { "it cannot be reached" };
                    tracing::warn!(name, reason, "name not resolved, {fallback}");
                }
                let places = good.as_ref().map(|(places, _)| Arc::clone(places)).ok_or(LookupError::NoAnswer);
                Kept { known: Known { places, until: now + pause }, good, failures: failures.saturating_add(1) }
            }
        }
    }

    /// The addresses of a host.
    async fn addresses(&self, name: &str) -> Found {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Found::Places(vec![Place { address, service: None }], self.options.ttl_max);
        }
        let (local, conf) = {
            let mut system = self.system.lock();
            (system.local(name), system.resolv_conf())
        };
        if let Some(addresses) = local {
            let places = addresses.into_iter().map(|address| Place { address, service: None }).collect();
            return Found::Places(places, HOSTS_TTL);
        }
        let mut nothing: Option<Duration> = None;
        for candidate in conf.candidates(name) {
            match self.both_families(&conf.servers, &candidate).await {
                Found::Nothing(ttl) => nothing = Some(nothing.map_or(ttl, |shortest| shortest.min(ttl))),
                other => return other,
            }
        }
        Found::Nothing(nothing.unwrap_or_default())
    }

    /// IPv4 and IPv6 addresses, asked for at the same time.
    async fn both_families(&self, servers: &[SocketAddr], name: &str) -> Found {
        let (v6, v4) = (self.question(servers, name, Kind::Aaaa), self.question(servers, name, Kind::A));
        let (mut v6, mut v4) = (std::pin::pin!(v6), std::pin::pin!(v4));
        // Whoever is second has a little longer if the first has something, and its whole time otherwise (RFC 8305 section 3).
        let (first, second) = tokio::select! {
            first = &mut v4 => {
                let second = patient(&first, v6).await;
                (second, first)
            }
            first = &mut v6 => {
                let second = patient(&first, v4).await;
                (first, second)
            }
        };
        merge(first, second)
    }

    /// The servers of a service (RFC 2782): those of the most preferred priority, with their addresses.
    async fn service(&self, name: &str) -> Found {
        let conf = self.system.lock().resolv_conf();
        let servers = if self.options.servers.is_empty() { &conf.servers } else { &self.options.servers };
        let (mut listed, mut ttl) = match self.records(servers, name, Kind::Srv).await {
            Records::Some(records, ttl) => (servers_of(records), ttl),
            Records::Nothing(ttl) => return Found::Nothing(ttl),
            Records::NoAnswer(reason) => return Found::NoAnswer(reason),
        };
        let preferred = listed.iter().map(|server| server.priority).min().unwrap_or_default();
        // A single `.` means that there is no such service.
        listed.retain(|server| server.priority == preferred && !server.host.is_empty());
        listed.truncate(SERVERS_MAX);
        let mut places = Vec::new();
        let mut failure = None;
        for server in &listed {
            let service = Some(Service { port: server.port, weight: server.weight });
            // The names in SRV records are whole.
            match self.addresses(&format!("{}.", server.host)).await {
                Found::Places(found, host_ttl) => {
                    ttl = ttl.min(host_ttl);
                    places.extend(found.into_iter().map(|place| Place { service, ..place }));
                }
                Found::Nothing(host_ttl) => ttl = ttl.min(host_ttl),
                Found::NoAnswer(reason) => failure = Some(reason),
            }
        }
        match failure {
            Some(reason) if places.is_empty() => Found::NoAnswer(reason),
            _ if places.is_empty() => Found::Nothing(ttl),
            _ => Found::Places(places, ttl),
        }
    }

    /// The addresses of one family.
    async fn question(&self, servers: &[SocketAddr], name: &str, kind: Kind) -> Found {
        let servers = if self.options.servers.is_empty() { servers } else { &self.options.servers };
        match self.records(servers, name, kind).await {
            Records::Some(records, ttl) => {
                let address = |record| match record {
                    Record::Address(address) => Some(Place { address, service: None }),
                    Record::Server(_) => None,
                };
                Found::Places(records.into_iter().filter_map(address).collect(), ttl)
            }
            Records::Nothing(ttl) => Found::Nothing(ttl),
            Records::NoAnswer(reason) => Found::NoAnswer(reason),
        }
    }

    /// The records of a name, aliases followed from answer to answer.
    async fn records(&self, servers: &[SocketAddr], name: &str, kind: Kind) -> Records {
        let mut name = name.to_owned();
        let mut shortest = Duration::MAX;
        for _ in 0..ALIAS_STEPS_MAX {
            let reply = match self.any_server(servers, &name, kind).await {
                Ok(reply) => reply,
                Err(reason) => return Records::NoAnswer(reason),
            };
            let ttl = Duration::from_secs(reply.ttl.unwrap_or_default().into()).min(shortest);
            match reply.alias {
                _ if !reply.records.is_empty() => return Records::Some(reply.records, ttl),
                Some(alias) if reply.code == 0 => {
                    name = alias;
                    shortest = ttl;
                }
                _ => return Records::Nothing(ttl),
            }
        }
        Records::Nothing(self.options.ttl_min)
    }

    /// The first answer that any server gives.
    async fn any_server(&self, servers: &[SocketAddr], name: &str, kind: Kind) -> Result<message::Reply, String> {
        let mut reason = "there is no name server".to_owned();
        for _ in 0..self.options.attempts.max(1) {
            for server in servers {
                match transport::ask(*server, name, kind, self.options.timeout).await {
                    // Success and "no such name" are answers; anything else is this server's trouble.
                    Ok(reply) if matches!(reply.code, 0 | 3) => return Ok(reply),
                    Ok(reply) => reason = format!("{server} answered with code {}", reply.code),
                    Err(error) => reason = format!("{server}: {error}"),
                }
            }
        }
        Err(reason)
    }
}

enum Records {
    Some(Vec<Record>, Duration),
    Nothing(Duration),
    NoAnswer(String),
}

enum Found {
    /// At least one address, and how long it holds.
    Places(Vec<Place>, Duration),
    /// There is none, and how long that holds.
    Nothing(Duration),
    NoAnswer(String),
}

async fn wait(mut done: watch::Receiver<bool>) {
    // An error means that the task which asked is gone, which is as good as done: the loop looks again.
    let _ = done.wait_for(|is_done| *is_done).await;
}

/// The second family's addresses.
async fn patient(first: &Found, second: impl Future<Output = Found>) -> Found {
    if !matches!(first, Found::Places(..)) {
        return second.await;
    }
    let late = || Found::NoAnswer("the other family's addresses were there".to_owned());
    tokio::time::timeout(FAMILY_PATIENCE, second).await.unwrap_or_else(|_| late())
}

/// Both families by turns, IPv6 first.
fn merge(v6: Found, v4: Found) -> Found {
    match (v6, v4) {
        (Found::Places(v6, ttl6), Found::Places(v4, ttl4)) => {
            let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
            let mut places = Vec::with_capacity(v6.len() + v4.len());
            loop {
                let before = places.len();
                places.extend(v6.next());
                places.extend(v4.next());
                if places.len() == before {
                    return Found::Places(places, ttl6.min(ttl4));
                }
            }
        }
        (Found::Places(places, ttl), _) | (_, Found::Places(places, ttl)) => Found::Places(places, ttl),
        (Found::NoAnswer(reason), _) | (_, Found::NoAnswer(reason)) => Found::NoAnswer(reason),
        (Found::Nothing(a), Found::Nothing(b)) => Found::Nothing(a.min(b)),
    }
}

fn servers_of(records: Vec<Record>) -> Vec<Server> {
    let server = |record| match record {
        Record::Server(server) => Some(server),
        Record::Address(_) => None,
    };
    records.into_iter().filter_map(server).collect()
}

/// Makes room: what is out of date goes first, then whatever is not being asked for.
fn forget_some(names: &mut HashMap<Query, Slot>) {
    let now = Instant::now();
    names.retain(|_, slot| !matches!(slot, Slot::Known(kept) if kept.known.until < now));
    if names.len() >= NAMES_MAX {
        names.retain(|_, slot| matches!(slot, Slot::Asking { .. }));
    }
}
