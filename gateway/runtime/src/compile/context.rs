//! What compiling an API has at hand.

use std::collections::HashSet;
use std::sync::Arc;

use moongate_config::plugin::PluginAttachment;
use moongate_config::project::Sources;
use moongate_config::{ApiConfig, Issue};
use moongate_function::local::Functions;
use moongate_lua::{Limits, Services};
use moongate_policy::Secrets;
use moongate_policy::api_key::Credentials;

use crate::compile::upstream::Documents;
use crate::compile::uri::Interner;
use crate::outbound::Outbound;

/// Everything that compiling one API needs, and where it reports problems.
pub(super) struct ApiContext<'a> {
    pub(super) file: &'a str,
    pub(super) api: &'a ApiConfig,
    pub(super) sources: &'a Sources,
    /// The deployment's name, for `context`; empty where there is none.
    pub(super) deployment_id: &'a str,
    pub(super) secrets: &'a dyn Secrets,
    /// API keys that the control plane gives out.
    pub(super) credentials: &'a Arc<Credentials>,
    pub(super) upstreams: &'a mut Interner,
    pub(super) documents: &'a Documents,
    pub(super) limits: Limits,
    /// What plugins may have at most.
    pub(super) limits_max: Limits,
    pub(super) services: &'a Services,
    /// Whom scripts may ask.
    pub(super) outbound: &'a Arc<Outbound>,
    /// Plugins that the operator attached to every API.
    pub(super) global_plugins: &'a [PluginAttachment],
    pub(super) workers: usize,
    /// The functions of this machine, where there are any.
    pub(super) functions: Option<&'a Functions>,
    /// The names of the functions that the project declares.
    pub(super) function_names: &'a HashSet<&'a str>,
    pub(super) issues: &'a mut Vec<Issue>,
}

impl ApiContext<'_> {
    /// Reports an error at a place of the API's document.
    pub(super) fn error(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) {
        self.issues.push(Issue::error(code, self.file, pointer, message));
    }

    /// Reports an error with how to mend it.
    pub(super) fn error_help(
        &mut self,
        code: &'static str,
        pointer: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.issues.push(Issue::error(code, self.file, pointer, message).help(help));
    }

    /// Reports a warning at a place of the API's document.
    pub(super) fn warning(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) {
        self.issues.push(Issue::warning(code, self.file, pointer, message));
    }
}

/// A JSON pointer with one more token (RFC 6901 section 3).
pub(super) fn child(pointer: &str, token: impl AsRef<str>) -> String {
    let token = token.as_ref().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{token}")
}
