//! What differs between the two databases: connecting, migrating, and how writers take turns.

mod postgres;
mod sqlite;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;

use crate::error::Error;

pub use postgres::Postgres;
pub use sqlite::Sqlite;

/// One of the databases.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// The URL the driver connects to.
    fn url(&self) -> &str;

    /// How many connections there are, and what is done when one is made.
    fn pool(&self) -> AnyPoolOptions;

    /// The migrations, in their dialect. They only add: the version before must still run on the tables they leave.
    fn migrator(&self) -> &'static Migrator;

    /// The statement that begins a transaction which will write.
    fn begin(&self) -> &'static str;

    /// A statement that makes writers take turns, where `begin` does not.
    fn lock(&self) -> Option<&'static str>;
}

/// The database a URL names by its scheme.
///
/// # Errors
///
/// [`Error::BadUrl`] when there is no such scheme.
pub fn of(url: &str) -> Result<Box<dyn Backend>, Error> {
    if url.starts_with("sqlite:") {
        Ok(Box::new(Sqlite::new(url)?))
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        Ok(Box::new(Postgres::new(url)))
    } else {
        // A URL may hold a password: only its scheme is repeated.
        Err(Error::BadUrl(url.split(':').next().unwrap_or_default().chars().take(20).collect()))
    }
}
