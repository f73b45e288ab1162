//! Commands that talk to a control plane: one file per subject.

pub(super) mod apply;
pub(super) mod audit;
pub(super) mod backup;
pub(super) mod canary;
pub(super) mod deploy;
pub(super) mod keys;
pub(super) mod pull;
pub(super) mod show;
pub(super) mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::client::{CallError, Client};
use crate::output;
use crate::roles::admin::{ADDRESS_FILE, TOKEN_FILE};
use crate::settings::DATA_DIR;

/// Nobody answers (`EX_UNAVAILABLE`).
const UNREACHABLE: u8 = 69;
/// The control plane says that one may not (`EX_NOPERM`).
const NOT_ALLOWED: u8 = 77;
/// There is a difference.
pub(super) const DIFFERENT: u8 = 2;

/// Where the control plane is.
#[derive(Args)]
pub(super) struct Connection {
    /// The control plane's URL [default: what the data folder says, else http://127.0.0.1:9000]
    #[arg(long, env = "MOONGATE_URL", value_name = "URL")]
    url: Option<String>,
    /// File with the token; `MOONGATE_TOKEN` can hold the token itself [default: `token` in the data folder]
    #[arg(long, env = "MOONGATE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the certificate authorities that the control plane's certificate is checked against [default: the system's]
    #[arg(long, env = "MOONGATE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The data folder of the process that serves the control plane, where its URL and first token are found
    #[arg(long, env = "MOONGATE_DATA_DIR", value_name = "DIR", default_value = DATA_DIR)]
    data_dir: PathBuf,
    /// How answers are printed
    #[arg(long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// How answers are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// The API's own JSON.
    Json,
}

impl Connection {
    /// A client for it.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let folder = &self.data_dir;
        let noted = std::fs::read_to_string(folder.join(ADDRESS_FILE)).ok();
        let noted =
            noted.and_then(|text| Some(serde_json::from_str::<Value>(&text).ok()?.get("url")?.as_str()?.to_owned()));
        let url = self.url.clone().or(noted).unwrap_or_else(|| "http://127.0.0.1:9000".to_owned());
        let token = match (std::env::var("MOONGATE_TOKEN"), &self.token_file) {
            (Ok(token), None) if !token.is_empty() => token,
            (_, Some(file)) => {
                std::fs::read_to_string(file).with_context(|| format!("the token's file `{}`", file.display()))?
            }
            _ => std::fs::read_to_string(folder.join(TOKEN_FILE)).context(
                "no token: set MOONGATE_TOKEN, name a file with --token-file, or the data folder with --data-dir",
            )?,
        };
        Client::new(&url, token.trim(), self.ca_file.as_deref())
    }

    /// Prints an answer: as it is, or as `table` says it.
    pub(super) fn print(&self, answer: &Value, table: impl FnOnce(&Value)) -> anyhow::Result<()> {
        match self.output {
            Form::Json => output::line(&serde_json::to_string_pretty(answer)?),
            Form::Table => table(answer),
        }
        Ok(())
    }
}

/// The exit code of a command, with what is wrong said on standard error.
pub(super) fn ended(outcome: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let error = match outcome {
        Ok(code) => return Ok(code),
        Err(error) => error,
    };
    let code = match error.downcast_ref::<CallError>() {
        Some(CallError::Unreachable { .. }) => UNREACHABLE,
        Some(CallError::Refused { status: 401 | 403, .. }) => NOT_ALLOWED,
        Some(CallError::Refused { status: 422, .. }) => super::INVALID_CONFIGURATION,
        Some(_) | None => return Err(error),
    };
    eprintln!("moongate: {error:#}");
    if let Some(CallError::Refused { problem, .. }) = error.downcast_ref() {
        mistakes(problem);
    }
    Ok(ExitCode::from(code))
}

/// Says every mistake of a problem.
fn mistakes(problem: &Value) {
    for mistake in list(problem, "errors") {
        let place = match (text(mistake, "file"), mistake.get("line").and_then(Value::as_u64)) {
            ("", _) => text(mistake, "pointer").to_owned(),
            (file, Some(line)) => format!("{file}:{line}"),
            (file, None) => format!("{file}{}", text(mistake, "pointer")),
        };
        eprintln!("{place}: {}[{}]: {}", text(mistake, "severity"), text(mistake, "code"), text(mistake, "message"));
        if let Some(help) = mistake.get("help").and_then(Value::as_str) {
            eprintln!("   = help: {help}");
        }
    }
}

/// A field's text; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A field's list.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The first characters of a digest.
pub(super) fn short(digest: &str) -> &str {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.get(..12).unwrap_or(digits)
}

/// Prints rows under a head, each column as wide as it must be.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    let widths: Vec<usize> = (0..N)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0))
        .collect();
    let print = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        output::line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&head);
    for row in rows {
        print(&row.each_ref().map(String::as_str));
    }
}

/// Says what a change made: the differences and the revision.
pub(super) fn published(answer: &Value, is_dry_run: bool) {
    for change in list(answer, "changes") {
        let stage = text(change, "stage");
        let place =
            [text(change, "api"), stage].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
        output::line(&format!("  {place:<24} {}", text(change, "text")));
    }
    for warning in list(answer, "warnings") {
        eprintln!("warning[{}]: {}", text(warning, "code"), text(warning, "message"));
    }
    let is_changed = answer.get("changed") == Some(&Value::Bool(true));
    let revision = answer.get("revision").and_then(Value::as_u64).unwrap_or(0);
    let count = list(answer, "changes").count();
    let plural = if count == 1 { "" } else { "s" };
    output::line(&match (is_changed, is_dry_run) {
        (false, _) => format!("no difference to revision {revision}"),
        (true, true) => format!("{count} difference{plural} to revision {revision}, nothing written"),
        (true, false) => format!("revision {revision} is served"),
    });
}
