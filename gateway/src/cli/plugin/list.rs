//! `moongate plugin list`: which plugins run on which routes, in which order, in which phases.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use moongate_function::local::Functions;
use moongate_runtime::plan::{RoutePlan, SitePlan};

use crate::cli::INVALID_CONFIGURATION;
use crate::folder;
use crate::follow::Loader;
use crate::output::{self, Printer};
use crate::settings::{self, Output};

#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Only this API
    #[arg(long, value_name = "ID")]
    api: Option<String>,
    /// This stage instead of the API's default one
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Only this route, such as "GET /orders/{id}"
    #[arg(long, value_name = "KEY")]
    route: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
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
    let Some(snapshot) = &loaded.snapshot else {
        Printer::new(Output::Text).issues(&loaded.issues, loaded.sources());
        return Ok(ExitCode::from(INVALID_CONFIGURATION));
    };
    let mut apis: Vec<_> =
        snapshot.apis.iter().filter(|(id, _)| arguments.api.as_deref().is_none_or(|api| api == &***id)).collect();
    apis.sort_by_key(|(id, _)| (*id).clone());
    for (_, api) in apis {
        let wanted = |(name, _): &&(Box<str>, _)| arguments.stage.as_deref().is_some_and(|stage| stage == &**name);
        let stage = match &arguments.stage {
            Some(stage) => api.stages.iter().find(wanted).with_context(|| format!("there is no stage `{stage}`"))?,
            None => &api.stages[api.default_stage],
        };
        print_site(arguments, &stage.1.stable);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_site(arguments: &Arguments, site: &SitePlan) {
    let is_wanted = |route: &&RoutePlan| arguments.route.as_deref().is_none_or(|key| key == &*route.facts.key);
    let mut routes: Vec<&RoutePlan> = site.router.routes().map(|route| &**route).filter(is_wanted).collect();
    routes.sort_by_key(|route| route.facts.key.clone());
    for route in routes {
        output::line(&format!("{} ({}, stage {})", route.facts.key, site.api_id, site.stage.name));
        if route.plugins.is_empty() {
            output::line("  no plugins");
        }
        for (place, plugin) in route.plugins.iter().enumerate() {
            let phases = plugin.phases.names().collect::<Vec<_>>().join(", ");
            let open = if plugin.fails_open { "  fails open" } else { "" };
            let (name, version, level) = (&plugin.name, &plugin.version, plugin.level);
            output::line(&format!("  {:>2}  {name:<28} {version:<8} {level:<7} {phases}{open}", place + 1));
        }
    }
}
