//! `moongate dev`: everything in one process, reloaded whenever a file changes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use moongate_function::local::Functions;
use moongate_policy::api_key::Credentials;
use moongate_proxy::Addresses;
use moongate_runtime::Snapshot;

use crate::cli::INVALID_CONFIGURATION;
use crate::compose::Composer;
use crate::folder;
use crate::follow::{self, Change, Loader};
use crate::output::{self, Printer};
use crate::roles::admin::Admin;
use crate::roles::proxy::Proxy;
use crate::serve;
use crate::settings::{AccessLog, Flags, Output, Settings};
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.flags.output);
    let printer = Printer::new(arguments.flags.output);
    let name = arguments.folder.display().to_string();
    let root = std::fs::canonicalize(&arguments.folder).with_context(|| format!("the project's folder `{name}`"))?;
    let (sources, _) = folder::read(&root)?;
    let settings = match Settings::read(arguments.flags, &sources, &root) {
        Ok(settings) => settings,
        Err(issues) => {
            printer.issues(&issues, &sources);
            return Ok(ExitCode::from(INVALID_CONFIGURATION));
        }
    };
    let proxy = Proxy::bind(&settings)?;
    let admin = Admin::bind(&settings.admin);
    let admin_address = admin.as_ref().map(Admin::address);
    let composer = Arc::new(Composer::default());
    let credentials = Arc::new(Credentials::default());
    let functions = Functions::start()?;
    let mut loader = Loader::new(&root, settings.workers, settings.scripts.clone(), functions.clone());
    if serve::has_control(&settings, admin.as_ref()) {
        loader = loader.beside_control(Arc::clone(&credentials));
    }
    let first = loader.load()?;
    if settings.output == Output::Text {
        banner(&name, &root, proxy.addresses(), admin_address, first.snapshot.as_ref());
    }
    // An error is shown and waited for: the next change may mend it.
    follow::publish(&composer, &functions, Ok(first), &move |change| match change {
        Change::Published(_, loaded) => printer.issues(&loaded.issues, loaded.sources()),
        other => printer.change(&other),
    });
    follow::watch(loader, Arc::clone(&composer), Arc::new(move |change| printer.change(&change)))?;
    serve::control(&settings, admin, &root, &composer, &credentials, printer)?;
    let access_log = settings.access_log.unwrap_or(match settings.output {
        Output::Text => AccessLog::Text,
        Output::Json => AccessLog::Json,
    });
    proxy.run(&settings, access_log, true, composer.published(), functions.clone(), move |addresses| {
        printer.listening(addresses, admin_address);
    })?;
    functions.stop_blocking();
    Ok(ExitCode::SUCCESS)
}

/// Says what is served where.
fn banner(name: &str, root: &Path, addresses: Addresses, admin: Option<SocketAddr>, snapshot: Option<&Snapshot>) {
    let version = env!("CARGO_PKG_VERSION");
    let project = if name == "." { root.display().to_string() } else { name.to_owned() };
    output::line(&format!("  moongate {version}   project {project}   hot reload on\n"));
    for (url, routes) in snapshot.map(|snapshot| urls(snapshot, addresses)).unwrap_or_default() {
        output::line(&format!("  API      {url:<36}  {routes}"));
    }
    if let Some(https) = addresses.https {
        output::line(&format!("  TLS      https://{https}"));
    }
    if let Some(admin) = admin {
        output::line(&format!("  Admin    http://{admin}/api/v1"));
    }
    output::line(&format!("  Health   http://{}/readyz\n", addresses.health));
}

/// The address of every API and a few of its routes.
fn urls(snapshot: &Snapshot, addresses: Addresses) -> Vec<(String, String)> {
    const ROUTES_SHOWN: usize = 4;
    let mut urls: Vec<_> = snapshot
        .apis
        .iter()
        .map(|(id, api)| {
            let router = &api.stages[api.default_stage].1.stable.router;
            let mut keys: Vec<&str> = router.routes().map(|route| &*route.facts.key).collect();
            keys.sort_unstable();
            let more = keys.len().saturating_sub(ROUTES_SHOWN);
            keys.truncate(ROUTES_SHOWN);
            let mut routes = keys.join("  ");
            if more > 0 {
                routes.push_str(&format!("  and {more} more"));
            }
            (format!("http://{}/{id}", addresses.http), routes)
        })
        .collect();
    urls.sort_unstable();
    urls
}
