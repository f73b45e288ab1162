//! The store itself, and the transaction in which everything is written.

use std::sync::Arc;

use sqlx::{Any, AnyPool, Executor as _};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::backend::{self, Backend};
use crate::error::Error;

/// A connected store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
    backend: Arc<dyn Backend>,
    writers: Arc<Mutex<()>>,
}

/// A unit of writing. What was written is there when [`Transaction::commit`] returns; dropping it undoes everything.
///
/// Writers take turns: from its begin to its end no other process writes.
pub struct Transaction {
    pub(crate) inner: sqlx::Transaction<'static, Any>,
    /// Given back after the transaction has ended: fields are dropped in their order.
    _turn: OwnedMutexGuard<()>,
}

impl Store {
    /// Connects, and brings the tables to this version.
    ///
    /// # Errors
    ///
    /// When the URL cannot be used, the database cannot be reached, or a migration fails.
    pub async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let backend: Arc<dyn Backend> = backend::of(url)?.into();
        let pool = backend.pool().connect(backend.url()).await?;
        backend.migrator().run(&pool).await.map_err(Error::Migrate)?;
        Ok(Self { pool, backend, writers: Arc::default() })
    }

    /// Begins to write, after those who write now.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached or others write for too long.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        // Those who wait for their turn hold no connection: whoever writes may need another one to read with.
        let turn = Arc::clone(&self.writers).lock_owned().await;
        let mut inner = self.pool.begin_with(self.backend.begin()).await?;
        if let Some(lock) = self.backend.lock() {
            inner.execute(lock).await?;
        }
        Ok(Transaction { inner, _turn: turn })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.pool.execute("SELECT 1").await?;
        Ok(())
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Transaction {
    /// Makes everything written stay.
    ///
    /// # Errors
    ///
    /// When the database fails; then nothing was written.
    pub async fn commit(self) -> Result<(), Error> {
        self.inner.commit().await?;
        Ok(())
    }
}
