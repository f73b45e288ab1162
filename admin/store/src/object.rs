//! Records: documents that people edit, each with a version.
//!
//! All kinds share a table. What they have in common (a name, a version, pages, a conflict when two edit at once) is written once, and a new
//! kind needs no migration; the parts that are more than documents have tables of their own.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::now_ms;
use crate::store::{Store, Transaction};

/// Most records of one page.
pub const PAGE_MAX: usize = 1000;

/// A kind of document.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// What it is called, in the database and in messages: `api`, `stage`.
    const KIND: &'static str;

    /// What it belongs to: the API of a stage. Empty for what belongs to nothing.
    fn scope(&self) -> &str {
        ""
    }

    /// Its name in its scope.
    fn id(&self) -> &str;

    /// A text by which it is found beside its name, unique among its kind: the hash of a token.
    fn lookup(&self) -> Option<&str> {
        None
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored<R> {
    /// The document.
    pub record: R,
    /// How often it was written, from 1.
    pub version: i64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last written, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// What must be true of the stored record for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: the last writer wins.
    Anything,
    /// There is none.
    Absent,
    /// There is one, whatever its version.
    Present,
    /// It is at this version.
    Version(i64),
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<R> {
    /// What is on it, by name.
    pub items: Vec<Stored<R>>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

impl Store {
    /// A record by its name.
    ///
    /// # Errors
    ///
    /// When the database fails or the record cannot be read.
    pub async fn get<R: Record>(&self, scope: &str, id: &str) -> Result<Option<Stored<R>>, Error> {
        const SQL: &str =
            "SELECT id, version, body, created_ms, updated_ms FROM object WHERE kind = $1 AND scope = $2 AND id = $3";
        let row = sqlx::query(SQL).bind(R::KIND).bind(scope).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// A record by its [`Record::lookup`].
    ///
    /// # Errors
    ///
    /// When the database fails or the record cannot be read.
    pub async fn find<R: Record>(&self, lookup: &str) -> Result<Option<Stored<R>>, Error> {
        const SQL: &str =
            "SELECT id, version, body, created_ms, updated_ms FROM object WHERE kind = $1 AND lookup = $2";
        let row = sqlx::query(SQL).bind(R::KIND).bind(lookup).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// Records of a scope in the order of their names, those after `after`, at most `limit` (and [`PAGE_MAX`]).
    ///
    /// # Errors
    ///
    /// When the database fails or a record cannot be read.
    pub async fn list<R: Record>(&self, scope: &str, after: &str, limit: usize) -> Result<Page<R>, Error> {
        const SQL: &str = "SELECT id, version, body, created_ms, updated_ms FROM object \
            WHERE kind = $1 AND scope = $2 AND id > $3 ORDER BY id LIMIT $4";
        let limit = limit.clamp(1, PAGE_MAX);
        let more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = sqlx::query(SQL).bind(R::KIND).bind(scope).bind(after).bind(more).fetch_all(&self.pool).await?;
        let mut items: Vec<Stored<R>> = rows.iter().map(read).collect::<Result<_, _>>()?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = has_more.then(|| items.last().map(|item| item.record.id().to_owned())).flatten();
        Ok(Page { items, next })
    }

    /// Every record of a kind, whatever its scope.
    ///
    /// # Errors
    ///
    /// When the database fails or a record cannot be read.
    pub async fn all<R: Record>(&self) -> Result<Vec<Stored<R>>, Error> {
        const SQL: &str =
            "SELECT id, version, body, created_ms, updated_ms FROM object WHERE kind = $1 ORDER BY scope, id";
        let rows = sqlx::query(SQL).bind(R::KIND).fetch_all(&self.pool).await?;
        rows.iter().map(read).collect()
    }
}

impl Transaction {
    /// A record by its name, as this transaction sees it.
    ///
    /// # Errors
    ///
    /// When the database fails or the record cannot be read.
    pub async fn get<R: Record>(&mut self, scope: &str, id: &str) -> Result<Option<Stored<R>>, Error> {
        const SQL: &str =
            "SELECT id, version, body, created_ms, updated_ms FROM object WHERE kind = $1 AND scope = $2 AND id = $3";
        let row = sqlx::query(SQL).bind(R::KIND).bind(scope).bind(id).fetch_optional(&mut *self.inner).await?;
        row.as_ref().map(read).transpose()
    }

    /// Writes a record.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], [`Error::Missing`] or [`Error::Conflict`] when what was expected is not so, or when another record has the
    /// same [`Record::lookup`].
    pub async fn put<R: Record>(&mut self, record: R, expect: Expect) -> Result<Stored<R>, Error> {
        let kind = R::KIND;
        let (scope, id) = (record.scope().to_owned(), record.id().to_owned());
        let current = self.get::<R>(&scope, &id).await?;
        check(kind, &id, current.as_ref().map(|stored| stored.version), expect)?;
        let unwritable = |source| Error::Unwritable { kind, id: id.clone(), source };
        let body = serde_json::to_string(&record).map_err(unwritable)?;
        let now = now_ms();
        let (version, created_ms) = current.map_or((1, now), |stored| (stored.version + 1, stored.created_ms));
        let sql = if version == 1 {
            "INSERT INTO object (kind, scope, id, version, lookup, body, created_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        } else {
            "UPDATE object SET version = $4, lookup = $5, body = $6, created_ms = $7, updated_ms = $8 \
             WHERE kind = $1 AND scope = $2 AND id = $3"
        };
        let query = sqlx::query(sql).bind(kind).bind(&scope).bind(&id).bind(version);
        let query = query.bind(record.lookup().map(str::to_owned)).bind(body).bind(created_ms).bind(now);
        query.execute(&mut *self.inner).await.map_err(|error| match error {
            sqlx::Error::Database(error) if error.is_unique_violation() => Error::Exists { kind, id: id.clone() },
            other => Error::Database(other),
        })?;
        Ok(Stored { record, version, created_ms, updated_ms: now })
    }

    /// Removes a record; what it was.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when there is none, [`Error::Conflict`] when it is not what was expected.
    pub async fn delete<R: Record>(&mut self, scope: &str, id: &str, expect: Expect) -> Result<Stored<R>, Error> {
        let Some(current) = self.get::<R>(scope, id).await? else {
            return Err(Error::Missing { kind: R::KIND, id: id.to_owned() });
        };
        check(R::KIND, id, Some(current.version), expect)?;
        const SQL: &str = "DELETE FROM object WHERE kind = $1 AND scope = $2 AND id = $3";
        sqlx::query(SQL).bind(R::KIND).bind(scope).bind(id).execute(&mut *self.inner).await?;
        Ok(current)
    }

    /// Removes every record of a scope.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn delete_scope<R: Record>(&mut self, scope: &str) -> Result<(), Error> {
        const SQL: &str = "DELETE FROM object WHERE kind = $1 AND scope = $2";
        sqlx::query(SQL).bind(R::KIND).bind(scope).execute(&mut *self.inner).await?;
        Ok(())
    }
}

fn check(kind: &'static str, id: &str, current: Option<i64>, expect: Expect) -> Result<(), Error> {
    match (current, expect) {
        (_, Expect::Anything) | (None, Expect::Absent) | (Some(_), Expect::Present) => Ok(()),
        (Some(current), Expect::Version(expected)) if current == expected => Ok(()),
        (Some(current), Expect::Version(expected)) => {
            Err(Error::Conflict { kind, id: id.to_owned(), expected, current })
        }
        (Some(_), Expect::Absent) => Err(Error::Exists { kind, id: id.to_owned() }),
        (None, Expect::Present | Expect::Version(_)) => Err(Error::Missing { kind, id: id.to_owned() }),
    }
}

fn read<R: Record>(row: &AnyRow) -> Result<Stored<R>, Error> {
    let id: String = row.try_get("id")?;
    let body: String = row.try_get("body")?;
    let record = serde_json::from_str(&body).map_err(|source| Error::Unreadable { kind: R::KIND, id, source })?;
    Ok(Stored {
        record,
        version: row.try_get("version")?,
        created_ms: row.try_get("created_ms")?,
        updated_ms: row.try_get("updated_ms")?,
    })
}
