//! The audit log: who did what, chained by hashes so that nothing can be changed or taken out unnoticed.
//!
//! Each row's hash is the SHA-256 of the hash before and the entry's canonical JSON. The tables refuse updates and deletions; whoever gets
//! around that breaks the chain, and [`Store::verify_audit`] names the place. Secrets never come here: records hold hashes of them at most,
//! and even those are left out by whoever writes the entry.

use moongate_config::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::now_ms;
use crate::store::{Store, Transaction};

const KIND: &str = "audit entry";

/// Rows that verification reads at a time.
const VERIFY_ROWS: i64 = 1000;

/// Who does something, and from where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// The user's name, or `system`.
    pub user: String,
    /// The token's id, where one was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The address the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One value that was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What it was; absent when it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it is; absent when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: Actor,
    /// What: `api.update`, `stage.deploy`.
    pub action: String,
    /// To what: `apis/orders`.
    pub target: String,
    /// In words, where there is more to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Which values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// An entry in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// Its place, from 1.
    pub sequence: i64,
    /// What was done.
    pub entry: Entry,
    /// The chain's hash up to here.
    pub hash: String,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How many entries were looked at.
    pub entries: i64,
    /// The first entry that is not as it was written, or is missing.
    pub broken_at: Option<i64>,
    /// The chain's last hash: kept elsewhere, it shows later that nothing was cut off.
    pub head: String,
}

impl Actor {
    /// The program itself.
    pub fn system() -> Self {
        Self { user: "system".to_owned(), ..Self::default() }
    }
}

impl Entry {
    /// Something that was done now.
    pub fn new(actor: &Actor, action: &str, target: impl Into<String>) -> Self {
        Self {
            at_ms: now_ms(),
            actor: actor.clone(),
            action: action.to_owned(),
            target: target.into(),
            summary: String::new(),
            changes: Vec::new(),
        }
    }

    /// The same, with words.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// The same, with the values that changed.
    #[must_use]
    pub fn changes(mut self, changes: Vec<Change>) -> Self {
        self.changes = changes;
        self
    }
}

impl Transaction {
    /// Adds an entry to the log.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn audit(&mut self, entry: &Entry) -> Result<(), Error> {
        const LAST: &str = "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1";
        const ADD: &str = "INSERT INTO audit (sequence, entry, hash, created_ms) VALUES ($1, $2, $3, $4)";
        let last = sqlx::query(LAST).fetch_optional(&mut *self.inner).await?;
        let (sequence, before): (i64, String) = match last {
            Some(row) => (row.try_get("sequence")?, row.try_get("hash")?),
            None => (0, String::new()),
        };
        let sequence = sequence + 1;
        let unwritable = |source| Error::Unwritable { kind: KIND, id: sequence.to_string(), source };
        let body = serde_json::to_string(entry).map_err(unwritable)?;
        let hash = link(&before, sequence, &body);
        sqlx::query(ADD).bind(sequence).bind(body).bind(hash).bind(entry.at_ms).execute(&mut *self.inner).await?;
        Ok(())
    }
}

impl Store {
    /// Entries before `before`, newest first. `target` and `user` choose, unless they are empty; a target also chooses what lies below it.
    ///
    /// # Errors
    ///
    /// When the database fails or an entry cannot be read.
    pub async fn audit(&self, before: i64, target: &str, user: &str, limit: usize) -> Result<Vec<Logged>, Error> {
        const SQL: &str = "SELECT sequence, entry, hash FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2";
        let mut found = Vec::new();
        let mut before = before;
        // The log is read in pieces until enough entries fit: it has no index of users and targets, and is short.
        while found.len() < limit {
            let rows = sqlx::query(SQL).bind(before).bind(VERIFY_ROWS).fetch_all(&self.pool).await?;
            let Some(last) = rows.last() else { break };
            before = last.try_get("sequence")?;
            for row in &rows {
                let logged = read(row)?;
                let inside = logged.entry.target.strip_prefix(target);
                let is_target =
                    target.is_empty() || inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                if is_target && (user.is_empty() || logged.entry.actor.user == user) && found.len() < limit {
                    found.push(logged);
                }
            }
        }
        Ok(found)
    }

    /// Reads the whole log and follows its chain.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn verify_audit(&self) -> Result<Verdict, Error> {
        const SQL: &str = "SELECT sequence, entry, hash FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        let mut verdict = Verdict { entries: 0, broken_at: None, head: String::new() };
        loop {
            let rows = sqlx::query(SQL).bind(verdict.entries).bind(VERIFY_ROWS).fetch_all(&self.pool).await?;
            if rows.is_empty() {
                return Ok(verdict);
            }
            for row in rows {
                let (sequence, body): (i64, String) = (row.try_get("sequence")?, row.try_get("entry")?);
                let hash: String = row.try_get("hash")?;
                if sequence != verdict.entries + 1 || hash != link(&verdict.head, sequence, &body) {
                    verdict.broken_at = Some(verdict.entries + 1);
                    return Ok(verdict);
                }
                verdict.entries = sequence;
                verdict.head = hash;
            }
        }
    }
}

/// The hash of a row: over the hash before, the row's number and its text as it is stored.
fn link(before: &str, sequence: i64, body: &str) -> String {
    Digest::of(&(before, sequence, body)).map(|digest| digest.to_string()).unwrap_or_default()
}

fn read(row: &AnyRow) -> Result<Logged, Error> {
    let sequence: i64 = row.try_get("sequence")?;
    let body: String = row.try_get("entry")?;
    let unreadable = |source| Error::Unreadable { kind: KIND, id: sequence.to_string(), source };
    let entry = serde_json::from_str(&body).map_err(unreadable)?;
    Ok(Logged { sequence, entry, hash: row.try_get("hash")? })
}
