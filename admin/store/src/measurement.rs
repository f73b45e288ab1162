//! What nodes measured on stages with a canary, so that any admin process can judge it.

use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use crate::error::Error;
use crate::now_ms;
use crate::store::{Store, Transaction};

/// Counts of one node since the canary's deployment was put on trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that were answered.
    pub requests: u64,
    /// Of these, with a status from 400 to 499.
    pub client_errors: u64,
    /// Of these, with a status from 500 to 599.
    pub server_errors: u64,
    /// How many took how long: bucket `i` holds durations up to the bound that `moongate_exchange::counters::bound` gives.
    pub durations: Vec<u64>,
}

/// Which side of a canary was measured.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    /// The API.
    pub api: &'a str,
    /// The stage.
    pub stage: &'a str,
    /// The trial: the digest of the deployment that is tried and when it began.
    pub trial: &'a str,
    /// `stable` or `canary`.
    pub arm: &'a str,
}

impl Counts {
    /// Adds another node's counts.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        if self.durations.len() < other.durations.len() {
            self.durations.resize(other.durations.len(), 0);
        }
        for (mine, theirs) in self.durations.iter_mut().zip(&other.durations) {
            *mine += theirs;
        }
    }
}

impl Store {
    /// The sum over all nodes.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn measured(&self, side: &Side<'_>) -> Result<Counts, Error> {
        const SQL: &str =
            "SELECT counts FROM measurement WHERE api = $1 AND stage = $2 AND deployment = $3 AND arm = $4";
        let query = sqlx::query(SQL).bind(side.api).bind(side.stage).bind(side.trial).bind(side.arm);
        let mut sum = Counts::default();
        for row in query.fetch_all(&self.pool).await? {
            let counts: String = row.try_get("counts")?;
            // A row that another version wrote in another form counts for nothing, rather than stopping the verdict.
            sum.add(&serde_json::from_str(&counts).unwrap_or_default());
        }
        Ok(sum)
    }
}

impl Transaction {
    /// Keeps what a node has counted so far.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn put_measured(&mut self, node: &str, side: &Side<'_>, counts: &Counts) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO measurement (node, api, stage, deployment, arm, counts, updated_ms) \
            VALUES ($1, $2, $3, $4, $5, $6, $7) \
            ON CONFLICT (api, stage, deployment, arm, node) DO UPDATE SET counts = excluded.counts, updated_ms = excluded.updated_ms";
        let body = serde_json::to_string(counts).unwrap_or_default();
        let query = sqlx::query(SQL).bind(node).bind(side.api).bind(side.stage).bind(side.trial).bind(side.arm);
        query.bind(body).bind(now_ms()).execute(&mut *self.inner).await?;
        Ok(())
    }

    /// Forgets what was measured on a stage.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn forget_measured(&mut self, api: &str, stage: &str) -> Result<(), Error> {
        const SQL: &str = "DELETE FROM measurement WHERE api = $1 AND stage = $2";
        sqlx::query(SQL).bind(api).bind(stage).execute(&mut *self.inner).await?;
        Ok(())
    }
}
