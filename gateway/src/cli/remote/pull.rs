//! `moongate pull`: what a control plane has, as a project's folder, or one API of it as OpenAPI.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::cli::remote::{Connection, text};
use crate::client::encoded;
use crate::output;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Print this API as an OpenAPI 3.1 document
    #[arg(long, conflicts_with = "folder")]
    api: Option<String>,
    /// The stage whose deployment is printed [default: the draft]
    #[arg(long, requires = "api")]
    stage: Option<String>,
    /// Write everything into this folder, which `moongate apply` takes back
    #[arg(long, value_name = "DIR", required_unless_present = "api")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.connection.client()?;
    if let Some(api) = &arguments.api {
        let stage = arguments.stage.as_ref().map(|stage| format!("?stage={}", encoded(stage))).unwrap_or_default();
        let answer = client.send("GET", &format!("/apis/{}/export{stage}", encoded(api)), None)?;
        output::line(&serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    let folder = arguments.folder.as_deref().context("name a folder with --folder")?;
    let answer = client.send("GET", "/export", None)?;
    let files = answer.get("files").and_then(Value::as_object).context("the answer holds no files")?;
    for path in files.keys() {
        write(folder, path, text(&answer["files"], path))?;
    }
    output::line(&format!("{} files in {}", files.len(), folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes a file below the folder, whatever its name says.
fn write(folder: &Path, path: &str, text: &str) -> anyhow::Result<()> {
    let is_inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    anyhow::ensure!(is_inside, "the control plane names a file outside of the folder: `{path}`");
    let place = folder.join(path);
    let parent = place.parent().context("a file lies in a folder")?;
    let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&place, text));
    written.with_context(|| format!("`{}` cannot be written", place.display()))
}
