//! `moongate routes`: the routes of a project, and one request through them without a listening socket.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use http::{HeaderName, HeaderValue, Method};
use moongate_function::local::Functions;
use moongate_proxy::upstream::{Fleet, Pool};
use moongate_runtime::compile::ScriptSettings;
use moongate_runtime::invocation::{Call, Invocation, Unasked, invoke};
use moongate_runtime::{Published, Snapshot};

use crate::cli::INVALID_CONFIGURATION;
use crate::follow::{Loaded, Loader};
use crate::output::{self, Printer};
use crate::settings::{Flags, Output, Settings};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List every route
    List {
        /// The project's folder
        #[arg(long, value_name = "DIR", default_value = ".")]
        project: PathBuf,
    },
    /// Take one request through the stages of its route and show what each does
    Test(Test),
}

#[derive(Args)]
struct Test {
    /// The method
    method: String,
    /// The route's path, and the query: /orders/7?full=1
    path: String,
    /// The project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// The API's id; needed where the project has several
    #[arg(long)]
    api: Option<String>,
    /// The stage [default: the API's default stage]
    #[arg(long)]
    stage: Option<String>,
    /// A header field, `Name: value`; may be given several times
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The body, or @FILE
    #[arg(short, long)]
    body: Option<String>,
    /// Ask no upstream: show what it would be sent
    #[arg(long)]
    dry_run: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A JSON object
    Json,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::List { project } => list(&project),
        Command::Test(arguments) => test(arguments),
    }
}

fn load(project: &Path) -> anyhow::Result<Loaded> {
    let name = project.display().to_string();
    let root = std::fs::canonicalize(project).with_context(|| format!("the project's folder `{name}`"))?;
    let functions = Functions::start()?;
    let mut loader = Loader::new(&root, 1, ScriptSettings::default(), functions.clone());
    let mut loaded = loader.load()?;
    functions.replace_blocking(std::mem::take(&mut loaded.functions));
    Ok(loaded)
}

fn refuse(loaded: &Loaded) -> ExitCode {
    Printer::new(Output::Text).issues(&loaded.issues, loaded.sources());
    ExitCode::from(INVALID_CONFIGURATION)
}

fn list(project: &Path) -> anyhow::Result<ExitCode> {
    let loaded = load(project)?;
    let Some(snapshot) = &loaded.snapshot else { return Ok(refuse(&loaded)) };
    let mut lines: Vec<String> = Vec::new();
    for (api, sites) in &snapshot.apis {
        let Some((_, site)) = sites.stages.get(sites.default_stage) else { continue };
        lines.extend(site.stable.router.routes().map(|route| format!("{api}  {}", route.facts.key)));
    }
    lines.sort();
    lines.iter().for_each(|line| output::line(line));
    Ok(ExitCode::SUCCESS)
}

fn test(arguments: Test) -> anyhow::Result<ExitCode> {
    let loaded = load(&arguments.project)?;
    let Some(snapshot) = &loaded.snapshot else { return Ok(refuse(&loaded)) };
    let call = call(&arguments, snapshot)?;
    let (api, target, method) = (call.api.clone(), call.target.clone(), call.method.clone());
    moongate_runtime::enter_worker(0);
    // Names are resolved as the gateway would.
    let settings = match Settings::read(Flags::default(), loaded.sources(), &arguments.project) {
        Ok(settings) => settings,
        Err(issues) => {
            Printer::new(Output::Text).issues(&issues, loaded.sources());
            return Ok(ExitCode::from(INVALID_CONFIGURATION));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let invocation: anyhow::Result<Invocation> = runtime.block_on(async {
        if arguments.dry_run {
            Ok(invoke(snapshot, &Unasked, call).await?)
        } else {
            let fleet = Fleet::start(settings.resolver, 1, Arc::new(Published::default()))?;
            Ok(invoke(snapshot, &Pool::new(fleet, 0), call).await?)
        }
    });
    let invocation = invocation?;
    match arguments.format {
        Format::Json => output::line(&serde_json::to_string_pretty(&invocation)?),
        Format::Text => show(&format!("{method} {target}"), &api, &invocation),
    }
    Ok(ExitCode::SUCCESS)
}

fn call(arguments: &Test, snapshot: &Snapshot) -> anyhow::Result<Call> {
    let mut known: Vec<&str> = snapshot.apis.keys().map(|id| &**id).collect();
    known.sort_unstable();
    let api = match (&arguments.api, &*known) {
        (Some(api), _) => api.as_str(),
        (None, [only]) => only,
        (None, _) => bail!("the project has several APIs, choose one with --api: {}", known.join(", ")),
    };
    let method = Method::from_bytes(arguments.method.to_ascii_uppercase().as_bytes())
        .with_context(|| format!("the method `{}`", arguments.method))?;
    let mut headers = Vec::with_capacity(arguments.headers.len());
    for field in &arguments.headers {
        let (name, value) = field.split_once(':').with_context(|| format!("`{field}` is not `Name: value`"))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).with_context(|| format!("the field `{field}`"))?;
        headers.push((name, HeaderValue::from_str(value.trim()).with_context(|| format!("the field `{field}`"))?));
    }
    let body = match arguments.body.as_deref() {
        None => Bytes::new(),
        Some(text) => match text.strip_prefix('@') {
            Some(file) => std::fs::read(file).with_context(|| format!("the body's file `{file}`"))?.into(),
            None => Bytes::copy_from_slice(text.as_bytes()),
        },
    };
    Ok(Call {
        api: api.into(),
        stage: arguments.stage.as_deref().map(Into::into),
        method,
        target: arguments.path.clone(),
        headers,
        body,
    })
}

fn show(request: &str, api: &str, invocation: &Invocation) {
    let ms = |us: u64| us as f64 / 1000.0;
    let route = invocation.route.as_deref().unwrap_or("no route");
    output::line(&format!(
        "{request} -> {} in {:.1} ms   ({api}: {route})",
        invocation.status,
        ms(invocation.latency_us)
    ));
    for stage in &invocation.stages {
        let ending = match invocation.rejection {
            Some(kind) if stage.is_last => format!("  ended with {kind}"),
            _ => String::new(),
        };
        output::line(&format!("  {:<13} {:>8.2} ms{ending}", stage.stage.as_str(), ms(stage.duration_us)));
    }
    output::line("");
    invocation.log.iter().for_each(|line| output::line(&format!("  {line}")));
    output::line("");
    for (name, value) in &invocation.headers {
        output::line(&format!("{name}: {value}"));
    }
    output::line("");
    output::line(if invocation.is_base64_encoded { "(Base64)" } else { &invocation.body });
    if invocation.is_base64_encoded {
        output::line(&invocation.body);
    }
}
