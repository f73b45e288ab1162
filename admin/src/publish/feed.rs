//! What gateways follow: revisions with their deployments, and the credentials, which travel apart so that a new key recompiles nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use moongate_admin_store::measurement::{Counts, Side};
use moongate_admin_store::records::{KeyRecord, NodeRecord, UsagePlanRecord};
use moongate_admin_store::{Expect, now_ms};
use moongate_config::usage_plan::UsagePlanConfig;
use moongate_config::{Deployment, Digest, Manifest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::Control;
use crate::problem::Problem;

/// Longest a gateway is kept waiting for news.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Everything a gateway must know about keys. It holds no key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CredentialFeed {
    /// Grows with every change.
    pub version: i64,
    /// The keys.
    pub keys: Vec<KeyEntry>,
    /// The usage plans by id.
    pub plans: BTreeMap<String, UsagePlanConfig>,
}

/// What a gateway must know about a key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyEntry {
    /// Its id.
    pub id: String,
    /// Its SHA-256, 64 hexadecimal digits.
    pub hash: String,
    /// Whether it is accepted.
    pub enabled: bool,
    /// Until when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// The usage plans it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
}

/// What a gateway says about itself: after every revision it was offered, and every few seconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledgement {
    /// The gateway's name.
    #[schemars(length(min = 1, max = 128))]
    pub node: String,
    /// The version of its program.
    #[schemars(length(max = 64))]
    pub version: String,
    /// The newest revision it was offered.
    pub revision: u64,
    /// The revision it serves.
    pub serving: u64,
    /// Why it does not serve the newest.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub issues: Vec<Value>,
}

/// What a gateway counted on stages with a canary, since it was started.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Measurements {
    /// The gateway's name and something that is new with each of its starts.
    #[schemars(length(min = 1, max = 192))]
    pub node: String,
    /// The arms.
    #[schemars(length(max = 10_000))]
    pub arms: Vec<Arm>,
}

/// One arm of a stage with a canary.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Arm {
    /// The API.
    pub api: String,
    /// The stage.
    pub stage: String,
    /// The trial.
    pub trial: String,
    /// Whether it is the canary.
    pub is_canary: bool,
    /// Requests that were answered.
    pub requests: u64,
    /// Of these, with a status from 400 to 499.
    pub client_errors: u64,
    /// Of these, with a status from 500 to 599.
    pub server_errors: u64,
    /// How many took how long, by bucket.
    #[schemars(length(max = 200))]
    pub durations: Vec<u64>,
}

/// The arm's name in the store.
pub(super) fn arm_name(is_canary: bool) -> &'static str {
    if is_canary { "canary" } else { "stable" }
}

impl Control {
    /// The newest revision, as soon as there is one after `after`; `None` when `wait` is over.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn next_manifest(&self, after: u64, wait: Duration) -> Result<Option<Manifest>, Problem> {
        let mut versions = self.versions();
        let news =
            tokio::time::timeout(wait.min(WAIT_MAX), versions.wait_for(|versions| versions.revision != after)).await;
        // The sender lives as long as the control plane.
        let Ok(Ok(revision)) = news.map(|found| found.map(|versions| versions.revision)) else { return Ok(None) };
        Ok(self.store().manifest(revision).await?)
    }

    /// A deployment by its digest.
    ///
    /// # Errors
    ///
    /// When there is none, or the store cannot be reached.
    pub async fn deployment(&self, digest: &Digest) -> Result<Deployment, Problem> {
        self.store().deployment(digest).await?.ok_or_else(|| Problem::missing("deployment", &digest.to_string()))
    }

    /// All credentials, as soon as their version is not `known`; `None` when `wait` is over.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn next_credentials(&self, known: i64, wait: Duration) -> Result<Option<CredentialFeed>, Problem> {
        let mut versions = self.versions();
        let news =
            tokio::time::timeout(wait.min(WAIT_MAX), versions.wait_for(|versions| versions.credentials != known)).await;
        let Ok(Ok(version)) = news.map(|found| found.map(|versions| versions.credentials)) else { return Ok(None) };
        // Read after the version: what was changed in between is delivered twice, but never missed.
        let keys = self.store().all::<KeyRecord>().await?;
        let plans = self.store().all::<UsagePlanRecord>().await?;
        let keys = keys.into_iter().map(|key| key.record).map(|key| KeyEntry {
            id: key.id,
            hash: key.hash,
            enabled: key.enabled,
            expires_ms: key.expires_ms,
            plans: key.plans,
        });
        let plans = plans.into_iter().map(|plan| (plan.record.id, plan.record.plan));
        Ok(Some(CredentialFeed { version, keys: keys.collect(), plans: plans.collect() }))
    }

    /// Notes what a gateway says about itself.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn acknowledge(&self, said: Acknowledgement) -> Result<(), Problem> {
        let Acknowledgement { node, version, revision, serving, issues } = said;
        let record = NodeRecord { id: node, version, revision, serving, issues, seen_ms: now_ms() };
        let mut transaction = self.store().begin().await?;
        transaction.put(record, Expect::Anything).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps what a gateway counted.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn measure(&self, said: &Measurements) -> Result<(), Problem> {
        let mut transaction = self.store().begin().await?;
        for arm in &said.arms {
            let side = Side { api: &arm.api, stage: &arm.stage, trial: &arm.trial, arm: arm_name(arm.is_canary) };
            let counts = Counts {
                requests: arm.requests,
                client_errors: arm.client_errors,
                server_errors: arm.server_errors,
                durations: arm.durations.clone(),
            };
            transaction.put_measured(&said.node, &side, &counts).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
