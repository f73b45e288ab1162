//! Settings of one process: where it listens, how many workers it has, what clients and scripts may take.
//!
//! Order: flag, then environment (`MOONGATE_LISTEN`, ...), then the file (`moongate.yaml`), then the default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use moongate_config::plugin::{PluginAttachment, PluginLimits};
use moongate_config::{Issue, Sources, decode, source};
use moongate_lua::Limits as ScriptLimits;
use moongate_policy::cidr::Cidr;
use moongate_proxy::{Limits, ResolverOptions, TrustedProxies};
use moongate_runtime::compile::{ScriptSettings, limits_max};
use moongate_runtime::outbound::Rules;
use serde::Deserialize;

/// The file settings stand in, at the project's root.
pub(crate) const FILE: &str = "moongate.yaml";

/// How long requests under way are waited for when the process is told to end.
const DRAIN: Duration = Duration::from_secs(30);

/// Most often that all name servers are tried for one name.
const RESOLVER_ATTEMPTS_MAX: u32 = 10;

/// Settings that flags and environment variables can give.
#[derive(Args, Debug, Default)]
pub(crate) struct Flags {
    /// Address for API traffic; port 0 takes a free port [default: 127.0.0.1:8080]
    #[arg(long, env = "MOONGATE_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address for API traffic over TLS; needs certificates in `moongate.yaml` [default: none]
    #[arg(long, env = "MOONGATE_TLS_LISTEN", value_name = "ADDRESS")]
    tls_listen: Option<SocketAddr>,
    /// Address for /healthz, /readyz and /metrics [default: 127.0.0.1:9090]
    #[arg(long, env = "MOONGATE_HEALTH_LISTEN", value_name = "ADDRESS")]
    health_listen: Option<SocketAddr>,
    /// Address for the management API, or `none` [default: 127.0.0.1:9000]
    #[arg(long, env = "MOONGATE_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<AdminListen>,
    /// Folder for what is kept: the embedded store, and the last revision served [default: .moongate in the project's folder]
    #[arg(long, env = "MOONGATE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The control plane's database: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE` [default: SQLite in the data folder]
    #[arg(long, env = "MOONGATE_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// File with the token that the first administrator gets [default: one is made up and printed once]
    #[arg(long, env = "MOONGATE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Follow the control plane at this URL instead of running one
    #[arg(long, env = "MOONGATE_CONTROL", value_name = "URL")]
    control: Option<String>,
    /// File with the token, of scope `node`, that the control plane gave this gateway
    #[arg(long, env = "MOONGATE_CONTROL_TOKEN_FILE", value_name = "FILE")]
    control_token_file: Option<PathBuf>,
    /// File with the certificate authorities that the control plane's certificate is checked against [default: the system's]
    #[arg(long, env = "MOONGATE_CONTROL_CA_FILE", value_name = "FILE")]
    control_ca_file: Option<PathBuf>,
    /// This gateway's name among those of a control plane [default: the machine's name]
    #[arg(long, env = "MOONGATE_NODE", value_name = "NAME")]
    node: Option<String>,
    /// Worker threads [default: one per processor]
    #[arg(long, env = "MOONGATE_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// What is printed about each request
    #[arg(long, env = "MOONGATE_ACCESS_LOG", value_name = "FORM")]
    access_log: Option<AccessLog>,
    /// How messages of the process are printed
    #[arg(long, env = "MOONGATE_OUTPUT", value_name = "FORM", default_value = "text")]
    pub(crate) output: Output,
}

/// Where the management API listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum AdminListen {
    None,
    At(SocketAddr),
}

impl TryFrom<String> for AdminListen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::str::FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| format!("`{text}` is neither an address such as `127.0.0.1:9000` nor `none`"))
    }
}

/// What is printed about each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccessLog {
    /// Nothing.
    None,
    /// A line for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// How messages of the process are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// The settings file. All of it is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SettingsFile {
    listen: Option<SocketAddr>,
    tls: Option<TlsFile>,
    health_listen: Option<SocketAddr>,
    workers: Option<u16>,
    access_log: Option<AccessLog>,
    drain_seconds: Option<u32>,
    proxy_protocol: bool,
    trusted_proxies: Vec<String>,
    limits: LimitsFile,
    scripts: ScriptsFile,
    resolver: ResolverFile,
    plugins: Vec<PluginAttachment>,
    admin: AdminFile,
    control: Option<ControlFile>,
    data_dir: Option<PathBuf>,
    store: Option<String>,
    node: Option<String>,
}

/// The management API.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AdminFile {
    listen: Option<AdminListen>,
    certificate: Option<CertificateFile>,
    token_file: Option<PathBuf>,
}

/// The control plane to follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlFile {
    url: String,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

/// The TLS listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsFile {
    listen: SocketAddr,
    certificates: Vec<CertificateFile>,
    #[serde(default)]
    proxy_protocol: bool,
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateFile {
    certificate_file: PathBuf,
    key_file: PathBuf,
}

/// What a client may take.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    head_timeout_ms: Option<u32>,
    idle_timeout_ms: Option<u32>,
    stall_timeout_ms: Option<u32>,
    half_close_timeout_ms: Option<u32>,
    head_bytes_max: Option<u32>,
    connections_max: Option<u32>,
    handshake_timeout_ms: Option<u32>,
    handshakes_max: Option<u32>,
    streams_max: Option<u32>,
}

/// What one run of a script may take.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ScriptsFile {
    cpu_ms: Option<u32>,
    wall_ms: Option<u32>,
    memory_bytes: Option<u32>,
    wait_ms: Option<u32>,
    calls_max: Option<u32>,
    outbound_bytes_max: Option<u32>,
    /// What plugins may be given at most.
    max: PluginLimits,
    outbound: OutboundFile,
}

/// Whom scripts may ask.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OutboundFile {
    allow: Vec<String>,
}

/// How names of upstreams are resolved.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ResolverFile {
    servers: Vec<SocketAddr>,
    hosts_file: Option<PathBuf>,
    resolv_conf: Option<PathBuf>,
    timeout_ms: Option<u32>,
    attempts: Option<u32>,
    ttl_min_ms: Option<u32>,
    ttl_max_ms: Option<u32>,
    negative_ttl_max_ms: Option<u32>,
}

/// The TLS listener.
pub(crate) struct TlsSettings {
    pub(crate) listen: SocketAddr,
    /// Files of certificate chains and their keys.
    pub(crate) certificates: Vec<(PathBuf, PathBuf)>,
    pub(crate) proxy_protocol: bool,
}

/// Settings of the control plane's side.
#[derive(Clone)]
pub(crate) struct AdminSettings {
    /// Where the management API listens; `None`: nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// The listener's certificate chain and key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) data_dir: PathBuf,
    store: Option<String>,
    token_file: Option<PathBuf>,
    /// The control plane to follow instead.
    pub(crate) control: Option<ControlSettings>,
    /// This gateway's name.
    pub(crate) node: String,
}

/// A control plane on another machine.
#[derive(Clone)]
pub(crate) struct ControlSettings {
    pub(crate) url: String,
    token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
}

impl AdminSettings {
    /// The store's URL.
    pub(crate) fn store_url(&self) -> String {
        self.store.clone().unwrap_or_else(|| format!("sqlite:{}", self.data_dir.join(STORE_FILE).display()))
    }

    /// The token that the first administrator is to get.
    ///
    /// # Errors
    ///
    /// When its file cannot be read.
    pub(crate) fn first_token(&self) -> anyhow::Result<Option<String>> {
        self.token_file.as_deref().map(token).transpose()
    }
}

impl ControlSettings {
    /// The token to show.
    ///
    /// # Errors
    ///
    /// When its file cannot be read, or is not named.
    pub(crate) fn token(&self) -> anyhow::Result<String> {
        token(
            self.token_file
                .as_deref()
                .context("name the file with the control plane's token: --control-token-file FILE")?,
        )
    }
}

fn token(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("the token's file `{}`", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The embedded store, in the data folder.
const STORE_FILE: &str = "store.db";

/// The data folder, in the project's: hidden, so that it is no part of the project.
pub(crate) const DATA_DIR: &str = ".moongate";

/// Settings of one process, from all sources.
pub(crate) struct Settings {
    pub(crate) admin: AdminSettings,
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) proxy_protocol: bool,
    trusted_proxies: Vec<Cidr>,
    pub(crate) health_listen: SocketAddr,
    pub(crate) workers: usize,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) output: Output,
    pub(crate) drain: Duration,
    pub(crate) limits: Limits,
    pub(crate) scripts: ScriptSettings,
    pub(crate) resolver: ResolverOptions,
}

impl Settings {
    /// Who may say for whom it asks; `None` when nobody may.
    pub(crate) fn trusted_proxies(&self) -> Option<TrustedProxies> {
        let networks = self.trusted_proxies.clone();
        (!networks.is_empty())
            .then(|| -> TrustedProxies { Arc::new(move |address| Cidr::any_contains(&networks, address)) })
    }

    /// Puts the settings together. `root` is the folder that file names in the settings file are relative to.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings file.
    pub(crate) fn read(flags: Flags, sources: &Sources, root: &Path) -> Result<Self, Vec<Issue>> {
        let file = match sources.files.get(FILE) {
            Some(text) => read_file(text)?,
            None => SettingsFile::default(),
        };
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let tls = file.tls.map(|tls| {
            let pairs =
                tls.certificates.iter().map(|pair| (root.join(&pair.certificate_file), root.join(&pair.key_file)));
            TlsSettings {
                listen: flags.tls_listen.unwrap_or(tls.listen),
                certificates: pairs.collect(),
                proxy_protocol: tls.proxy_protocol,
            }
        });
        if tls.is_none() && flags.tls_listen.is_some() {
            let issue = Issue::error("E012", FILE, "/tls", "a TLS listener needs certificates");
            return Err(vec![issue.help("add `tls:` with `listen` and `certificates` to `moongate.yaml`")]);
        }
        let control = match (flags.control, file.control) {
            (Some(url), _) => Some(ControlSettings { url, token_file: None, ca_file: None }),
            (None, Some(control)) => Some(ControlSettings {
                url: control.url,
                token_file: control.token_file.map(|path| root.join(path)),
                ca_file: control.ca_file.map(|path| root.join(path)),
            }),
            (None, None) => None,
        };
        let control = control.map(|control| ControlSettings {
            token_file: flags.control_token_file.or(control.token_file),
            ca_file: flags.control_ca_file.or(control.ca_file),
            ..control
        });
        let admin = AdminSettings {
            // A gateway that follows another control plane runs none, unless it is told to.
            listen: match flags.admin_listen.or(file.admin.listen) {
                Some(AdminListen::At(address)) => Some(address),
                Some(AdminListen::None) => None,
                None => control.is_none().then(|| local(9000)),
            },
            tls: file.admin.certificate.map(|pair| (root.join(&pair.certificate_file), root.join(&pair.key_file))),
            data_dir: flags
                .data_dir
                .or(file.data_dir.map(|path| root.join(path)))
                .unwrap_or_else(|| root.join(DATA_DIR)),
            store: flags.store.or(file.store),
            token_file: flags.admin_token_file.or(file.admin.token_file.map(|path| root.join(path))),
            control,
            node: flags.node.or(file.node).unwrap_or_else(machine),
        };
        Ok(Self {
            admin,
            listen: flags.listen.or(file.listen).unwrap_or(local(8080)),
            tls,
            proxy_protocol: file.proxy_protocol,
            trusted_proxies: networks(&file.trusted_proxies)?,
            health_listen: flags.health_listen.or(file.health_listen).unwrap_or(local(9090)),
            workers: flags.workers.or(file.workers).map_or(cores, usize::from).max(1),
            access_log: flags.access_log.or(file.access_log),
            output: flags.output,
            drain: file.drain_seconds.map_or(DRAIN, |seconds| Duration::from_secs(seconds.into())),
            limits: limits(&file.limits),
            scripts: scripts(&file.scripts, file.plugins)?,
            resolver: resolver(file.resolver, root),
        })
    }
}

/// Reads the networks of trusted proxies.
fn networks(texts: &[String]) -> Result<Vec<Cidr>, Vec<Issue>> {
    let mut issues = Vec::new();
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<Cidr>() {
            Ok(network) => networks.push(network),
            Err(error) => {
                let message = format!("`{text}`: {error}");
                issues.push(Issue::error("E012", FILE, format!("/trusted_proxies/{index}"), message));
            }
        }
    }
    if issues.is_empty() { Ok(networks) } else { Err(issues) }
}

/// The machine's name (source: proc(5), `sys/kernel/hostname`).
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c)).collect();
    if name.is_empty() { "gateway".to_owned() } else { name }
}

fn read_file(text: &str) -> Result<SettingsFile, Vec<Issue>> {
    let node = source::parse(text, FILE)?;
    if node.value == source::Value::Null {
        return Ok(SettingsFile::default());
    }
    let mut issues = Vec::new();
    let file = decode::decode(&node, FILE, &mut issues);
    match file {
        Some(file) if !issues.iter().any(Issue::is_error) => Ok(file),
        _ => Err(issues),
    }
}

fn limits(file: &LimitsFile) -> Limits {
    let default = Limits::default();
    let millis = |value: Option<u32>, default| value.map_or(default, |value| Duration::from_millis(value.into()));
    Limits {
        head: millis(file.head_timeout_ms, default.head),
        idle: millis(file.idle_timeout_ms, default.idle),
        stall: millis(file.stall_timeout_ms, default.stall),
        half_close: millis(file.half_close_timeout_ms, default.half_close),
        head_bytes_max: file.head_bytes_max.map_or(default.head_bytes_max, |bytes| bytes as usize),
        connections_max: file.connections_max.map_or(default.connections_max, |count| count as usize),
        handshake: millis(file.handshake_timeout_ms, default.handshake),
        handshakes_max: file.handshakes_max.map_or(default.handshakes_max, |count| (count as usize).max(1)),
        streams_max: file.streams_max.unwrap_or(default.streams_max),
    }
}

fn resolver(file: ResolverFile, root: &Path) -> ResolverOptions {
    let default = ResolverOptions::default();
    let millis = |value: Option<u32>, default| value.map_or(default, |value| Duration::from_millis(value.into()));
    ResolverOptions {
        servers: file.servers,
        hosts_file: file.hosts_file.map_or(default.hosts_file, |path| root.join(path)),
        resolv_conf: file.resolv_conf.map_or(default.resolv_conf, |path| root.join(path)),
        timeout: millis(file.timeout_ms, default.timeout),
        attempts: file.attempts.unwrap_or(default.attempts).clamp(1, RESOLVER_ATTEMPTS_MAX),
        ttl_min: millis(file.ttl_min_ms, default.ttl_min),
        ttl_max: millis(file.ttl_max_ms, default.ttl_max),
        negative_ttl_max: millis(file.negative_ttl_max_ms, default.negative_ttl_max),
    }
}

/// What the settings file says about scripts, for commands that serve nothing.
///
/// # Errors
///
/// Everything that is wrong with the settings file.
pub(crate) fn script_settings(sources: &Sources) -> Result<ScriptSettings, Vec<Issue>> {
    match sources.files.get(FILE) {
        Some(text) => read_file(text).and_then(|file| scripts(&file.scripts, file.plugins)),
        None => Ok(ScriptSettings::default()),
    }
}

fn scripts(file: &ScriptsFile, plugins: Vec<PluginAttachment>) -> Result<ScriptSettings, Vec<Issue>> {
    let default = ScriptLimits::default();
    let millis = |value: Option<u32>, default| value.map_or(default, |value| Duration::from_millis(value.into()));
    let limits = ScriptLimits {
        cpu: millis(file.cpu_ms, default.cpu),
        wall: millis(file.wall_ms, default.wall),
        memory_bytes: file.memory_bytes.map_or(default.memory_bytes, |bytes| bytes as usize),
        wait: millis(file.wait_ms, default.wait),
        calls_max: file.calls_max.unwrap_or(default.calls_max),
        outbound_bytes_max: file.outbound_bytes_max.map_or(default.outbound_bytes_max, u64::from),
    };
    let most = limits_max(&limits);
    let limits_max = ScriptLimits {
        cpu: millis(file.max.cpu_ms, most.cpu),
        wall: millis(file.max.wall_ms, most.wall),
        wait: millis(file.max.wait_ms, most.wait),
        calls_max: file.max.calls_max.unwrap_or(most.calls_max),
        outbound_bytes_max: file.max.outbound_bytes_max.map_or(most.outbound_bytes_max, u64::from),
        ..most
    };
    let mut issues = Vec::new();
    let mut allow = Vec::new();
    for (index, text) in file.outbound.allow.iter().enumerate() {
        match text.parse() {
            Ok(allowed) => allow.push(allowed),
            Err(why) => issues.push(Issue::error("E012", FILE, format!("/scripts/outbound/allow/{index}"), why)),
        }
    }
    if issues.is_empty() {
        Ok(ScriptSettings { limits, limits_max, outbound: Rules { allow }, plugins })
    } else {
        Err(issues)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_s_settings_are_valid() {
        let manual = include_str!("../config/README.md");
        let block = manual.split("```yaml\n").find(|text| text.starts_with("listen:")).expect("the settings' block");
        let file = read_file(block.split("```").next().unwrap_or_default()).expect("no problem");
        assert_eq!((file.workers, file.scripts.cpu_ms, file.limits.streams_max), (Some(4), Some(50), Some(128)));
        // What it shows as defaults are the defaults.
        let (shown, default) = (limits(&file.limits), Limits::default());
        assert_eq!(format!("{shown:?}"), format!("{default:?}"));
    }

    #[test]
    fn unknown_and_wrong_settings_are_refused_with_their_place() {
        let cases = [("listne: 127.0.0.1:1\n", "E014"), ("workers: many\n", "E010"), ("tls: { listen: x }\n", "E0")];
        let networks =
            networks(&["10.0.0.0/8".to_owned(), "10.0.0.1/8".to_owned(), "lb".to_owned()]).expect_err("two wrong");
        let pointers: Vec<&str> = networks.iter().map(|issue| &*issue.pointer).collect();
        assert_eq!(pointers, ["/trusted_proxies/1", "/trusted_proxies/2"]);
        for (text, code) in cases {
            let issues = read_file(text).expect_err(text);
            assert!(
                issues.iter().any(|issue| issue.code.starts_with(code) && issue.span.is_some()),
                "{text}: {issues:?}"
            );
        }
    }
}
