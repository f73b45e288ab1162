//! `moongate plugin ...`: what people who write and run plugins need. One file per group of commands.

mod files;
mod list;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show which plugins run on a project's routes, in their order.
    List(list::Arguments),
    /// Print the digest of a plugin's files, which attachments pin.
    Digest(Named),
    /// Print the manual of a plugin: its README and its settings.
    Docs(Named),
}

/// A plugin of a project, or one that ships with Moongate.
#[derive(Args)]
pub(in crate::cli) struct Named {
    /// The plugin's name
    name: String,
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(arguments) => list::run(&arguments),
        Command::Digest(named) => files::digest(&named),
        Command::Docs(named) => files::docs(&named),
    }
}
