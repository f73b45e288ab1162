//! `moongate audit list|verify`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::remote::{Connection, list, table, text};
use crate::output;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List what was done, newest first
    List {
        /// How many
        #[arg(long, default_value = "50", value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        #[command(flatten)]
        connection: Connection,
    },
    /// Follow the log's chain of hashes: nothing was changed, nothing was taken out
    Verify {
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::List { limit, connection } => {
            let answer = connection.client()?.send("GET", &format!("/audit?limit={limit}"), None)?;
            connection.print(&answer, |answer| {
                let row = |entry: &Value| {
                    ["at", "user", "action", "target", "summary"].map(|name| text(entry, name).to_owned())
                };
                table(["AT", "BY", "WHAT", "TO", ""], &list(answer, "items").map(row).collect::<Vec<_>>());
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { connection } => {
            let answer = connection.client()?.send("GET", "/audit/verify", None)?;
            let is_intact = answer["intact"] == Value::Bool(true);
            connection.print(&answer, |answer| {
                output::line(&match answer.get("broken_at") {
                    None => format!(
                        "{} entries, none changed, none missing; head {}",
                        answer["entries"],
                        text(answer, "head")
                    ),
                    Some(at) => format!("entry {at} is not as it was written"),
                });
            })?;
            Ok(if is_intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
