//! `moongate stages` and `moongate revisions`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::cli::remote::{Connection, list, short, table, text};
use crate::client::encoded;
use crate::output;

#[derive(Args)]
pub(crate) struct Stages {
    /// Only this API
    api: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Revisions {
    /// Say what is different between this revision and the one before
    revision: Option<u64>,
    /// How many, from the newest
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Only the one that was served at this time: RFC 3339, or `-1h`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn stages(arguments: &Stages) -> anyhow::Result<ExitCode> {
    let answer = arguments.connection.client()?.send("GET", "/apis?limit=500", None)?;
    arguments.connection.print(&answer, |answer| {
        let apis =
            list(answer, "items").filter(|api| arguments.api.as_ref().is_none_or(|wanted| text(api, "id") == wanted));
        let rows: Vec<[String; 5]> = apis
            .flat_map(|api| list(api, "stages").map(move |stage| (api, stage)))
            .map(|(api, stage)| {
                let is_current = stage.get("is_current") == Some(&Value::Bool(true));
                let canary = stage.get("canary_percent").map(|percent| format!("{percent} %")).unwrap_or_default();
                let draft = if is_current { "deployed" } else { "differs" }.to_owned();
                let deployment = short(text(stage, "deployment")).to_owned();
                [text(api, "id").to_owned(), text(stage, "name").to_owned(), deployment, draft, canary]
            })
            .collect();
        table(["API", "STAGE", "DEPLOYMENT", "DRAFT", "CANARY"], &rows);
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn revisions(arguments: &Revisions) -> anyhow::Result<ExitCode> {
    let client = arguments.connection.client()?;
    if let Some(revision) = arguments.revision {
        let answer = client.send("GET", &format!("/revisions/{revision}/diff"), None)?;
        arguments.connection.print(&answer, |answer| {
            for change in list(answer, "changes") {
                let place = [text(change, "api"), text(change, "stage")].join(" ");
                output::line(&format!("  {:<24} {}", place.trim(), text(change, "text")));
            }
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut path = format!("/revisions?limit={}", arguments.limit);
    if let Some(at) = &arguments.at {
        path.push_str(&format!("&at={}", encoded(at)));
    }
    let answer = client.send("GET", &path, None)?;
    arguments.connection.print(&answer, |answer| {
        let row = |item: &Value| {
            let number = item.get("revision").and_then(Value::as_u64).unwrap_or(0);
            [
                number.to_string(),
                text(item, "created_at").to_owned(),
                text(item, "author").to_owned(),
                text(item, "cause").to_owned(),
            ]
        };
        table(["REVISION", "SINCE", "BY", "WHAT"], &list(answer, "items").map(row).collect::<Vec<_>>());
    })?;
    Ok(ExitCode::SUCCESS)
}
