//! `moongate export`: an API of a project as an OpenAPI 3 document, on standard output.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use moongate_config::issue::Issue;
use moongate_config::openapi::export::{Extensions, export};
use moongate_config::source::to_yaml;
use moongate_config::{ApiConfig, Project};

use crate::cli::INVALID_CONFIGURATION;
use crate::folder;
use crate::output::{self, Printer};
use crate::settings::Output;

#[derive(Args)]
pub(super) struct Arguments {
    /// The project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// The API's id; needed where the project has several
    #[arg(long)]
    api: Option<String>,
    /// Which extensions the document has
    #[arg(long, value_name = "WHICH", default_value = "moongate")]
    extensions: ExtensionsArgument,
    /// JSON or YAML
    #[arg(long, value_name = "FORM", default_value = "json")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum ExtensionsArgument {
    /// None: paths, parameters and schemas
    None,
    /// AWS's integrations
    Integrations,
    /// AWS's authorizers
    Authorizers,
    /// All of AWS's
    Apigateway,
    /// Moongate's: importing the document gives the same API
    Moongate,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.project.display().to_string();
    let (sources, _) = folder::read(&arguments.project).with_context(|| format!("the project's folder `{name}`"))?;
    let (project, issues) = Project::load(sources);
    if issues.iter().any(Issue::is_error) {
        Printer::new(Output::Text).issues(&issues, &project.sources);
        return Ok(ExitCode::from(INVALID_CONFIGURATION));
    }
    let api = choose(&project, arguments.api.as_deref())?;
    let extensions = match arguments.extensions {
        ExtensionsArgument::None => Extensions::None,
        ExtensionsArgument::Integrations => Extensions::Integrations,
        ExtensionsArgument::Authorizers => Extensions::Authorizers,
        ExtensionsArgument::Apigateway => Extensions::ApiGateway,
        ExtensionsArgument::Moongate => Extensions::Moongate,
    };
    let (document, unsaid) = export(api, extensions);
    for left_out in unsaid {
        eprintln!("left out: {left_out}");
    }
    match arguments.format {
        Format::Json => output::line(&serde_json::to_string_pretty(&document)?),
        Format::Yaml => output::line(to_yaml(&document).trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'p>(project: &'p Project, wanted: Option<&str>) -> anyhow::Result<&'p ApiConfig> {
    let mut apis = project.apis.iter().map(|declared| &declared.config);
    match wanted {
        Some(id) => apis.find(|api| api.api.as_str() == id).with_context(|| format!("there is no API `{id}`")),
        None if project.apis.len() == 1 => apis.next().context("there is no API"),
        None => {
            let ids: Vec<&str> = apis.map(|api| api.api.as_str()).collect();
            bail!("the project has several APIs, choose one with --api: {}", ids.join(", "))
        }
    }
}
