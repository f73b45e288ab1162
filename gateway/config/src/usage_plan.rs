//! Usage plans: which stages the holders of API keys may call, how often and how much.
//!
//! (Source: API Gateway, "Usage plans and API keys for REST APIs"; limits of rate and quota as there.)

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ApiId, StageName};

/// A usage plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsagePlanConfig {
    /// The name people read.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// What the plan is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its keys may call. A key without any plan may call every stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<PlanStage>,
    /// How often one key may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// How much one key may call in a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// A stage that a plan opens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanStage {
    /// The API.
    pub api: ApiId,
    /// The stage.
    pub stage: StageName,
    /// Tighter limits of single routes, by the route's `match`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub routes: IndexMap<String, Throttle>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Requests per second that are refilled; greater than 0.
    #[schemars(range(min = 0.001, max = 1_000_000.0))]
    pub rate: f64,
    /// Requests that may come at once, at least 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: u32,
}

/// A number of requests in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests, at least 1.
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub limit: u64,
    /// The period, which begins at midnight UTC.
    pub period: Period,
}

/// How long a quota lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A calendar month.
    Month,
}
