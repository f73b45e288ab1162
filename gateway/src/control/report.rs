//! Telling the control plane what is served, and what stages with a canary counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moongate_admin::publish::feed::{Acknowledgement, Arm, Measurements};
use moongate_exchange::counters::Totals;
use moongate_runtime::plan::SitePlan;
use serde_json::Value;

use crate::control::Follower;

/// How often counts are told while there is a canary.
const COUNTS: Duration = Duration::from_millis(500);

/// How often the gateway says that it is there.
const ALIVE: Duration = Duration::from_secs(10);

/// Reports until the process ends.
pub(super) fn follow(follower: &Arc<Follower>) {
    // Counts begin at nothing with each start: as a node of its own, so that what was counted before is not lost.
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let node = format!("{}#{started:x}", follower.node);
    let mut said = Instant::now();
    let mut trials = Trials::default();
    loop {
        std::thread::sleep(COUNTS);
        let arms = trials.arms(follower);
        if !arms.is_empty() {
            // Counts are sums: the next report makes up for one that was lost.
            let _ = follower.feed.measure(Measurements { node: node.clone(), arms });
        }
        if said.elapsed() >= ALIVE {
            // Nobody to tell: the other threads say so.
            let _ = say_alive(follower);
            said = Instant::now();
        }
    }
}

/// Says what is served, and why not the newest.
pub(super) fn say(follower: &Follower, issues: Vec<Value>) -> anyhow::Result<()> {
    follower.feed.acknowledge(Acknowledgement {
        node: follower.node.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: follower.offered(),
        serving: follower.serving(),
        issues,
    })
}

fn say_alive(follower: &Follower) -> anyhow::Result<()> {
    // Issues of a refused revision were told when it was refused; only a served one has none.
    if follower.offered() == follower.serving() { say(follower, Vec::new()) } else { Ok(()) }
}

/// What was counted in each trial. A stage's own counters go on from one trial to the next, and begin anew when it is compiled again.
#[derive(Default)]
struct Trials(HashMap<(Box<str>, bool), Counted>);

struct Counted {
    /// What the stage's counters said last.
    last: Totals,
    /// What belongs to the trial.
    sum: Totals,
}

impl Trials {
    fn arms(&mut self, follower: &Follower) -> Vec<Arm> {
        let snapshot = follower.composer.published().load();
        let mut arms = Vec::new();
        let mut known = HashMap::new();
        for stage in snapshot.stages() {
            let Some(canary) = &stage.canary else { continue };
            for (site, is_canary) in [(&stage.stable, false), (&canary.site, true)] {
                let Some(totals) = site.stage.counters.totals() else { continue };
                let key = (canary.trial.clone(), is_canary);
                let counted = match self.0.remove(&key) {
                    Some(before) => before.with(totals),
                    // What the stable arm counted before the trial is not part of it.
                    None if !is_canary => {
                        Counted { last: (*canary.before).clone(), sum: Totals::default() }.with(totals)
                    }
                    None => Counted { sum: totals.clone(), last: totals },
                };
                arms.push(arm(site, &canary.trial, is_canary, &counted.sum));
                known.insert(key, counted);
            }
        }
        self.0 = known;
        arms
    }
}

impl Counted {
    fn with(mut self, totals: Totals) -> Self {
        let is_new = totals.requests < self.last.requests;
        let before = if is_new { Totals::default() } else { self.last };
        self.sum.add(&totals.since(&before));
        Self { last: totals, sum: self.sum }
    }
}

fn arm(site: &SitePlan, trial: &str, is_canary: bool, counted: &Totals) -> Arm {
    Arm {
        api: site.api_id.to_string(),
        stage: site.stage.name.to_string(),
        trial: trial.to_owned(),
        is_canary,
        requests: counted.requests,
        client_errors: counted.client_errors,
        server_errors: counted.server_errors,
        durations: counted.durations.to_vec(),
    }
}
