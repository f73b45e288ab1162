//! Everything that is known about upstreams in this process, and the thread that keeps it current: names are looked up again, targets
//! are asked whether they are well. Nothing of that happens on workers, and nothing of it happens once for each of them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moongate_config::upstream::TARGETS_MAX;
use moongate_runtime::plan::IntegrationPlan;
use moongate_runtime::{Published, Upstream};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::upstream::check;
use crate::upstream::connect::Connector;
use crate::upstream::dns::{Known, LookupError, Query, Resolver, ResolverOptions};
use crate::upstream::figures;
use crate::upstream::state::{Address, State};

/// How often upstreams are looked through for those that no configuration has any more.
const SWEEP: Duration = Duration::from_secs(10);

/// Soonest that names are looked up again, whatever they say.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// What is known about all upstreams. One for the process.
pub struct Fleet {
    workers: usize,
    resolver: Arc<Resolver>,
    states: Mutex<HashMap<u64, Arc<State>>>,
    /// Upstreams that nobody looks after yet.
    new: mpsc::UnboundedSender<Arc<State>>,
}

impl Fleet {
    /// Starts looking after upstreams, on a thread of its own, for as long as the process runs.
    ///
    /// # Errors
    ///
    /// When the thread or its runtime cannot be started.
    pub fn start(options: ResolverOptions, workers: usize, published: Arc<Published>) -> io::Result<Arc<Self>> {
        let (new, arrivals) = mpsc::unbounded_channel();
        let resolver = Arc::new(Resolver::new(options));
        let fleet = Arc::new(Self { workers, resolver, states: Mutex::default(), new });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let for_thread = Arc::clone(&fleet);
        std::thread::Builder::new().name("upstreams".to_owned()).spawn(move || {
            runtime.block_on(for_thread.look_after(arrivals, &published));
        })?;
        Ok(fleet)
    }

    /// What is known about an upstream; from now on somebody looks after it.
    pub(super) fn state(&self, upstream: &Arc<Upstream>) -> Arc<State> {
        let mut states = self.states.lock();
        let state = states.entry(upstream.id).or_insert_with(|| {
            let state = Arc::new(State::new(upstream, self.workers));
            // The thread that receives lives as long as the process. Without it (at its end) nothing is looked after.
            let _ = self.new.send(Arc::clone(&state));
            state
        });
        Arc::clone(state)
    }

    /// Writes figures about upstreams in Prometheus' text format.
    pub(crate) fn write_metrics(&self, text: &mut String) {
        let states: Vec<Arc<State>> = self.states.lock().values().cloned().collect();
        figures::write(text, &states);
    }

    async fn look_after(self: Arc<Self>, mut arrivals: mpsc::UnboundedReceiver<Arc<State>>, published: &Published) {
        let connector = Arc::new(Connector::default());
        let mut changed = published.subscribe();
        changed.mark_changed();
        loop {
            tokio::select! {
                Some(state) = arrivals.recv() => {
                    tokio::spawn(keep(state, Arc::clone(&self.resolver), Arc::clone(&connector)));
                }
                // The sender lives as long as the process.
                Ok(()) = changed.changed() => self.meet(published),
                () = tokio::time::sleep(SWEEP) => {
                    let mut states = self.states.lock();
                    states.retain(|_, state| state.is_wanted());
                    connector.forget(|upstream| states.contains_key(&upstream));
                }
            }
        }
    }

    /// Looks after the upstreams of a new revision before the first request comes.
    fn meet(&self, published: &Published) {
        let snapshot = published.load();
        for site in snapshot.sites() {
            for route in site.router.routes() {
                if let IntegrationPlan::HttpProxy(plan) | IntegrationPlan::Http(plan) = &route.integration {
                    drop(self.state(&plan.call.upstream));
                    if let Some(mirror) = &plan.call.mirror {
                        drop(self.state(&mirror.call.upstream));
                    }
                }
            }
        }
    }
}

/// Keeps one upstream current for as long as it is wanted.
async fn keep(state: Arc<State>, resolver: Arc<Resolver>, connector: Arc<Connector>) {
    let watch_over = |endpoints: Vec<_>| {
        if let Some(rules) = &state.spec.health_check {
            for endpoint in endpoints {
                tokio::spawn(check::watch(Arc::clone(&state), endpoint, rules.clone(), Arc::clone(&connector)));
            }
        }
    };
    if !state.has_names {
        watch_over(state.endpoints().list.to_vec());
        return;
    }
    while state.is_wanted() {
        let (addresses, until, failure) = look_up(&state, &resolver).await;
        match addresses {
            Some(addresses) => watch_over(state.set_addresses(&addresses, Some(until), failure)),
            None => state.prolong(until),
        }
        tokio::time::sleep(until.saturating_duration_since(Instant::now()).max(LOOK_MIN)).await;
        // Names that nobody asks for are not looked up for nothing.
        while !state.take_use() && state.spec.health_check.is_none() && state.is_wanted() {
            tokio::select! {
                () = state.wanted.notified() => {}
                () = tokio::time::sleep(SWEEP) => {}
            }
        }
    }
}

type LookedUp = (Option<Vec<Address>>, Instant, Option<(Box<str>, &'static str)>);

/// The addresses of all targets now, and until when that holds. `None` when nothing is known that was not known before.
async fn look_up(state: &State, resolver: &Arc<Resolver>) -> LookedUp {
    let mut lookups = JoinSet::new();
    for (index, target) in state.spec.targets.iter().enumerate() {
        let (resolver, query) = (Arc::clone(resolver), Query { name: target.host.clone(), is_srv: target.is_srv });
        lookups.spawn(async move { (index, resolver.lookup(&query).await) });
    }
    let mut found: Vec<(usize, Known)> = Vec::with_capacity(state.spec.targets.len());
    while let Some(outcome) = lookups.join_next().await {
        found.extend(outcome.ok());
    }
    found.sort_unstable_by_key(|(index, _)| *index);
    let until = found.iter().map(|(_, known)| known.until).min().unwrap_or_else(Instant::now);
    let before = state.endpoints().list.to_vec();
    let mut addresses = Vec::new();
    let mut failure = None;
    for (index, known) in &found {
        let target = &state.spec.targets[*index];
        match &known.places {
            Ok(places) => {
                addresses.extend(places.iter().map(|place| Address {
                    target: *index,
                    address: SocketAddr::new(place.address, place.service.map_or(target.port, |service| service.port)),
                    weight: place.service.map_or(target.weight, |service| {
                        target.weight.saturating_mul(u32::from(service.weight).max(1))
                    }),
                }));
            }
            Err(error) => {
                let reason = match error {
                    LookupError::NoSuchName => "there is no such name, or it has no address",
                    LookupError::NoAnswer => "no name server answered",
                };
                failure = Some((target.host.clone(), reason));
                if *error == LookupError::NoAnswer {
                    let last = before.iter().filter(|endpoint| endpoint.target == *index);
                    addresses.extend(last.map(|endpoint| Address {
                        target: *index,
                        address: endpoint.address,
                        weight: endpoint.weight,
                    }));
                }
            }
        }
    }
    addresses.dedup();
    addresses.truncate(TARGETS_MAX);
    let is_same = addresses.len() == before.len()
        && !before.is_empty()
        && addresses
            .iter()
            .zip(&before)
            .all(|(now, known)| (now.address, now.target, now.weight) == (known.address, known.target, known.weight));
    ((!is_same).then_some(addresses), until, failure)
}
