//! `moongate`: one binary, composed here. The only crate that knows all others.

#![forbid(unsafe_code)]

mod access_log;
mod cli;
mod client;
mod compose;
mod control;
mod explain;
mod folder;
mod follow;
mod functions;
mod output;
mod roles;
mod serve;
mod settings;
mod telemetry;

use std::process::ExitCode;

/// Requests are short and make many small allocations; so do scripts. Measured against glibc's: 7 to 10 % less processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
