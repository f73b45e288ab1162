//! Plugins: found among the project's own and the bundled ones, their settings checked against their schema.

use std::collections::HashMap;
use std::sync::Arc;

use moongate_config::Issue;
use moongate_config::plugin::PluginAttachment;
use moongate_config::project::Sources;
use moongate_lua::Tenant;
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
    let settings = plugin.with_defaults(&attachment.config);
    let mut secrets = HashMap::new();
    for (place, reference) in plugin.secrets(&settings) {
        secret(cx, &format!("{}{place}", child(pointer, "config")), reference, reference, &mut secrets)?;
    }
    let name = format!("{}/plugin/{}", cx.api.api.as_str(), plugin.name);
    let tenant = Tenant { name: name.into(), secrets: Arc::new(secrets) };
    Some(Settled { plugin, settings, tenant })
}

/// The plans of a list of attachments, which were settled where the scripts were compiled.
pub(super) fn plans(scripts: &Scripts, attachments: &[PluginAttachment], pointer: &str) -> Vec<Arc<PluginPlan>> {
    let declared = attachments.iter().enumerate();
    let attached = declared.filter_map(|(index, attachment)| {
        let Attached { script, config } = scripts.attachment(&format!("{pointer}/{index}"))?;
        let phases = scripts.bank()?.phases(script);
        let name = attachment.plugin.as_str().into();
        Some(PluginPlan { name, script, config, on_request: phases.request, on_response: phases.response })
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
