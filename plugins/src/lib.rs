//! Lua plugins: what one is, those that ship with Moongate, and the runner of their specs.
//!
//! A plugin is a folder: `plugin.toml` says what it is, `schema.json` which settings it takes, `handler.lua` what it does,
//! `README.md` how to use it, and `spec/*_spec.lua` how it behaves. The folders beside this crate's sources are embedded
//! ([`bundled_names`]); projects bring their own in `plugins/NAME/`. A [`Plugin`] of either kind is a value without ties to
//! a virtual machine: the compiler of `moongate-runtime` checks an attachment's settings with it and hands the handler to
//! `moongate-lua`. [`run_specs`] runs a plugin's specs on that same engine, against an exchange without a network.

#![forbid(unsafe_code)]

mod bundled;
mod description;
mod library;
mod plugin;
mod settings;
mod spec;

pub use bundled::bundled_names;
pub use description::Phase;
pub use library::{MissingLibrary, modules};
pub use plugin::{Fault, Plugin, PluginError};
pub use settings::Problem;
pub use spec::{Failure, Report, run_specs};
