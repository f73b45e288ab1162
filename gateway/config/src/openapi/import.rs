//! A document's import as a whole: the API it becomes, and what was taken, translated and left out.

use serde::Serialize;
use serde_json::Value;

use crate::api::ApiConfig;
use crate::authorizer::AuthorizerType;
use crate::decode;
use crate::integration::IntegrationType;
use crate::issue::Issue;
use crate::script::TemplateConfig;
use crate::source;

use super::{Options, codes, is_openapi, to_native_with};

/// What an import gave.
#[derive(Debug)]
pub struct Imported {
    /// The API; `None` when an error keeps it from being used.
    pub config: Option<ApiConfig>,
    /// Errors, and warnings for what was left out.
    pub issues: Vec<Issue>,
    /// What the API holds.
    pub summary: Summary,
}

/// How much of a document became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Routes.
    pub routes: usize,
    /// Models.
    pub models: usize,
    /// Authorizers, of whatever type.
    pub authorizers: usize,
    /// Mapping templates that are fixed texts.
    pub texts: usize,
    /// Mapping templates that became Lua.
    pub translated: usize,
    /// Routes whose integration needs a function in the gateway before it answers (AWS services and Lambda functions).
    pub without_backend: usize,
    /// Authorizers that need a script in the gateway before they decide.
    pub without_decision: usize,
}

/// Imports a document.
///
/// The API is checked as far as its document goes; whether it compiles is said where it is loaded.
pub fn import(text: &str, file: &str, options: &Options) -> Imported {
    let mut imported = Imported { config: None, issues: Vec::new(), summary: Summary::default() };
    let tree = match source::parse(text, file) {
        Ok(tree) => tree,
        Err(issues) => {
            imported.issues = issues;
            return imported;
        }
    };
    if !is_openapi(&tree) {
        let message = "an OpenAPI document says `openapi: 3.1.0` or `swagger: \"2.0\"` at its top level";
        imported.issues.push(Issue::error(codes::NOT_OPENAPI, file, "", message));
        return imported;
    }
    let Some(native) = to_native_with(&tree, file, options, &mut imported.issues) else { return imported };
    let config = decode::decode::<ApiConfig>(&native, file, &mut imported.issues);
    imported.summary = config.as_ref().map(Summary::of).unwrap_or_default();
    imported.config = config.filter(|_| !imported.issues.iter().any(Issue::is_error));
    imported
}

impl Summary {
    fn of(config: &ApiConfig) -> Self {
        let integrations = || config.routes.iter().filter_map(|route| route.integration.as_ref());
        let requests = integrations().flat_map(|integration| integration.request_templates.values());
        let responses = integrations().flat_map(|integration| &integration.responses);
        let templates: Vec<&TemplateConfig> =
            requests.chain(responses.flat_map(|response| response.response_templates.values())).collect();
        let needs_function = |kind| matches!(kind, IntegrationType::Aws | IntegrationType::AwsProxy);
        Self {
            routes: config.routes.len(),
            models: config.models.len(),
            authorizers: config.authorizers.len(),
            texts: templates.iter().filter(|template| template.text.is_some()).count(),
            translated: templates.iter().filter(|template| template.lua.is_some()).count(),
            without_backend: integrations()
                .filter(|known| needs_function(known.kind) && known.function.is_none())
                .count(),
            without_decision: config.authorizers.values().filter(|known| known.kind != AuthorizerType::Lua).count(),
        }
    }
}

/// How an import meets an API that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What is imported is added, and replaces what has the same name: routes by their keys, all else by name.
    Merge,
    /// What is imported replaces all of it.
    Overwrite,
}

/// The native document of an import on top of one that is there already, both as JSON.
pub fn combine(present: Value, imported: Value, mode: Mode) -> Value {
    let (Mode::Merge, Value::Object(mut present), Value::Object(imported)) = (mode, present, imported.clone()) else {
        return imported;
    };
    for (name, value) in imported {
        let merged = match (present.shift_remove(&name), value) {
            (Some(Value::Object(mut known)), Value::Object(new)) => {
                known.extend(new);
                Value::Object(known)
            }
            (Some(Value::Array(known)), Value::Array(new)) if name == "routes" => merge_routes(known, new),
            (_, value) => value,
        };
        present.insert(name, merged);
    }
    Value::Object(present)
}

fn merge_routes(mut known: Vec<Value>, new: Vec<Value>) -> Value {
    let places: std::collections::HashMap<String, usize> =
        known.iter().enumerate().map(|(index, route)| (route["match"].to_string(), index)).collect();
    for route in new {
        match places.get(&route["match"].to_string()) {
            Some(&index) => known[index] = route,
            None => known.push(route),
        }
    }
    known.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_import_merges_or_replaces() {
        let present = json!({"api": "a", "stages": [{"name": "dev"}], "models": {"A": 1, "B": 1},
            "routes": [{"match": "GET /a", "name": "old"}, {"match": "GET /b"}]});
        let imported = json!({"api": "a", "models": {"B": 2}, "routes": [{"match": "GET /c"}, {"match": "GET /a", "name": "new"}]});
        let merged = combine(present.clone(), imported.clone(), Mode::Merge);
        assert_eq!(merged["models"], json!({"A": 1, "B": 2}));
        assert_eq!(merged["stages"], present["stages"]);
        assert_eq!(
            merged["routes"],
            json!([{"match": "GET /a", "name": "new"}, {"match": "GET /b"}, {"match": "GET /c"}])
        );
        assert_eq!(combine(present, imported.clone(), Mode::Overwrite), imported);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (text, code) in [("{", "E001"), ("{}", codes::NOT_OPENAPI), ("{\"openapi\": \"2.9\"}", codes::VERSION)] {
            let imported = import(text, "a.json", &Options::default());
            assert!(imported.config.is_none());
            assert_eq!(imported.issues[0].code, code, "{text}: {:?}", imported.issues);
        }
    }
}
