//! Backup and restore: the whole store as lines of JSON, the same for both databases, so that one can also move from one to the other.
//!
//! A backup holds no secret: of keys and tokens the store knows hashes only, and configurations name secrets without holding them. The
//! last line carries the SHA-256 of all before, so that a file that was cut off or changed is refused.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use crate::error;
use crate::store::Store;

/// What the first line says.
const FORMAT: &str = "moongate-backup";
/// The version of the format.
const VERSION: u32 = 1;
/// Rows read at a time.
const ROWS: i64 = 500;

/// A table: its name, its columns (`true` for numbers), in the order of its key.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, bool)],
    select: &'static str,
    insert: &'static str,
}

const TABLES: [Table; 5] = [
    Table {
        name: "object",
        columns: &[
            ("kind", false),
            ("scope", false),
            ("id", false),
            ("version", true),
            ("lookup", false),
            ("body", false),
            ("created_ms", true),
            ("updated_ms", true),
        ],
        select: "SELECT * FROM object ORDER BY kind, scope, id LIMIT $1 OFFSET $2",
        insert: "INSERT INTO object (kind, scope, id, version, lookup, body, created_ms, updated_ms) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    },
    Table {
        name: "deployment",
        columns: &[
            ("digest", false),
            ("api", false),
            ("body", false),
            ("message", false),
            ("author", false),
            ("created_ms", true),
        ],
        select: "SELECT * FROM deployment ORDER BY digest LIMIT $1 OFFSET $2",
        insert: "INSERT INTO deployment (digest, api, body, message, author, created_ms) VALUES ($1, $2, $3, $4, $5, $6)",
    },
    Table {
        name: "revision",
        columns: &[("number", true), ("manifest", false), ("cause", false), ("author", false), ("created_ms", true)],
        select: "SELECT * FROM revision ORDER BY number LIMIT $1 OFFSET $2",
        insert: "INSERT INTO revision (number, manifest, cause, author, created_ms) VALUES ($1, $2, $3, $4, $5)",
    },
    Table {
        name: "audit",
        columns: &[("sequence", true), ("entry", false), ("hash", false), ("created_ms", true)],
        select: "SELECT * FROM audit ORDER BY sequence LIMIT $1 OFFSET $2",
        insert: "INSERT INTO audit (sequence, entry, hash, created_ms) VALUES ($1, $2, $3, $4)",
    },
    Table {
        name: "counter",
        columns: &[("name", false), ("value", true)],
        select: "SELECT * FROM counter ORDER BY name LIMIT $1 OFFSET $2",
        insert: "INSERT INTO counter (name, value) VALUES ($1, $2)",
    },
];

/// Why a backup could not be made or put back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] error::Error),
    /// The file cannot be read or written.
    #[error("the backup cannot be read or written")]
    File(#[from] std::io::Error),
    /// A line is not of the form that backups have.
    #[error("line {line} is not part of a backup: {reason}")]
    NotABackup {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The contents do not have the checksum that the last line states.
    #[error("the backup is incomplete or was changed: its checksum does not fit")]
    Damaged,
    /// Something is there already.
    #[error("the store is not empty: a backup is put back into a new one")]
    NotEmpty,
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Row {
    table: String,
    row: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Tail {
    rows: usize,
    sha256: String,
}

struct Hashing<'a> {
    out: &'a mut dyn Write,
    hasher: Sha256,
}

impl Hashing<'_> {
    fn line(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let mut text = serde_json::to_string(value).map_err(std::io::Error::from)?;
        text.push('\n');
        self.hasher.update(text.as_bytes());
        Ok(self.out.write_all(text.as_bytes())?)
    }
}

impl Store {
    /// Writes everything to `out`; how many rows. What is written is the state of one moment: nobody writes meanwhile.
    ///
    /// # Errors
    ///
    /// When the database fails or `out` does.
    pub async fn backup(&self, out: &mut (dyn Write + Send)) -> Result<usize, Error> {
        // Held to the end, so that nobody else writes.
        let mut transaction = self.begin().await?;
        let mut writer = Hashing { out, hasher: Sha256::new() };
        writer.line(&Head { format: FORMAT.to_owned(), version: VERSION })?;
        let mut count = 0;
        for table in &TABLES {
            let mut offset = 0;
            loop {
                let query = sqlx::query(table.select).bind(ROWS).bind(offset);
                let rows = query.fetch_all(&mut *transaction.inner).await.map_err(error::Error::from)?;
                for row in &rows {
                    let row = columns(table, row).map_err(error::Error::from)?;
                    writer.line(&Row { table: table.name.to_owned(), row })?;
                }
                count += rows.len();
                offset += ROWS;
                if rows.len() < ROWS as usize {
                    break;
                }
            }
        }
        let sha256 = hexadecimal(&writer.hasher.finalize());
        let tail = serde_json::to_string(&Tail { rows: count, sha256 }).map_err(std::io::Error::from)?;
        writeln!(writer.out, "{tail}")?;
        writer.out.flush()?;
        Ok(count)
    }

    /// Puts a backup into this store, which must be empty; how many rows. All of it or nothing.
    ///
    /// # Errors
    ///
    /// When the store is not empty, the input is not a whole backup, or the database fails.
    pub async fn restore(&self, input: &mut (dyn BufRead + Send)) -> Result<usize, Error> {
        let mut transaction = self.begin().await?;
        for table in [
            "SELECT COUNT(*) AS n FROM object",
            "SELECT COUNT(*) AS n FROM revision",
            "SELECT COUNT(*) AS n FROM audit",
        ] {
            let row = sqlx::query(table).fetch_one(&mut *transaction.inner).await.map_err(error::Error::from)?;
            if row.try_get::<i64, _>("n").map_err(error::Error::from)? != 0 {
                return Err(Error::NotEmpty);
            }
        }
        let mut hasher = Sha256::new();
        let mut text = String::new();
        let (mut line, mut rows) = (0, 0);
        loop {
            text.clear();
            if input.read_line(&mut text)? == 0 {
                return Err(Error::Damaged);
            }
            line += 1;
            let wrong = |reason: &dyn std::fmt::Display| Error::NotABackup { line, reason: reason.to_string() };
            if line == 1 {
                let head: Head = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
                if head.format != FORMAT || head.version != VERSION {
                    return Err(wrong(&"it is of another format or version"));
                }
            } else if let Ok(tail) = serde_json::from_str::<Tail>(&text) {
                if tail.rows != rows || tail.sha256 != hexadecimal(&hasher.finalize()) {
                    return Err(Error::Damaged);
                }
                break;
            } else {
                let row: Row = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
                let Some(table) = TABLES.iter().find(|table| table.name == row.table) else {
                    return Err(wrong(&"there is no such table"));
                };
                insert(&mut transaction, table, &row.row).await?;
                rows += 1;
            }
            hasher.update(text.as_bytes());
        }
        transaction.commit().await?;
        Ok(rows)
    }
}

fn columns(table: &Table, row: &sqlx::any::AnyRow) -> Result<Map<String, Value>, sqlx::Error> {
    let mut fields = Map::new();
    for (name, is_number) in table.columns {
        let value = if *is_number {
            row.try_get::<Option<i64>, _>(*name)?.map(Value::from)
        } else {
            row.try_get::<Option<String>, _>(*name)?.map(Value::from)
        };
        fields.insert((*name).to_owned(), value.unwrap_or(Value::Null));
    }
    Ok(fields)
}

async fn insert(
    transaction: &mut crate::store::Transaction,
    table: &Table,
    row: &Map<String, Value>,
) -> Result<(), error::Error> {
    let mut query = sqlx::query(table.insert);
    for (name, is_number) in table.columns {
        let value = row.get(*name);
        query = if *is_number {
            query.bind(value.and_then(Value::as_i64))
        } else {
            query.bind(value.and_then(Value::as_str).map(str::to_owned))
        };
    }
    query.execute(&mut *transaction.inner).await?;
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
