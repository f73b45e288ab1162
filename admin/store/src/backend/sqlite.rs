//! SQLite: one file, for one process (and its command line). Write-ahead log, so that readers never wait for the writer.

use std::time::Duration;

use sqlx::Executor as _;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;

use crate::backend::Backend;
use crate::error::Error;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Connections: one writes at a time, the others read.
const CONNECTIONS_MAX: u32 = 4;

/// Set on each connection. `FULL` writes the log to the disk before a commit is answered: what was said to be saved survives a power cut.
const PRAGMAS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON;";

/// An SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    url: String,
}

impl Sqlite {
    /// The file that `sqlite:FILE` names. It is made when it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::BadUrl`] when there is no file's name.
    pub fn new(url: &str) -> Result<Self, Error> {
        let path = url.trim_start_matches("sqlite:");
        let path = path.strip_prefix("//").unwrap_or(path);
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        if path.is_empty() {
            return Err(Error::BadUrl(url.to_owned()));
        }
        let path = std::path::absolute(path).map_err(|_| Error::BadUrl(url.to_owned()))?;
        // What means something in a URL is encoded; the driver decodes it.
        let encoded: String = path.to_string_lossy().bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
            text
        });
        Ok(Self { url: format!("sqlite://{encoded}?mode=rwc") })
    }
}

impl Backend for Sqlite {
    fn url(&self) -> &str {
        &self.url
    }

    fn pool(&self) -> AnyPoolOptions {
        AnyPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(Duration::from_secs(15)).after_connect(
            |connection, _| {
                Box::pin(async move {
                    connection.execute(PRAGMAS).await?;
                    Ok(())
                })
            },
        )
    }

    fn migrator(&self) -> &'static Migrator {
        &MIGRATOR
    }

    fn begin(&self) -> &'static str {
        "BEGIN IMMEDIATE"
    }

    fn lock(&self) -> Option<&'static str> {
        None
    }
}
