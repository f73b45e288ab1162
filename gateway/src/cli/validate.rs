//! `moongate validate`: everything that is wrong with a project, at once.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use moongate_config::issue::render::{render_github, render_short, reports};
use moongate_function::local::Functions;

use crate::cli::INVALID_CONFIGURATION;
use crate::explain;
use crate::folder;
use crate::follow::{Loaded, Loader};
use crate::output::{self, Printer};
use crate::settings::{self, Output};

#[derive(Args)]
pub(super) struct Arguments {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// How problems are printed
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the lines and a caret, for people
    Text,
    /// One line each: file:line:column: severity[code]: message
    Short,
    /// A JSON array
    Json,
    /// Annotations of GitHub Actions
    Github,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.folder.display().to_string();
    let root = std::fs::canonicalize(&arguments.folder).with_context(|| format!("the project's folder `{name}`"))?;
    let (sources, _) = folder::read(&root)?;
    let scripts = match settings::script_settings(&sources) {
        Ok(scripts) => scripts,
        Err(issues) => {
            Printer::new(Output::Text).issues(&issues, &sources);
            return Ok(ExitCode::from(INVALID_CONFIGURATION));
        }
    };
    let loaded = Loader::new(&root, 1, scripts, Functions::start()?).load()?;
    print(&arguments, &loaded)?;
    let is_refused = loaded.is_refused() || (arguments.strict && !loaded.issues.is_empty());
    Ok(if is_refused { ExitCode::from(INVALID_CONFIGURATION) } else { ExitCode::SUCCESS })
}

fn print(arguments: &Arguments, loaded: &Loaded) -> anyhow::Result<()> {
    let (issues, sources) = (&loaded.issues, loaded.sources());
    match arguments.format {
        Format::Text => {
            Printer::new(Output::Text).issues(issues, sources);
            let size = loaded.size;
            let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
            let contents =
                [plural(size.files, "document"), plural(size.routes, "route"), plural(size.scripts, "script")]
                    .join(", ");
            output::line(&format!("{contents}: {} ({} ms)", explain::count(issues), loaded.took.as_millis()));
        }
        Format::Short => output::line(render_short(issues, sources).trim_end()),
        Format::Json => output::line(&serde_json::to_string_pretty(&reports(issues, sources))?),
        Format::Github => output::line(render_github(issues, sources).trim_end()),
    }
    Ok(())
}
