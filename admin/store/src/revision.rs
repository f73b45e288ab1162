//! Revisions: what was served when. Each is one more than the one before, and none ever changes.

use moongate_config::Manifest;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::now_ms;
use crate::store::{Store, Transaction};

const KIND: &str = "revision";

/// What is known about a revision beside its manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevisionRow {
    /// Its number.
    pub number: u64,
    /// What made it, in words.
    pub cause: String,
    /// Who made it.
    pub author: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

impl Store {
    /// The newest revision's number; 0 before there is one.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn newest_revision(&self) -> Result<u64, Error> {
        let row = sqlx::query("SELECT COALESCE(MAX(number), 0) AS number FROM revision").fetch_one(&self.pool).await?;
        Ok(number(row.try_get("number")?))
    }

    /// A revision's manifest.
    ///
    /// # Errors
    ///
    /// When the database fails or the manifest cannot be read.
    pub async fn manifest(&self, revision: u64) -> Result<Option<Manifest>, Error> {
        let wanted = i64::try_from(revision).unwrap_or(i64::MAX);
        let row = sqlx::query("SELECT manifest FROM revision WHERE number = $1")
            .bind(wanted)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| parse(revision, &row)).transpose()
    }

    /// What is known about one revision.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn revision(&self, revision: u64) -> Result<Option<RevisionRow>, Error> {
        let rows = self.revisions(revision.saturating_add(1), 1).await?;
        Ok(rows.into_iter().find(|row| row.number == revision))
    }

    /// Revisions before `before`, newest first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn revisions(&self, before: u64, limit: usize) -> Result<Vec<RevisionRow>, Error> {
        const SQL: &str =
            "SELECT number, cause, author, created_ms FROM revision WHERE number < $1 ORDER BY number DESC LIMIT $2";
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(SQL).bind(before).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(read).collect()
    }

    /// The revision that was the newest at a time.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn revision_at(&self, time_ms: i64) -> Result<Option<RevisionRow>, Error> {
        const SQL: &str = "SELECT number, cause, author, created_ms FROM revision WHERE created_ms <= $1 ORDER BY number DESC LIMIT 1";
        let row = sqlx::query(SQL).bind(time_ms).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Transaction {
    /// The newest manifest; an empty one before there is a revision.
    ///
    /// # Errors
    ///
    /// When the database fails or the manifest cannot be read.
    pub async fn newest_manifest(&mut self) -> Result<Manifest, Error> {
        const SQL: &str = "SELECT number, manifest FROM revision ORDER BY number DESC LIMIT 1";
        let row = sqlx::query(SQL).fetch_optional(&mut *self.inner).await?;
        let Some(row) = row else { return Ok(Manifest::default()) };
        parse(number(row.try_get("number")?), &row)
    }

    /// Adds a revision. `manifest.revision` must be the newest one's number, on which the change was made; the new number is put in.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when there is a newer one.
    pub async fn put_revision(&mut self, mut manifest: Manifest, cause: &str, author: &str) -> Result<Manifest, Error> {
        let expected = manifest.revision;
        let id = || (expected + 1).to_string();
        manifest.revision = expected + 1;
        let body =
            serde_json::to_string(&manifest).map_err(|source| Error::Unwritable { kind: KIND, id: id(), source })?;
        let row =
            sqlx::query("SELECT COALESCE(MAX(number), 0) AS number FROM revision").fetch_one(&mut *self.inner).await?;
        let current: i64 = row.try_get("number")?;
        let expected = i64::try_from(expected).unwrap_or(i64::MAX);
        if current != expected {
            return Err(Error::Conflict { kind: KIND, id: id(), expected, current });
        }
        const SQL: &str =
            "INSERT INTO revision (number, manifest, cause, author, created_ms) VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(SQL).bind(expected + 1).bind(body).bind(cause).bind(author).bind(now_ms());
        query.execute(&mut *self.inner).await?;
        Ok(manifest)
    }
}

fn parse(revision: u64, row: &AnyRow) -> Result<Manifest, Error> {
    let body: String = row.try_get("manifest")?;
    serde_json::from_str(&body).map_err(|source| Error::Unreadable { kind: KIND, id: revision.to_string(), source })
}

fn read(row: &AnyRow) -> Result<RevisionRow, Error> {
    Ok(RevisionRow {
        number: number(row.try_get("number")?),
        cause: row.try_get("cause")?,
        author: row.try_get("author")?,
        created_ms: row.try_get("created_ms")?,
    })
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
