//! `moongate token create|list|revoke`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::remote::{Connection, list, table, text};
use crate::client::encoded;
use crate::output;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scope {
    /// Reading
    Read,
    /// Writing drafts, besides reading
    Write,
    /// Deploying and API keys, besides writing
    Deploy,
    /// Everything its user may do
    Admin,
    /// Following the feeds as a gateway, and nothing else
    Node,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token; it is printed once, alone on standard output
    Create {
        /// What people call it
        #[arg(long)]
        name: String,
        /// What it may be used for
        #[arg(long)]
        scope: Scope,
        /// Whose it is [default: one's own]
        #[arg(long)]
        user: Option<String>,
        /// Until when: a time, or how long it lasts (`90d`)
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List tokens
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Revoke a token
    Revoke {
        /// The token's id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Create { name, scope, user, expires, connection } => {
            let scope = scope.to_possible_value().map(|value| value.get_name().to_owned());
            let body = json!({"name": name, "scope": scope, "user": user, "expires": expires});
            let answer = connection.client()?.send("POST", "/tokens", Some(&body))?;
            connection.print(&answer, |answer| {
                output::line(text(answer, "token"));
                eprintln!("id {}, shown this once", text(answer, "id"));
            })?;
        }
        Command::List { connection } => {
            let answer = connection.client()?.send("GET", "/tokens?limit=500", None)?;
            connection.print(&answer, |answer| {
                let row = |token: &Value| {
                    ["id", "prefix", "name", "user", "scope", "expires"].map(|name| text(token, name).to_owned())
                };
                table(
                    ["ID", "TOKEN", "NAME", "USER", "SCOPE", "EXPIRES"],
                    &list(answer, "items").map(row).collect::<Vec<_>>(),
                );
            })?;
        }
        Command::Revoke { id, connection } => {
            connection.client()?.send("DELETE", &format!("/tokens/{}", encoded(id)), None)?;
            eprintln!("token {id} is revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}
