//! Luau virtual machines for Moongate's scripts: mapping templates, authorizers, functions and plugins.
//!
//! A [`ScriptSet`] holds the compiled scripts of one API; it is made when a configuration is compiled, where errors can be
//! reported. A [`Bank`] holds one virtual machine per worker thread with all scripts of the set loaded; it is built off the
//! workers and swapped in whole. On the request path a stage takes the machine of its thread with [`Bank::vm`] and calls one
//! of the functions of [`VmGuard`].
//!
//! Scripts are hostile. Every run has a CPU, a wall-clock and a memory budget ([`Limits`]); `watchdog.rs` says how runs are
//! killed, `sandbox.rs` what scripts can reach, `host/v1/` what they may ask of the gateway, `host/raw.rs` how Lua calls
//! Rust without either side breaking the other.
//!
//! What is not bounded by the budgets is bounded by size: code without loops and calls has no place at which Luau lets
//! itself be stopped. A script of up to [`SOURCE_BYTES_MAX`] bytes that does nothing but compare two strings of several
//! megabytes, or use one as a number, over and over and written out without a loop, runs to its end: seconds at worst. As
//! soon as it allocates it ends like any other.

#![deny(unsafe_code)]

mod authorization;
mod bank;
mod budget;
pub mod cache;
mod call;
mod calls;
mod coroutine;
mod error;
mod host;
mod json;
mod jwt;
pub mod lexer;
mod load;
mod machine;
mod operation;
pub mod reference;
mod run;
mod sandbox;
mod script;
pub mod services;
mod stack;
pub mod store;
mod vm;
mod wait;
mod watchdog;
mod xml;

pub use authorization::{Authorization, Decision};
pub use bank::{Bank, VmGuard, set_worker};
pub use budget::Limits;
pub use calls::{PhaseResult, Stream};
pub use error::{ErrorKind, ScriptError};
pub use json::lookup::{json_at, json_text};
pub use operation::{HttpCall, HttpReply, NoOutside, Outside};
pub use run::Phase;
pub use script::{ConfigId, Kind, Module, SOURCE_BYTES_MAX, ScriptId, ScriptSet};
pub use services::{Services, Tenant};
pub use vm::{Mapped, Phases, Vm};
