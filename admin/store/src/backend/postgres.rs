//! PostgreSQL: for several admin processes. An advisory lock makes their writers take turns, so that revisions and the audit log have no
//! gaps and no branches.

use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;

use crate::backend::Backend;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

const CONNECTIONS_MAX: u32 = 10;

/// A PostgreSQL database.
#[derive(Debug)]
pub struct Postgres {
    url: String,
}

impl Postgres {
    /// The database at `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }
}

impl Backend for Postgres {
    fn url(&self) -> &str {
        &self.url
    }

    fn pool(&self) -> AnyPoolOptions {
        AnyPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(Duration::from_secs(10))
    }

    fn migrator(&self) -> &'static Migrator {
        &MIGRATOR
    }

    fn begin(&self) -> &'static str {
        "BEGIN"
    }

    fn lock(&self) -> Option<&'static str> {
        // The number only has to be ours: `moongate` on a telephone's keys.
        Some("SELECT CAST(pg_advisory_xact_lock(66664283) AS TEXT)")
    }
}
