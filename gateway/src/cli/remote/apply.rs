//! `moongate apply` and `moongate diff`: a project's folder and what is served.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use moongate_config::Issue;
use serde_json::{Value, json};

use crate::cli::remote::{Connection, DIFFERENT, published};
use crate::folder;

#[derive(Args)]
pub(crate) struct Apply {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove APIs and domains that the folder does not declare
    #[arg(long)]
    prune: bool,
    /// Write drafts only, without deploying them
    #[arg(long)]
    no_deploy: bool,
    /// What this change is about
    #[arg(short, long, default_value = "")]
    message: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Diff {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Count APIs and domains that the folder does not declare as differences
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn apply(arguments: &Apply) -> anyhow::Result<ExitCode> {
    let body = body(&arguments.folder, arguments.prune, !arguments.no_deploy, &arguments.message)?;
    let path = format!("/apply?dry_run={}", arguments.dry_run);
    let answer = arguments.connection.client()?.send("POST", &path, Some(&body))?;
    arguments.connection.print(&answer, |answer| published(answer, arguments.dry_run))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn diff(arguments: &Diff) -> anyhow::Result<ExitCode> {
    let body = body(&arguments.folder, arguments.prune, true, "")?;
    let answer = arguments.connection.client()?.send("POST", "/apply?dry_run=true", Some(&body))?;
    arguments.connection.print(&answer, |answer| published(answer, true))?;
    let is_different = answer.get("changed") == Some(&Value::Bool(true));
    Ok(if is_different { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

fn body(place: &PathBuf, prune: bool, deploy: bool, message: &str) -> anyhow::Result<Value> {
    let root = std::fs::canonicalize(place).with_context(|| format!("the project's folder `{}`", place.display()))?;
    let (sources, issues) = folder::read(&root)?;
    if let Some(issue) = issues.iter().find(|issue| Issue::is_error(issue)) {
        anyhow::bail!("{issue}");
    }
    Ok(json!({"files": sources.files, "deploy": deploy, "prune": prune, "message": message}))
}
