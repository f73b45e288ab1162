//! Functions: code that the gateway runs as processes of this machine, the way AWS Lambda does.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The folder below which functions lie, a folder each.
pub const FUNCTIONS_FOLDER: &str = "functions/";

/// Longest function name, in bytes (source: Lambda quotas).
pub const FUNCTION_NAME_BYTES_MAX: usize = 64;

/// Bounds of [`FunctionConfig::memory_mb`] (source: Lambda quotas; the lower one is ours, small compiled functions need little).
pub const MEMORY_MB: std::ops::RangeInclusive<u32> = 16..=10_240;
/// Bounds of [`FunctionConfig::timeout_ms`] (source: Lambda quotas, 15 minutes).
pub const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 1..=900_000;
/// Bounds of [`FunctionConfig::concurrency`]. Each is a process.
pub const CONCURRENCY: std::ops::RangeInclusive<u32> = 1..=1_000;

/// A function: a document `functions/NAME/function.yaml` beside its code.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionConfig {
    /// The name that routes and callers use: letters, digits, `-` and `_`, 1 to 64 of them.
    pub function: String,
    /// What the function is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What runs it.
    pub runtime: FunctionRuntime,
    /// What is called: the file without its ending, a dot, the function's name. Default: `index.handler`. `provided` functions are
    /// told and may ignore it.
    #[serde(default = "default_handler")]
    pub handler: String,
    /// The command that starts a process, instead of the runtime's own: for runtime clients of your choice. `{handler}` stands for the
    /// handler. It runs in the function's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Most memory a process and all it starts may use, in MiB, 16..=10,240. Default: 128, as in AWS Lambda.
    #[serde(default = "default_memory_mb")]
    pub memory_mb: u32,
    /// Longest run, in milliseconds, 1..=900,000. Default: 3,000, as in AWS Lambda.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// Longest wait for a new process to ask for its first event, in milliseconds, 1..=900,000. Default: 10,000, as in AWS Lambda.
    #[serde(default = "default_start_timeout_ms")]
    pub start_timeout_ms: u32,
    /// Most processes at the same time, 1..=1,000. Default: 10. Requests beyond it wait.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
    /// How long a process without requests is kept, in seconds, 1..=86,400. Default: 300.
    #[serde(default = "default_idle_seconds")]
    pub idle_seconds: u32,
    /// Variables of the processes' environment. Nothing of the gateway's own environment but `PATH` is passed on.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, EnvironmentValue>,
}

/// What runs a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FunctionRuntime {
    /// `python3`, found on the `PATH`; with `awslambdaric` where that is installed.
    Python,
    /// `node`, found on the `PATH`.
    Nodejs,
    /// An executable file `bootstrap` in the function's folder that speaks the Lambda Runtime API: what Rust and Go build.
    Provided,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvironmentValue {
    /// The value itself.
    Text(String),
    /// Where it is.
    Secret(SecretValue),
}

/// A value that is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretValue {
    /// Where the secret is: `env:NAME` or `file:PATH`.
    pub secret: String,
}

fn default_handler() -> String {
    "index.handler".to_owned()
}

fn default_memory_mb() -> u32 {
    128
}

fn default_timeout_ms() -> u32 {
    3_000
}

fn default_start_timeout_ms() -> u32 {
    10_000
}

fn default_concurrency() -> u32 {
    10
}

fn default_idle_seconds() -> u32 {
    300
}
