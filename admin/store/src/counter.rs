//! Numbers that only grow, by which feeds know that there is something new.

use sqlx::Row as _;

use crate::error::Error;
use crate::store::{Store, Transaction};

/// Grows with every change of API keys and usage plans.
pub const CREDENTIALS: &str = "credentials";

impl Store {
    /// A counter's value; 0 before it was first raised.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn counter(&self, name: &str) -> Result<i64, Error> {
        let row =
            sqlx::query("SELECT value FROM counter WHERE name = $1").bind(name).fetch_optional(&self.pool).await?;
        row.map_or(Ok(0), |row| row.try_get("value").map_err(Error::from))
    }
}

impl Transaction {
    /// Raises a counter by one.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn raise(&mut self, name: &str) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO counter (name, value) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET value = counter.value + 1";
        sqlx::query(SQL).bind(name).execute(&mut *self.inner).await?;
        Ok(())
    }
}
