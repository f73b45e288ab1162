//! `moongate run`: a project in production. Reloaded on SIGHUP, drained on SIGTERM.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use moongate_runtime::Published;

use crate::cli::INVALID_CONFIGURATION;
use crate::folder;
use crate::follow::{self, Change, Loader};
use crate::output::Printer;
use crate::roles::proxy::Proxy;
use crate::settings::{AccessLog, Flags, Settings};
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// The settings file, `moongate.yaml`; the project is the folder it stands in
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.flags.output);
    let printer = Printer::new(arguments.flags.output);
    let file = arguments.config.display().to_string();
    let config = std::fs::canonicalize(&arguments.config).with_context(|| format!("the settings file `{file}`"))?;
    let root = if config.is_dir() { config } else { config.parent().context("a file stands in a folder")?.to_owned() };
    let (sources, _) = folder::read(&root)?;
    let settings = match Settings::read(arguments.flags, &sources, &root) {
        Ok(settings) => settings,
        Err(issues) => {
            printer.issues(&issues, &sources);
            return Ok(ExitCode::from(INVALID_CONFIGURATION));
        }
    };
    let mut loader = Loader::new(&root, settings.workers, settings.scripts)?;
    let functions = loader.functions();
    let first = loader.load()?;
    printer.issues(&first.issues, &first.sources);
    if first.is_refused() {
        return Ok(ExitCode::from(INVALID_CONFIGURATION));
    }
    let proxy = Proxy::bind(&settings)?;
    let published = Arc::new(Published::default());
    let (routes, scripts) = (first.size.routes, first.size.scripts);
    follow::publish(&published, &functions, Ok(first), &|_: Change<'_>| {});
    follow::on_hangup(loader, Arc::clone(&published), Arc::new(move |change| printer.change(&change)))?;
    let access_log = settings.access_log.unwrap_or(AccessLog::Json);
    proxy.run(&settings, access_log, false, published, functions.clone(), move |addresses| {
        printer.listening(addresses);
        tracing::info!(listen = %addresses.http, health = %addresses.health, routes, scripts, "serving");
    })?;
    functions.stop_blocking();
    Ok(ExitCode::SUCCESS)
}
