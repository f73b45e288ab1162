//! All scripts of an API, compiled into one set and started on every worker.

use std::collections::HashMap;
use std::sync::Arc;

use moongate_config::Issue;
use moongate_config::issue::Span;
use moongate_config::plugin::PluginAttachment;
use moongate_config::script::{ScriptConfig, TemplateConfig};
use moongate_lua::{Bank, ConfigId, Kind, Module, ScriptError, ScriptId, ScriptSet};

use crate::compile::context::{ApiContext, child};
use crate::compile::plugin::{self, Settled};

/// An API's scripts by where they are declared, and their virtual machines.
#[derive(Default)]
pub(super) struct Scripts {
    ids: HashMap<(Kind, String), ScriptId>,
    attachments: HashMap<String, Attached>,
    bank: Option<Arc<Bank>>,
}

impl Scripts {
    /// The script that was declared in a file or in place at `pointer`.
    pub(super) fn id(&self, kind: Kind, file: Option<&str>, pointer: &str) -> Option<ScriptId> {
        self.ids.get(&(kind, file.unwrap_or(pointer).to_owned())).copied()
    }

    /// The use of a plugin that was declared at `pointer`.
    pub(super) fn attachment(&self, pointer: &str) -> Option<Attached> {
        self.attachments.get(pointer).cloned()
    }

    /// The virtual machines; `None` when the API has no scripts.
    pub(super) fn bank(&self) -> Option<&Arc<Bank>> {
        self.bank.as_ref()
    }
}

/// A use of a plugin: its script and its settings, checked and with defaults.
#[derive(Clone)]
pub(super) struct Attached {
    pub(super) script: ScriptId,
    pub(super) config: ConfigId,
    pub(super) reads: Reads,
    pub(super) version: Arc<str>,
}

/// Which bodies a plugin needs in memory.
#[derive(Clone, Copy)]
pub(super) struct Reads {
    pub(super) request: bool,
    pub(super) response: bool,
}

/// Compiles every script an API names and starts them. Problems are reported; `None` when there was one.
pub(super) fn compile(cx: &mut ApiContext<'_>) -> Option<Scripts> {
    let tenant = plugin::api_tenant(cx)?;
    let mut found = Finder { cx, set: ScriptSet::of(tenant), scripts: Scripts::default(), is_broken: false };
    found.authorizers();
    found.routes();
    found.plugins();
    let Finder { set, mut scripts, is_broken, .. } = found;
    if is_broken {
        return None;
    }
    if scripts.ids.is_empty() {
        return Some(scripts);
    }
    match Bank::build_with(&set, cx.workers, cx.limits, cx.services.clone()) {
        Ok(bank) => scripts.bank = Some(Arc::new(bank)),
        Err(error) => {
            report(cx, "L002", &error, "");
            return None;
        }
    }
    Some(scripts)
}

struct Finder<'cx, 'a> {
    cx: &'cx mut ApiContext<'a>,
    set: ScriptSet,
    scripts: Scripts,
    is_broken: bool,
}

impl Finder<'_, '_> {
    fn authorizers(&mut self) {
        for (name, authorizer) in &self.cx.api.authorizers {
            if let Some(script) = &authorizer.script {
                self.script(Kind::Authorizer, script, &child(&child("/authorizers", name), "script"));
            }
        }
    }

    fn routes(&mut self) {
        for (index, route) in self.cx.api.routes.iter().enumerate() {
            let Some(integration) = &route.integration else { continue };
            let pointer = format!("/routes/{index}/integration");
            if let Some(function) = &integration.function {
                self.script(Kind::Function, function, &child(&pointer, "function"));
            }
            for (media_type, template) in &integration.request_templates {
                self.template(template, &child(&child(&pointer, "request_templates"), media_type));
            }
            for (at, response) in integration.responses.iter().enumerate() {
                for (media_type, template) in &response.response_templates {
                    self.template(
                        template,
                        &child(&format!("{pointer}/responses/{at}/response_templates"), media_type),
                    );
                }
            }
        }
    }

    fn plugins(&mut self) {
        let api = self.cx.api;
        self.attachments(self.cx.global_plugins, plugin::GLOBAL);
        self.attachments(&api.plugins, "/plugins");
        for (index, stage) in api.stages.iter().enumerate() {
            self.attachments(&stage.plugins, &format!("/stages/{index}/plugins"));
        }
        for (index, route) in api.routes.iter().enumerate() {
            self.attachments(&route.plugins, &format!("/routes/{index}/plugins"));
        }
    }

    fn attachments(&mut self, attachments: &[PluginAttachment], pointer: &str) {
        for (index, attachment) in attachments.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let Some(Settled { plugin, settings, tenant, limits, modules }) =
                plugin::settle(self.cx, attachment, &pointer)
            else {
                self.is_broken = true;
                continue;
            };
            let key = (Kind::Plugin, plugin.name.clone());
            if !self.scripts.ids.contains_key(&key) {
                let file = format!("plugins/{}/handler.lua", plugin.name);
                self.add_with(key.clone(), &file, &plugin.handler, &child(&pointer, "plugin"), &modules);
            }
            let Some(script) = self.scripts.ids.get(&key).copied() else { continue };
            match self.set.add_config(script, &settings, tenant, limits) {
                Ok(config) => {
                    let reads = Reads { request: plugin.buffers_request, response: plugin.buffers_response };
                    self.scripts
                        .attachments
                        .insert(pointer, Attached { script, config, reads, version: plugin.version.into() });
                }
                Err(error) => {
                    self.is_broken = true;
                    report(self.cx, "L002", &error, &child(&pointer, "config"));
                }
            }
        }
    }

    fn script(&mut self, kind: Kind, script: &ScriptConfig, pointer: &str) {
        self.declared(kind, script.file.as_deref(), script.lua.as_deref(), pointer);
    }

    fn template(&mut self, template: &TemplateConfig, pointer: &str) {
        self.declared(Kind::Template, template.file.as_deref(), template.lua.as_deref(), pointer);
    }

    fn declared(&mut self, kind: Kind, file: Option<&str>, inline: Option<&str>, pointer: &str) {
        let key = (kind, file.unwrap_or(pointer).to_owned());
        if self.scripts.ids.contains_key(&key) {
            return;
        }
        let sources = self.cx.sources;
        match (file, inline) {
            // A missing file was reported by `moongate_config::check`.
            (Some(file), _) => {
                if let Some(text) = sources.files.get(file) {
                    self.add(key, file, text, pointer);
                }
            }
            (None, Some(text)) => {
                let name = format!("{}#{pointer}", self.cx.file);
                self.add(key, &name, text, pointer);
            }
            (None, None) => {}
        }
    }

    /// A script of the project, with the libraries of `lua/lib/` that it requires.
    fn add(&mut self, key: (Kind, String), name: &str, text: &str, pointer: &str) {
        let sources = self.cx.sources;
        let find =
            |file: &str| sources.files.get(&format!("lua/{file}")).map(|text| (format!("lua/{file}"), text.clone()));
        match moongate_plugins::modules(text, find) {
            Ok(modules) => self.add_with(key, name, text, pointer, &modules),
            Err(missing) => {
                self.is_broken = true;
                self.cx.error("E121", pointer, format!("{name}: {missing}"));
            }
        }
    }

    fn add_with(&mut self, key: (Kind, String), name: &str, text: &str, pointer: &str, modules: &[Module]) {
        match self.set.add_with(key.0, name, text, modules) {
            Ok(id) => {
                self.scripts.ids.insert(key, id);
            }
            Err(error) => {
                self.is_broken = true;
                report(self.cx, "L001", &error, pointer);
            }
        }
    }
}

/// Reports a script's problem at its own line where the script is a file, else where it is declared.
fn report(cx: &mut ApiContext<'_>, code: &'static str, error: &ScriptError, pointer: &str) {
    let message = error.message.clone();
    if let Some(text) = cx.sources.files.get(&error.script) {
        let span = line_span(text, error.line.unwrap_or(1));
        cx.issues.push(Issue::error(code, error.script.clone(), "", message).at(span));
        return;
    }
    let pointer = error.script.split_once('#').map_or(pointer, |(_, pointer)| pointer);
    let place = error.line.map_or_else(String::new, |line| format!("line {line} of the script: "));
    cx.error(code, pointer, format!("{place}{message}"));
}

/// Where a line's text stands, without its indentation.
pub(super) fn line_span(text: &str, line: u32) -> Span {
    let mut start = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        let trimmed = content.trim_end();
        if number + 1 == line as usize {
            let indent = trimmed.len() - trimmed.trim_start().len();
            return Span { start: (start + indent) as u32, end: (start + trimmed.len()) as u32 };
        }
        start += content.len();
    }
    Span { start: text.len() as u32, end: text.len() as u32 }
}
