//! From a draft to what gateways serve.
//!
//! [`change`] makes a revision out of a change of the newest manifest: dry run, compare-and-swap, audit, all or nothing. [`deploy`], [`stage`],
//! [`history`] and [`apply`] are the changes there are. [`feed`] is what gateways follow, [`verdict`] judges canaries.

pub mod apply;
pub mod change;
pub mod deploy;
pub mod feed;
pub mod history;
pub mod stage;
pub mod verdict;

mod dry_run;

pub(crate) use dry_run::DryRun;
