//! The control plane's memory: what is drafted, deployed and served, who may do what, and who did it.
//!
//! One SQL text runs on SQLite (embedded) and PostgreSQL (scaled out); what differs between the two stands behind [`Backend`]: how one
//! connects, migrates and begins to write. The same suite runs on both.
//!
//! Everything that people edit is a [`Record`]: a document with a kind, a scope, an id and a version. Deployments and revisions are
//! immutable and have tables of their own ([`deployment`], [`revision`]), and so has the [`audit`] log, whose rows are chained by hashes.
//! Writing happens in a [`Transaction`]: the change, its audit entry and the revision it makes are there together or not at all.
//!
//! [`Backend`]: backend::Backend

#![forbid(unsafe_code)]

pub mod audit;
pub mod backend;
pub mod backup;
pub mod counter;
pub mod deployment;
pub mod error;
pub mod measurement;
pub mod object;
pub mod records;
pub mod revision;
pub mod store;

pub use audit::{Actor, Change, Entry};
pub use deployment::DeploymentRow;
pub use error::Error;
pub use object::{Expect, Page, Record, Stored};
pub use revision::RevisionRow;
pub use store::{Store, Transaction};

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 now.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
