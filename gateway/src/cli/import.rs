//! `moongate import`: an OpenAPI document, or an export of AWS API Gateway, becomes a native document of a project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use moongate_config::issue::render::reports;
use moongate_config::openapi::import::{Imported, Mode, combine, import};
use moongate_config::openapi::{BasePath, Options};
use moongate_config::source::{self, to_yaml};
use moongate_config::{Issue, Sources};
use serde_json::{Value, json};

use crate::cli::INVALID_CONFIGURATION;
use crate::output::{self, Printer};
use crate::settings::Output;

#[derive(Args)]
pub(super) struct Arguments {
    /// The document: OpenAPI 3.0 or 3.1, or Swagger 2.0, in JSON or YAML
    file: PathBuf,
    /// The folder that the native document is written into
    #[arg(long, value_name = "DIR", default_value = "apis")]
    into: PathBuf,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the import meets a document of the same API; without it, one that is there is left alone
    #[arg(long)]
    mode: Option<ModeArgument>,
    /// What becomes of the document's base path
    #[arg(long, value_name = "HOW", default_value = "ignore")]
    basepath: BasePathArgument,
    /// Refuse the document when anything of it would be left out
    #[arg(long)]
    fail_on_warnings: bool,
    /// A value for what CloudFormation functions in the document name; may be given several times
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// How the result is printed
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArgument {
    /// Routes and names of the import replace those that are the same, everything else stays
    Merge,
    /// The import replaces all of it
    Overwrite,
}

#[derive(Clone, Copy, ValueEnum)]
enum BasePathArgument {
    /// Routes begin where the document's paths do
    Ignore,
    /// It stands before every route
    Prepend,
    /// Its first segment is left out, the rest stands before every route
    Split,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A JSON object, with the native document in it
    Json,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display().to_string();
    let text = std::fs::read_to_string(&arguments.file).with_context(|| format!("the document `{name}`"))?;
    let mut parameters = BTreeMap::new();
    for parameter in &arguments.parameters {
        let (name, value) = parameter.split_once('=').with_context(|| format!("`{parameter}` is not NAME=VALUE"))?;
        parameters.insert(name.to_owned(), value.to_owned());
    }
    let base_path = match arguments.basepath {
        BasePathArgument::Ignore => BasePath::Ignore,
        BasePathArgument::Prepend => BasePath::Prepend,
        BasePathArgument::Split => BasePath::Split,
    };
    let Imported { config, issues, summary } = import(&text, &name, &Options { base_path, parameters });
    let sources = Sources { files: BTreeMap::from([(name.clone(), text)]) };
    let is_refused = config.is_none() || arguments.fail_on_warnings && !issues.is_empty();
    let native = match &config {
        Some(config) => serde_json::to_value(config)?,
        None => Value::Null,
    };
    let written = if is_refused || arguments.dry_run { None } else { Some(write(&arguments, native.clone())?) };
    match arguments.format {
        Format::Json => {
            let report = json!({
                "document": name,
                "api": native.get("api"),
                "written": written,
                "summary": summary,
                "left_out": reports(&issues, &sources),
                "config": native,
            });
            output::line(&serde_json::to_string_pretty(&report)?);
        }
        Format::Text => {
            Printer::new(Output::Text).issues(&issues, &sources);
            let warnings = issues.iter().filter(|issue| !issue.is_error()).count();
            output::line(&format!(
                "{name}: {} routes, {} models, {} authorizers",
                summary.routes, summary.models, summary.authorizers
            ));
            output::line(&format!(
                "  templates   {} taken as they are, {} translated to Lua",
                summary.texts, summary.translated
            ));
            if summary.without_backend > 0 {
                output::line(&format!(
                    "  functions   {} routes call AWS; give each a `function`, or they answer 500",
                    summary.without_backend
                ));
            }
            if summary.without_decision > 0 {
                output::line(&format!(
                    "  authorizers {} of types that live in AWS; give each a script, or their routes answer 500",
                    summary.without_decision
                ));
            }
            output::line(&format!("  left out    {warnings}, listed above"));
            output::line(&match (&written, is_refused) {
                (Some(path), _) => format!("written to {path}"),
                (None, true) => "nothing is written: the document has errors, or warnings count as such".to_owned(),
                (None, false) => "nothing is written (--dry-run)".to_owned(),
            });
        }
    }
    let is_failed = is_refused || issues.iter().any(Issue::is_error);
    Ok(if is_failed { ExitCode::from(INVALID_CONFIGURATION) } else { ExitCode::SUCCESS })
}

/// Writes the native document in one step, so that a gateway that follows the folder never reads half of it.
fn write(arguments: &Arguments, native: Value) -> anyhow::Result<String> {
    let id = native.get("api").and_then(Value::as_str).context("the import has no id")?;
    let path = arguments.into.join(format!("{id}.yaml"));
    let shown = path.display().to_string();
    let document = match (std::fs::read_to_string(&path), arguments.mode) {
        (Err(_), _) => native,
        (Ok(_), None) => bail!("`{shown}` is there already; say --mode merge or --mode overwrite"),
        (Ok(text), Some(mode)) => {
            let present =
                source::parse(&text, "present.yaml").map_err(|_| anyhow::anyhow!("`{shown}` cannot be read"))?;
            let mode = match mode {
                ModeArgument::Merge => Mode::Merge,
                ModeArgument::Overwrite => Mode::Overwrite,
            };
            combine(present.to_json(), native, mode)
        }
    };
    std::fs::create_dir_all(&arguments.into).with_context(|| format!("the folder of `{shown}`"))?;
    let draft = path.with_extension("yaml.draft");
    std::fs::write(&draft, to_yaml(&document))
        .and_then(|()| std::fs::rename(&draft, &path))
        .with_context(|| shown.clone())?;
    Ok(shown)
}
