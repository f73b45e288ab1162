//! `moongate keys create|list|revoke`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::remote::{Connection, list, table, text};
use crate::client::encoded;
use crate::output;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an API key; it is printed once, alone on standard output
    Create {
        /// What people call it
        #[arg(long)]
        name: String,
        /// A usage plan it belongs to; without any it opens every stage
        #[arg(long, value_name = "PLAN")]
        plan: Vec<String>,
        /// Until when: a time, or how long it lasts (`90d`)
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List API keys
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Revoke an API key for good
    Revoke {
        /// The key's id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Create { name, plan, expires, connection } => {
            let body = json!({"name": name, "plans": plan, "expires": expires});
            let answer = connection.client()?.send("POST", "/keys", Some(&body))?;
            connection.print(&answer, |answer| {
                output::line(text(answer, "key"));
                eprintln!("id {}, shown this once", text(answer, "id"));
            })?;
        }
        Command::List { connection } => {
            let answer = connection.client()?.send("GET", "/keys?limit=500", None)?;
            connection.print(&answer, |answer| {
                let row = |key: &Value| {
                    let plans = list(key, "plans").filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
                    let state = if key["enabled"] == Value::Bool(true) { "accepted" } else { "disabled" };
                    let field = |name: &str| text(key, name).to_owned();
                    [field("id"), field("prefix"), field("name"), plans, state.to_owned(), field("expires")]
                };
                table(
                    ["ID", "KEY", "NAME", "PLANS", "STATE", "EXPIRES"],
                    &list(answer, "items").map(row).collect::<Vec<_>>(),
                );
            })?;
        }
        Command::Revoke { id, connection } => {
            connection.client()?.send("DELETE", &format!("/keys/{}", encoded(id)), None)?;
            eprintln!("key {id} is revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}
