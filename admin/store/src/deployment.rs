//! Deployments: what an API was when it was deployed, by digest, for ever.

use moongate_config::{Deployment, Digest};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::now_ms;
use crate::store::{Store, Transaction};

const KIND: &str = "deployment";

/// What is known about a deployment beside its contents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeploymentRow {
    /// Its name.
    pub digest: String,
    /// The API.
    pub api: String,
    /// What its maker said about it.
    pub message: String,
    /// Who made it.
    pub author: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

impl Store {
    /// A deployment's contents.
    ///
    /// # Errors
    ///
    /// When the database fails or the deployment cannot be read.
    pub async fn deployment(&self, digest: &Digest) -> Result<Option<Deployment>, Error> {
        let name = digest.to_string();
        let row =
            sqlx::query("SELECT body FROM deployment WHERE digest = $1").bind(&name).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let body: String = row.try_get("body")?;
        let unreadable = |source| Error::Unreadable { kind: KIND, id: name, source };
        serde_json::from_str(&body).map(Some).map_err(unreadable)
    }

    /// What is known about one deployment.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn deployment_row(&self, digest: &str) -> Result<Option<DeploymentRow>, Error> {
        const SQL: &str = "SELECT digest, api, message, author, created_ms FROM deployment WHERE digest = $1";
        let row = sqlx::query(SQL).bind(digest).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest deployments of an API, newest first, those made before `before_ms`.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn deployments(&self, api: &str, before_ms: i64, limit: usize) -> Result<Vec<DeploymentRow>, Error> {
        const SQL: &str = "SELECT digest, api, message, author, created_ms FROM deployment \
            WHERE api = $1 AND created_ms < $2 ORDER BY created_ms DESC, digest LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(SQL).bind(api).bind(before_ms).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(read).collect()
    }
}

impl Transaction {
    /// Keeps a deployment; nothing happens when it is already there.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn put_deployment(
        &mut self,
        digest: &Digest,
        api: &str,
        deployment: &Deployment,
        message: &str,
        author: &str,
    ) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO deployment (digest, api, body, message, author, created_ms) \
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO NOTHING";
        let name = digest.to_string();
        let unwritable = |source| Error::Unwritable { kind: KIND, id: name.clone(), source };
        let body = serde_json::to_string(deployment).map_err(unwritable)?;
        let query = sqlx::query(SQL).bind(&name).bind(api).bind(body).bind(message).bind(author).bind(now_ms());
        query.execute(&mut *self.inner).await?;
        Ok(())
    }
}

fn read(row: &AnyRow) -> Result<DeploymentRow, Error> {
    Ok(DeploymentRow {
        digest: row.try_get("digest")?,
        api: row.try_get("api")?,
        message: row.try_get("message")?,
        author: row.try_get("author")?,
        created_ms: row.try_get("created_ms")?,
    })
}
