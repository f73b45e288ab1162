//! `moongate deploy` and `moongate rollback`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::remote::{Connection, list, published, short, text};
use crate::client::{Client, encoded};
use crate::output;

/// How long `--wait` waits.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Deploy {
    /// The API
    api: String,
    /// The stage
    #[arg(long)]
    stage: String,
    /// Deploy to a share of the requests only: `10%`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    canary: Option<f64>,
    /// Roll the canary back by itself when it answers 5xx this much more often, in percentage points
    #[arg(long, value_name = "POINTS", requires = "canary")]
    rollback_at: Option<f64>,
    /// A deployment that is there already [default: one is made of the draft]
    #[arg(long, value_name = "DIGEST")]
    deployment: Option<String>,
    /// What this deployment is about
    #[arg(short, long, default_value = "")]
    message: String,
    /// Wait until every gateway serves it
    #[arg(long)]
    wait: bool,
    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Rollback {
    /// The API
    api: String,
    /// The stage
    #[arg(long)]
    stage: String,
    /// The revision to go back to [default: the newest in which the stage ran another deployment]
    #[arg(long, value_name = "REVISION")]
    to: Option<u64>,
    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Reads `10%` or `10`.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok();
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| format!("`{text}` is no share from 0% to 100%"))
}

pub(crate) fn deploy(arguments: &Deploy) -> anyhow::Result<ExitCode> {
    let mut body = json!({"stage": arguments.stage, "message": arguments.message});
    if let Some(digest) = &arguments.deployment {
        body["deployment"] = json!(digest);
    }
    if let Some(percent) = arguments.canary {
        body["canary"] = json!({"percent": percent});
        if let Some(points) = arguments.rollback_at {
            body["canary"]["rule"] = json!({"server_errors_points": points});
        }
    }
    let client = arguments.connection.client()?;
    let path = format!("/apis/{}/deployments?dry_run={}", encoded(&arguments.api), arguments.dry_run);
    let answer = client.send("POST", &path, Some(&body))?;
    arguments.connection.print(&answer, |answer| {
        output::line(&format!("deployment {} of {}", short(text(answer, "deployment")), arguments.api));
        published(answer, arguments.dry_run);
        if let Some(percent) = arguments.canary.filter(|_| !arguments.dry_run) {
            let (api, stage) = (&arguments.api, &arguments.stage);
            output::line(&format!("{stage}: {}% as before, {percent}% canary", 100.0 - percent));
            output::line(&format!("watch:    moongate canary status {api} --stage {stage}"));
            output::line(&format!("rollback: moongate canary rollback {api} --stage {stage}"));
        }
    })?;
    if arguments.wait && !arguments.dry_run {
        wait(&client, answer.get("revision").and_then(Value::as_u64).unwrap_or(0))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until every connected gateway serves a revision.
fn wait(client: &Client, revision: u64) -> anyhow::Result<()> {
    let until = Instant::now() + WAIT;
    loop {
        let nodes = client.send("GET", "/nodes", None)?;
        let connected: Vec<&Value> =
            list(&nodes, "items").filter(|node| node["is_connected"] == Value::Bool(true)).collect();
        let number = |node: &Value, name: &str| node.get(name).and_then(Value::as_u64).unwrap_or(0);
        if let Some(node) =
            connected.iter().find(|node| number(node, "revision") >= revision && number(node, "serving") < revision)
        {
            anyhow::bail!("`{}` refused revision {revision}: {}", text(node, "name"), node["issues"]);
        }
        let serving = connected.iter().filter(|node| number(node, "serving") >= revision).count();
        if serving == connected.len() {
            eprintln!("served by {serving} of {} gateways", connected.len());
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < until,
            "only {serving} of {} gateways serve revision {revision}",
            connected.len()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn rollback(arguments: &Rollback) -> anyhow::Result<ExitCode> {
    let body = arguments.to.map_or_else(|| json!({}), |to| json!({"to": to}));
    let (api, stage) = (encoded(&arguments.api), encoded(&arguments.stage));
    let path = format!("/apis/{api}/stages/{stage}/rollback?dry_run={}", arguments.dry_run);
    let answer = arguments.connection.client()?.send("POST", &path, Some(&body))?;
    arguments.connection.print(&answer, |answer| published(answer, arguments.dry_run))?;
    Ok(ExitCode::SUCCESS)
}
