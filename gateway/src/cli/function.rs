//! `moongate function`: make a function, and try it without a gateway.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use moongate_config::{Issue, Project};
use moongate_exchange::RequestId;
use moongate_function::local::{Functions, Invocation, Outcome, ResultBody};
use moongate_policy::LocalSecrets;

use crate::cli::INVALID_CONFIGURATION;
use crate::output::{self, Printer};
use crate::settings::Output;
use crate::{folder, functions};

/// Largest event that is read, in bytes (source: Lambda quotas).
const EVENT_BYTES_MAX: u64 = 6 * 1024 * 1024;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a function that says hello: functions/NAME with its document and code
    New(New),
    /// Run a function once, on this machine, and print its result
    Invoke(Invoke),
}

#[derive(Args)]
struct New {
    /// The function's name: letters, digits, `-` and `_`
    name: String,
    /// What runs it
    #[arg(long, default_value = "python")]
    runtime: NewRuntime,
    /// The project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum NewRuntime {
    /// Python 3
    Python,
    /// JavaScript on Node.js
    Nodejs,
}

#[derive(Args)]
struct Invoke {
    /// The function's name
    name: String,
    /// A file that holds the event, JSON; `-` reads standard input. Without it the event is `{}`
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// The project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::New(new) => make(&new),
        Command::Invoke(invoke) => try_once(&invoke),
    }
}

fn make(new: &New) -> anyhow::Result<ExitCode> {
    let name = &new.name;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
        bail!("`{name}` cannot be a function's name: 1 to 64 letters, digits, `-` and `_`");
    }
    let folder = new.folder.join("functions").join(name);
    if folder.exists() {
        bail!("there is a folder `{}` already", folder.display());
    }
    let (runtime, file, code) = match new.runtime {
        NewRuntime::Python => ("python", "index.py", PYTHON),
        NewRuntime::Nodejs => ("nodejs", "index.mjs", NODE),
    };
    fs::create_dir_all(&folder).with_context(|| format!("the folder `{}`", folder.display()))?;
    let document = format!("function: {name}\nruntime: {runtime}\nhandler: index.handler\n");
    fs::write(folder.join("function.yaml"), document).context("the function's document")?;
    fs::write(folder.join(file), code).context("the function's code")?;
    output::line(&format!("made {}/function.yaml and {file}", folder.display()));
    output::line(&format!("try it:     moongate function invoke {name} --folder {}", new.folder.display()));
    output::line(&format!("route to it: `- {{ match: GET /{name}, function: {name} }}` in a document of apis/"));
    Ok(ExitCode::SUCCESS)
}

const PYTHON: &str = r#"import json


def handler(event, context):
    """Called for every request. `event` is AWS's, payload format 2.0."""
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"message": "Hello from Lambda!"}),
    }
"#;

const NODE: &str = r#"// Called for every request. `event` is AWS's, payload format 2.0.
export const handler = async (event, context) => ({
  statusCode: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ message: "Hello from Lambda!" }),
});
"#;

fn try_once(invoke: &Invoke) -> anyhow::Result<ExitCode> {
    let name = invoke.folder.display();
    let root = fs::canonicalize(&invoke.folder).with_context(|| format!("the project's folder `{name}`"))?;
    let event = event(invoke.event.as_deref())?;
    let (sources, mut issues) = folder::read(&root)?;
    let (mut project, found) = Project::load(sources);
    let Some(declared) = project.functions.iter().find(|declared| declared.config.function == invoke.name) else {
        let known: Vec<&str> = project.functions.iter().map(|declared| &*declared.config.function).collect();
        bail!("there is no function `{}` in `{name}`; there are: {}", invoke.name, known.join(", "));
    };
    let file = declared.file.clone();
    project.functions.retain(|declared| declared.file == file);
    let secrets = LocalSecrets::new(&root);
    let specs = functions::specs(&root, &project, &secrets, &mut issues);
    issues.extend(found);
    issues.retain(|issue| issue.file == file);
    project.resolve(&mut issues);
    Printer::new(Output::Text).issues(&issues, &project.sources);
    if issues.iter().any(Issue::is_error) {
        return Ok(ExitCode::from(INVALID_CONFIGURATION));
    }
    let Some(spec) = specs.into_iter().next() else { bail!("the function cannot be started") };
    let (name, patience) = (Arc::clone(&spec.name), spec.start_timeout + spec.timeout + Duration::from_secs(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let functions = Functions::start()?;
    let invocation = Invocation {
        request_id: RequestId::new(SystemTime::now()).as_str().into(),
        event: event.into(),
        trace_id: None,
        client_context: None,
    };
    let outcome = runtime.block_on(async {
        functions.replace(vec![spec]).await;
        let outcome = functions.invoke(&name, invocation, Instant::now() + patience).await;
        let log = functions.logs(&name, 1_000).await.unwrap_or_default();
        functions.stop().await;
        for line in log {
            eprintln!("{}", line.text);
        }
        outcome
    })?;
    report(&runtime, outcome)
}

/// Prints the result, and how it went.
fn report(runtime: &tokio::runtime::Runtime, outcome: Outcome) -> anyhow::Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    match outcome.body {
        ResultBody::Whole(result) => stdout.write_all(&result)?,
        ResultBody::Stream { mut pieces, .. } => {
            while let Some(piece) = runtime.block_on(pieces.next()) {
                stdout.write_all(&piece?)?;
            }
        }
    }
    writeln!(stdout)?;
    eprintln!(
        "took {:.1} ms{}",
        outcome.duration.as_secs_f64() * 1e3,
        if outcome.is_cold { ", cold start" } else { "" }
    );
    match outcome.error {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => bail!("{error}"),
    }
}

fn event(file: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    let mut event = Vec::new();
    match file {
        None => event.extend_from_slice(b"{}"),
        Some(file) if file == Path::new("-") => {
            std::io::stdin().lock().take(EVENT_BYTES_MAX + 1).read_to_end(&mut event)?;
        }
        Some(file) => {
            let opened = fs::File::open(file).with_context(|| format!("the event `{}`", file.display()))?;
            opened.take(EVENT_BYTES_MAX + 1).read_to_end(&mut event)?;
        }
    }
    if event.len() as u64 > EVENT_BYTES_MAX {
        bail!("the event is larger than {EVENT_BYTES_MAX} bytes");
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&event).context("the event is not JSON")?;
    Ok(event)
}
