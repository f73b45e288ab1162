//! Judging canaries: is the deployment on trial worse than the one it may replace, and can that still be chance?
//!
//! A trial is looked at again and again, so an ordinary test with 5 % of error would be wrong nearly always, sooner or later. The difference
//! of two rates is therefore held against a *confidence sequence*, whose bounds hold for all looks together: Waudby-Smith, Arbour, Sinha,
//! Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem
//! 2.2, with a variance of the difference as in a two-sample test.

use std::sync::Weak;
use std::time::Duration;

use moongate_admin_store::measurement::{Counts, Side};
use moongate_config::revision::{CanaryManifest, CanaryRule};
use moongate_config::{Manifest, StageName};
use moongate_exchange::counters;
use schemars::JsonSchema;
use serde::Serialize;

use crate::auth::Access;
use crate::control::{Control, Inner};
use crate::problem::Problem;
use crate::publish::feed::arm_name;
use crate::publish::stage;

/// How often trials are judged.
const LOOK: Duration = Duration::from_millis(500);

/// How often, over the whole course of a trial, a canary that is not worse may be taken for worse.
const ALPHA: f64 = 0.01;

/// Where the confidence sequence is tightest, in requests of the canary.
const TIGHTEST_AT: f64 = 1000.0;

/// What is known about one arm.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// Requests that were answered.
    pub requests: u64,
    /// The share with a status from 400 to 499, in percent.
    pub client_errors_percent: f64,
    /// The share with a status from 500 to 599, in percent.
    pub server_errors_percent: f64,
    /// The 95th percentile of durations, in milliseconds, known to within a quarter.
    pub p95_ms: f64,
}

/// What is thought of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Opinion {
    /// The canary has not answered enough requests.
    NotEnoughData,
    /// Nothing is worse than the rule allows.
    Fine,
    /// It looks worse than the rule allows, which can still be chance.
    Watch,
    /// It is worse than the rule allows.
    Worse,
}

/// A trial, judged.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Verdict {
    /// What is thought of it.
    pub opinion: Opinion,
    /// Why, in words with numbers.
    pub reasons: Vec<String>,
    /// What the stage serves.
    pub stable: Measured,
    /// What is on trial.
    pub canary: Measured,
}

/// Judges two arms by a rule.
pub fn judge(rule: &CanaryRule, stable: &Counts, canary: &Counts) -> Verdict {
    let mut verdict =
        Verdict { opinion: Opinion::Fine, reasons: Vec::new(), stable: measured(stable), canary: measured(canary) };
    if canary.requests < u64::from(rule.requests_min) {
        verdict.opinion = Opinion::NotEnoughData;
        verdict.reasons.push(format!("{} of {} requests answered", canary.requests, rule.requests_min));
        return verdict;
    }
    let rates = [
        ("5xx", Some(rule.server_errors_points), stable.server_errors, canary.server_errors),
        ("4xx", rule.client_errors_points, stable.client_errors, canary.client_errors),
    ];
    for (name, allowed, stable_count, canary_count) in rates {
        let Some(allowed) = allowed else { continue };
        let rate = |count: u64, of: u64| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let (old, new) = (rate(stable_count, stable.requests), rate(canary_count, canary.requests));
        let excess = (new - old) - allowed / 100.0;
        if excess <= 0.0 {
            continue;
        }
        let is_certain = excess > radius(old, stable.requests, new, canary.requests);
        let reason = format!("{name} {:.2} % -> {:.2} %, {allowed} points more are allowed", old * 100.0, new * 100.0);
        verdict.note(is_certain, reason);
    }
    if let Some(allowed) = rule.p95_percent {
        let (old, new) = (verdict.stable.p95_ms, verdict.canary.p95_ms);
        if stable.requests >= u64::from(rule.requests_min) && new > old * (1.0 + allowed / 100.0) {
            // Percentiles are known to within a bucket: what lies within it is not certain.
            let is_certain = new > old * (1.0 + allowed / 100.0) * 1.25;
            verdict.note(is_certain, format!("p95 {old:.1} ms -> {new:.1} ms, {allowed} % more are allowed"));
        }
    }
    verdict
}

impl Verdict {
    fn note(&mut self, is_certain: bool, reason: String) {
        let opinion = if is_certain { Opinion::Worse } else { Opinion::Watch };
        if self.opinion != Opinion::Worse {
            self.opinion = opinion;
        }
        self.reasons.push(reason);
    }
}

/// How far the difference of two measured rates can be from the true one, at all looks together.
fn radius(old: f64, old_requests: u64, new: f64, new_requests: u64) -> f64 {
    // A rate of 0 or 1 says nothing about its spread: one more of either kind is assumed (Agresti and Caffo, 2000).
    let spread = |rate: f64, requests: u64| {
        let requests = requests as f64;
        let rate = (rate * requests + 1.0) / (requests + 2.0);
        rate * (1.0 - rate) / requests.max(1.0)
    };
    let n = new_requests.max(1) as f64;
    let variance = (spread(old, old_requests) + spread(new, new_requests)) * n;
    let rho_squared = (-2.0 * ALPHA.ln() + (-2.0 * ALPHA.ln() + 1.0).ln()) / TIGHTEST_AT;
    let scaled = n * rho_squared + 1.0;
    (variance * 2.0 * scaled / (n * n * rho_squared) * (scaled.sqrt() / ALPHA).ln()).sqrt()
}

fn measured(counts: &Counts) -> Measured {
    let percent = |count: u64| {
        if counts.requests == 0 { 0.0 } else { (count as f64 / counts.requests as f64 * 10_000.0).round() / 100.0 }
    };
    Measured {
        requests: counts.requests,
        client_errors_percent: percent(counts.client_errors),
        server_errors_percent: percent(counts.server_errors),
        p95_ms: p95_ms(&counts.durations),
    }
}

/// The bound below which 95 % of the durations lie.
fn p95_ms(durations: &[u64]) -> f64 {
    let total: u64 = durations.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let wanted = (total as f64 * 0.95).ceil() as u64;
    let mut seen = 0;
    let at = durations.iter().position(|count| {
        seen += count;
        seen >= wanted
    });
    counters::bound(at.unwrap_or(durations.len())).as_secs_f64() * 1000.0
}

impl Control {
    /// Judges the trial of a stage.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn verdict(&self, api: &str, stage: &StageName, canary: &CanaryManifest) -> Result<Verdict, Problem> {
        let trial = canary.trial();
        let side = |is_canary| Side { api, stage: stage.as_str(), trial: &trial, arm: arm_name(is_canary) };
        let stable = self.store().measured(&side(false)).await?;
        let measured = self.store().measured(&side(true)).await?;
        Ok(judge(&canary.rule.unwrap_or_default(), &stable, &measured))
    }
}

/// Judges all trials with a rule until the control plane is gone, and ends those that are worse.
pub(crate) async fn watch(inner: Weak<Inner>) {
    let mut manifest = Manifest::default();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(control) = inner.upgrade().map(Control::from_inner) else { return };
        let newest = control.versions().borrow().revision;
        if newest != manifest.revision {
            match control.store().manifest(newest).await {
                Ok(Some(found)) => manifest = found,
                // The next look may find it.
                Ok(None) | Err(_) => continue,
            }
        }
        for (api, stages) in &manifest.apis {
            for stage in &stages.stages {
                let Some(canary) = stage.canary.as_ref().filter(|canary| canary.rule.is_some()) else { continue };
                if let Err(problem) = act(&control, api, &stage.settings.name, canary).await {
                    tracing::warn!(api.id = %api, stage = %stage.settings.name, error = problem.detail, "canary not judged");
                }
            }
        }
    }
}

async fn act(control: &Control, api: &str, name: &StageName, canary: &CanaryManifest) -> Result<(), Problem> {
    let verdict = control.verdict(api, name, canary).await?;
    if verdict.opinion != Opinion::Worse {
        return Ok(());
    }
    let evidence = format!(
        "{} (stable {} requests, canary {})",
        verdict.reasons.join("; "),
        verdict.stable.requests,
        verdict.canary.requests
    );
    stage::end_canary(control, &Access::system("canary rule"), api, name, Some(&canary.trial()), &evidence).await?;
    tracing::warn!(api.id = %api, stage = %name, evidence, "canary rolled back by its rule");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, server_errors: u64) -> Counts {
        Counts { requests, server_errors, ..Counts::default() }
    }

    #[test]
    fn a_verdict_needs_enough_requests_and_a_difference_that_is_no_chance() {
        let rule = CanaryRule::default();
        let cases = [
            ((9000, 0), (499, 499), Opinion::NotEnoughData),
            ((9000, 90), (1000, 10), Opinion::Fine),
            ((9000, 90), (1000, 25), Opinion::Fine),
            ((9000, 90), (1000, 34), Opinion::Watch),
            ((9000, 90), (1000, 200), Opinion::Worse),
            ((0, 0), (1000, 500), Opinion::Watch),
            ((9000, 900), (1000, 0), Opinion::Fine),
        ];
        for (stable, canary, want) in cases {
            let verdict = judge(&rule, &counts(stable.0, stable.1), &counts(canary.0, canary.1));
            assert_eq!(verdict.opinion, want, "{stable:?} {canary:?}: {:?}", verdict.reasons);
        }
    }

    #[test]
    fn a_canary_that_is_not_worse_is_not_rolled_back_however_often_it_is_looked_at() {
        // A generator of our own, so that the test always says the same (Marsaglia, "Xorshift RNGs", 2003).
        let mut state = 88_172_645_463_325_252_u64;
        let mut chance = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let rule = CanaryRule { requests_min: 20, server_errors_points: 0.0, ..CanaryRule::default() };
        let mut rolled_back = 0;
        for _ in 0..200 {
            let (mut stable, mut canary) = (Counts::default(), Counts::default());
            for look in 0..3000 {
                for (arm, share) in [(&mut stable, 3), (&mut canary, 1)] {
                    arm.requests += share;
                    arm.server_errors += (0..share).filter(|_| chance() < 0.05).count() as u64;
                }
                if look % 10 == 0 && judge(&rule, &stable, &canary).opinion == Opinion::Worse {
                    rolled_back += 1;
                    break;
                }
            }
        }
        assert!(rolled_back <= 6, "{rolled_back} of 200 sound canaries were rolled back");
    }

    #[test]
    fn a_slow_canary_is_worse_where_the_rule_says_so() {
        let durations = |bucket: usize| {
            let mut durations = vec![0; counters::BUCKETS];
            durations[bucket] = 1000;
            Counts { requests: 1000, durations, ..Counts::default() }
        };
        let rule = CanaryRule { p95_percent: Some(50.0), ..CanaryRule::default() };
        assert_eq!(judge(&rule, &durations(20), &durations(21)).opinion, Opinion::Fine);
        assert_eq!(judge(&rule, &durations(20), &durations(40)).opinion, Opinion::Worse);
        assert_eq!(judge(&CanaryRule::default(), &durations(20), &durations(40)).opinion, Opinion::Fine);
    }
}
