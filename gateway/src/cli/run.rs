//! `moongate run`: a project in production. Reloaded on SIGHUP, drained on SIGTERM.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use moongate_config::Sources;
use moongate_function::local::Functions;
use moongate_policy::api_key::Credentials;

use crate::cli::INVALID_CONFIGURATION;
use crate::compose::Composer;
use crate::folder;
use crate::follow::{self, Change, Loader, Size};
use crate::output::Printer;
use crate::roles::admin::Admin;
use crate::roles::proxy::Proxy;
use crate::serve;
use crate::settings::{AccessLog, Flags, Settings};
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// The settings file, `moongate.yaml`; the project is the folder it stands in. Without it, all that is served comes from the
    /// control plane
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.flags.output);
    let printer = Printer::new(arguments.flags.output);
    let root = match &arguments.config {
        Some(file) => {
            let config =
                std::fs::canonicalize(file).with_context(|| format!("the settings file `{}`", file.display()))?;
            if config.is_dir() { config } else { config.parent().context("a file stands in a folder")?.to_owned() }
        }
        None => std::env::current_dir()?,
    };
    let sources = if arguments.config.is_some() { folder::read(&root)?.0 } else { Sources::default() };
    let settings = match Settings::read(arguments.flags, &sources, &root) {
        Ok(settings) => settings,
        Err(issues) => {
            printer.issues(&issues, &sources);
            return Ok(ExitCode::from(INVALID_CONFIGURATION));
        }
    };
    let admin = Admin::bind(&settings.admin);
    let admin_address = admin.as_ref().map(Admin::address);
    let composer = Arc::new(Composer::default());
    let credentials = Arc::new(Credentials::default());
    let functions = Functions::start()?;
    let mut size = Size::default();
    let mut folder = None;
    if arguments.config.is_some() {
        let mut loader = Loader::new(&root, settings.workers, settings.scripts.clone(), functions.clone());
        if serve::has_control(&settings, admin.as_ref()) {
            loader = loader.beside_control(Arc::clone(&credentials));
        }
        let first = loader.load()?;
        printer.issues(&first.issues, first.sources());
        if first.is_refused() {
            return Ok(ExitCode::from(INVALID_CONFIGURATION));
        }
        size = first.size;
        folder = Some((loader, first));
    } else if !serve::has_control(&settings, admin.as_ref()) {
        anyhow::bail!(
            "there is nothing to serve: name a settings file with -c, a control plane with --control, or an address with --admin-listen"
        );
    }
    let proxy = Proxy::bind(&settings)?;
    if let Some((loader, first)) = folder {
        follow::publish(&composer, &functions, Ok(first), &|_: Change<'_>| {});
        follow::on_hangup(loader, Arc::clone(&composer), Arc::new(move |change| printer.change(&change)))?;
    }
    serve::control(&settings, admin, &root, &composer, &credentials, printer)?;
    let (routes, scripts) = (size.routes, size.scripts);
    let access_log = settings.access_log.unwrap_or(AccessLog::Json);
    proxy.run(&settings, access_log, false, composer.published(), functions.clone(), move |addresses| {
        printer.listening(addresses, admin_address);
        tracing::info!(listen = %addresses.http, health = %addresses.health, routes, scripts, "serving");
    })?;
    functions.stop_blocking();
    Ok(ExitCode::SUCCESS)
}
