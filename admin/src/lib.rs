//! The control plane: what is drafted, checked, deployed and undone, and who may do it.
//!
//! [`Control`] is all of it without HTTP: the embedded gateway and the tests use it directly. [`server`] puts the management API in front,
//! whose addresses [`router`] lists on one screen.
//!
//! The way of a change: a draft (`api/apis.rs`) -> a deployment (`publish/deploy.rs`, compiled by the same compiler that gateways use) ->
//! a revision (`publish/change.rs`) -> the feeds (`publish/feed.rs`) -> gateways.

#![forbid(unsafe_code)]

pub mod auth;
pub mod control;
pub mod diff;
pub mod problem;
pub mod publish;
pub mod router;
pub mod server;
pub mod time;

mod api;
mod call;
mod openapi;

pub use control::{Control, FirstToken, Options};
pub use moongate_admin_store as store;
pub use problem::Problem;
