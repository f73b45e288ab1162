//! Why the store did not do what it was asked for.

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's URL has no scheme we know, or cannot be read.
    #[error("`{0}` is not a store: write `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`")]
    BadUrl(String),
    /// The database could not be reached, or refused a statement.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// The tables could not be brought to this version.
    #[error("the database's tables cannot be brought to this version")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// There is already one of that name.
    #[error("there is already a {kind} `{id}`")]
    Exists {
        /// What.
        kind: &'static str,
        /// Its name.
        id: String,
    },
    /// There is none of that name.
    #[error("there is no {kind} `{id}`")]
    Missing {
        /// What.
        kind: &'static str,
        /// Its name.
        id: String,
    },
    /// It was changed by somebody else meanwhile.
    #[error("the {kind} `{id}` is at version {current}, not {expected}")]
    Conflict {
        /// What.
        kind: &'static str,
        /// Its name.
        id: String,
        /// The version the writer had seen.
        expected: i64,
        /// The version there is.
        current: i64,
    },
    /// A stored document cannot be read back: another version of the program, or a damaged database.
    #[error("the stored {kind} `{id}` cannot be read")]
    Unreadable {
        /// What.
        kind: &'static str,
        /// Its name.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A document cannot be written as JSON.
    #[error("the {kind} `{id}` cannot be written as JSON")]
    Unwritable {
        /// What.
        kind: &'static str,
        /// Its name.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
