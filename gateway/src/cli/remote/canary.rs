//! `moongate canary status|set|promote|rollback`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::remote::deploy::percent;
use crate::cli::remote::{Connection, list, published, table, text};
use crate::client::encoded;
use crate::output;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare a canary with what it may replace
    Status(Which),
    /// Change a canary's share
    Set {
        #[command(flatten)]
        which: Which,
        /// Its share of the requests: `25%`
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        weight: f64,
    },
    /// Make a canary what the stage serves
    Promote(Which),
    /// End the trial: the stage serves what it served
    Rollback(Which),
}

#[derive(Args)]
struct Which {
    /// The API
    api: String,
    /// The stage
    #[arg(long)]
    stage: String,
    #[command(flatten)]
    connection: Connection,
}

impl Which {
    fn path(&self) -> String {
        format!("/apis/{}/stages/{}/canary", encoded(&self.api), encoded(&self.stage))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<ExitCode> {
        let answer = self.connection.client()?.send(method, path, body)?;
        self.connection.print(&answer, |answer| published(answer, false))?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Status(which) => {
            let answer = which.connection.client()?.send("GET", &which.path(), None)?;
            which.connection.print(&answer, status)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Set { which, weight } => which.call("PATCH", &which.path(), Some(&json!({"percent": weight}))),
        Command::Promote(which) => which.call("POST", &format!("{}/promote", which.path()), None),
        Command::Rollback(which) => which.call("DELETE", &which.path(), None),
    }
}

fn status(answer: &Value) {
    let verdict = &answer["verdict"];
    let row = |name: &str, unit: &str| {
        let number = |arm: &str| format!("{}{unit}", verdict[arm].get(name).cloned().unwrap_or_default());
        [number("stable"), number("canary")]
    };
    let rows: Vec<[String; 3]> = [
        ("requests", "requests", ""),
        ("5xx", "server_errors_percent", " %"),
        ("4xx", "client_errors_percent", " %"),
        ("p95", "p95_ms", " ms"),
    ]
    .map(|(shown, name, unit)| {
        let [stable, canary] = row(name, unit);
        [shown.to_owned(), stable, canary]
    })
    .into();
    output::line(&format!("{} % since {}", answer["canary"]["percent"], text(answer, "started_at")));
    table(["", "stable", "canary"], &rows);
    let reasons: Vec<&str> = list(verdict, "reasons").filter_map(Value::as_str).collect();
    let opinion = text(verdict, "opinion").replace('_', " ");
    output::line(format!("verdict: {opinion} {}", reasons.join("; ")).trim_end());
}
