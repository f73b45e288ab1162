//! Plugins: found among the project's own and the bundled ones, their settings checked against their schema.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moongate_config::Issue;
use moongate_config::plugin::{OnError, PluginAttachment, PluginLimits};
use moongate_config::project::Sources;
use moongate_lua::{Limits, Module, Tenant};
use moongate_plugins::{Plugin, PluginError};
use moongate_policy::codes;

use crate::compile::context::{ApiContext, child};
use crate::compile::scripts::{Attached, Scripts, line_span};
use crate::plan::PluginPlan;

/// The plugin of that name: the project's own (`plugins/NAME/`) before the bundled one. One of the project's that cannot be
/// used is an error, never the bundled one instead.
fn find(sources: &Sources, name: &str) -> Result<Option<Plugin>, PluginError> {
    Ok(Plugin::in_project(&sources.files, name)?.or_else(|| Plugin::bundled(name)))
}

/// A use of a plugin, checked.
pub(super) struct Settled {
    pub(super) plugin: Plugin,
    /// With defaults.
    pub(super) settings: serde_json::Value,
    pub(super) tenant: Tenant,
    /// Budgets of its own.
    pub(super) limits: Option<Limits>,
    /// The libraries it requires.
    pub(super) modules: Vec<Module>,
}

/// Whose data and secrets an API's own scripts use. `None` when a secret is not to be had, which is reported.
pub(super) fn api_tenant(cx: &mut ApiContext<'_>) -> Option<Tenant> {
    let api = cx.api;
    let mut secrets = HashMap::new();
    for (name, reference) in &api.secrets {
        secret(cx, &child("/secrets", name), name, reference, &mut secrets)?;
    }
    Some(Tenant { name: api.api.as_str().into(), secrets: Arc::new(secrets) })
}

/// Where attachments to every API are kept that the operator declares; no pointer of a document looks like this.
pub(super) const GLOBAL: &str = "moongate.yaml#/plugins";

/// An attachment's own budgets; `None` when one is beyond what the operator allows, which is reported.
fn own_limits(cx: &mut ApiContext<'_>, wanted: &PluginLimits, pointer: &str) -> Option<Limits> {
    let (mut limits, most) = (cx.limits, cx.limits_max);
    let mut is_fine = true;
    let mut check = |cx: &mut ApiContext<'_>, name: &str, value: Option<u32>, most: u128| {
        let value = value?;
        if u128::from(value) > most || value == 0 {
            is_fine = false;
            let help = "the operator's caps stand below `scripts.max` in `moongate.yaml`";
            cx.error_help("E117", &child(pointer, name), format!("`{name}` must be from 1 to {most}"), help);
        }
        Some(u64::from(value))
    };
    if let Some(value) = check(cx, "cpu_ms", wanted.cpu_ms, most.cpu.as_millis()) {
        limits.cpu = Duration::from_millis(value);
    }
    if let Some(value) = check(cx, "wall_ms", wanted.wall_ms, most.wall.as_millis()) {
        limits.wall = Duration::from_millis(value);
    }
    if let Some(value) = check(cx, "wait_ms", wanted.wait_ms, most.wait.as_millis()) {
        limits.wait = Duration::from_millis(value);
    }
    if let Some(value) = check(cx, "calls_max", wanted.calls_max, most.calls_max.into()) {
        limits.calls_max = u32::try_from(value).unwrap_or(u32::MAX);
    }
    if let Some(value) = check(cx, "outbound_bytes_max", wanted.outbound_bytes_max, most.outbound_bytes_max.into()) {
        limits.outbound_bytes_max = value;
    }
    is_fine.then_some(limits)
}

/// The libraries a plugin requires, its own before those that the project publishes in `lua/lib/`.
fn modules(sources: &Sources, plugin: &Plugin) -> Result<Vec<Module>, moongate_plugins::MissingLibrary> {
    plugin.modules(|file| sources.files.get(&format!("lua/{file}")).map(|text| (format!("lua/{file}"), text.clone())))
}

/// Looks a secret up and keeps it under the name that scripts ask for.
fn secret(
    cx: &mut ApiContext<'_>,
    pointer: &str,
    name: &str,
    reference: &str,
    secrets: &mut HashMap<Box<str>, Box<str>>,
) -> Option<()> {
    match cx.secrets.resolve(reference) {
        Ok(value) => {
            secrets.insert(name.into(), value.expose().into());
            Some(())
        }
        Err(error) => {
            cx.error(codes::SECRET, pointer, error.to_string());
            None
        }
    }
}

/// Finds the plugin of an attachment and checks its settings. Problems are reported; `None` when there was one.
pub(super) fn settle(cx: &mut ApiContext<'_>, attachment: &PluginAttachment, pointer: &str) -> Option<Settled> {
    let plugin = match find(cx.sources, &attachment.plugin) {
        Ok(Some(plugin)) => plugin,
        Ok(None) => {
            let names = moongate_plugins::bundled_names().collect::<Vec<_>>().join(", ");
            let help = format!("bundled plugins: {names}; your own go into `plugins/NAME/`");
            let message = format!("there is no plugin `{}`", attachment.plugin);
            cx.error_help("E111", &child(pointer, "plugin"), message, help);
            return None;
        }
        Err(error) => {
            unusable(cx, &error, &child(pointer, "plugin"));
            return None;
        }
    };
    let problems = plugin.check_config(&attachment.config);
    for problem in &problems {
        let place = format!("{}{}", child(pointer, "config"), problem.pointer);
        cx.error("E109", &place, format!("plugin `{}`: {}", plugin.name, problem.message));
    }
    if !problems.is_empty() {
        return None;
    }
    if let Some(pinned) = attachment.digest.as_ref().filter(|pinned| **pinned != plugin.digest()) {
        let message =
            format!("plugin `{}` is not the version that is pinned: its digest is `{}`", plugin.name, plugin.digest());
        let help = format!("pinned is `{pinned}`; look at what changed before you write the new digest down");
        cx.error_help("E118", &child(pointer, "digest"), message, help);
        return None;
    }
    let limits = attachment.limits.map(|limits| own_limits(cx, &limits, &child(pointer, "limits")));
    let limits = match limits {
        Some(None) => return None,
        Some(limits) => limits,
        None => None,
    };
    let modules = match modules(cx.sources, &plugin) {
        Ok(modules) => modules,
        Err(missing) => {
            cx.error("E121", &child(pointer, "plugin"), format!("plugin `{}`: {missing}", plugin.name));
            return None;
        }
    };
    let settings = plugin.with_defaults(&attachment.config);
    let mut secrets = HashMap::new();
    for (place, reference) in plugin.secrets(&settings) {
        secret(cx, &format!("{}{place}", child(pointer, "config")), reference, reference, &mut secrets)?;
    }
    let name = format!("{}/plugin/{}", cx.api.api.as_str(), plugin.name);
    let tenant = Tenant { name: name.into(), secrets: Arc::new(secrets) };
    Some(Settled { plugin, settings, tenant, limits, modules })
}

/// The plans of a list of attachments, which were settled where the scripts were compiled.
pub(super) fn plans(
    scripts: &Scripts,
    attachments: &[PluginAttachment],
    pointer: &str,
    level: &'static str,
) -> Vec<Arc<PluginPlan>> {
    let declared = attachments.iter().enumerate();
    let attached = declared.filter_map(|(index, attachment)| {
        let Attached { script, config, reads, version } = scripts.attachment(&format!("{pointer}/{index}"))?;
        let phases = scripts.bank()?.phases(script);
        let name = attachment.plugin.as_str().into();
        Some(PluginPlan {
            name,
            version,
            script,
            config,
            phases,
            reads_request_body: reads.request,
            reads_response_body: reads.response,
            fails_open: attachment.on_error == OnError::Open,
            level,
        })
    });
    attached.map(Arc::new).collect()
}

/// Reports a plugin of the project that cannot be used: in its own file where there is one, else where it is attached.
fn unusable(cx: &mut ApiContext<'_>, error: &PluginError, pointer: &str) {
    match cx.sources.files.get(&error.file) {
        Some(text) => {
            let span = line_span(text, error.line.unwrap_or(1));
            cx.issues.push(Issue::error("E109", error.file.clone(), "", error.fault.to_string()).at(span));
        }
        None => cx.error("E109", pointer, error.to_string()),
    }
}
