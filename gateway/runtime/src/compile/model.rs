//! Models: JSON Schemas that request bodies are checked against.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use jsonschema::Validator;
use moongate_config::model::ModelConfig;
use serde_json::{Value, json};

use crate::compile::context::{ApiContext, child};

/// How a model refers to another one.
const REFERENCE: &str = "#/models/";

/// What AWS's own references to models begin with, `ID/models/NAME` following.
const AWS_MODELS: &str = "https://apigateway.amazonaws.com/restapis/";

/// Most references that may lead to one another for the same value: checking goes as deep.
const CHAIN_MAX: usize = 128;

/// Largest compiled `pattern`, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// An API's models, compiled when a route first uses them.
#[derive(Default)]
pub(super) struct Models(HashMap<String, Option<Arc<Validator>>>);

impl Models {
    /// The compiled model of that name; `None` when it cannot be used, which is reported once.
    pub(super) fn get(&mut self, cx: &mut ApiContext<'_>, name: &str) -> Option<Arc<Validator>> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let compiled = compile(cx, name);
        self.0.insert(name.to_owned(), compiled.clone());
        compiled
    }
}

fn compile(cx: &mut ApiContext<'_>, name: &str) -> Option<Arc<Validator>> {
    let api = cx.api;
    // That the name refers to a model was checked by `moongate_config::check`.
    let dialect = api.models.get(name)?.schema.get("$schema").cloned();
    let mut models = serde_json::Map::new();
    let mut open = vec![name.to_owned()];
    while let Some(next) = open.pop() {
        let Some(model) = api.models.get(&next).filter(|_| !models.contains_key(&next)) else { continue };
        let mut schema = model.schema.clone();
        settle_references(&mut schema, &next, &api.models, &mut open);
        models.insert(next, schema);
    }
    let pointer = child(&child("/models", name), "schema");
    let root = Value::Object(models);
    if let Some(reference) = endless(&root, name) {
        let message = format!("model `{name}` refers to `{reference}`, which leads back to itself for the same value");
        cx.error_help(
            "E112",
            &pointer,
            message,
            "a model may contain itself, in a property or in items, but not be itself",
        );
        return None;
    }
    let mut root = json!({ "allOf": [{ "$ref": format!("{REFERENCE}{}", escaped(name)) }], "models": root });
    if let (Some(dialect), Some(root)) = (dialect, root.as_object_mut()) {
        root.insert("$schema".to_owned(), dialect);
    }
    let patterns = jsonschema::PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
    match jsonschema::options().with_pattern_options(patterns).build(&root) {
        Ok(validator) => Some(Arc::new(validator)),
        Err(error) => {
            cx.error("E112", &pointer, format!("model `{name}` is not a usable JSON Schema: {error}"));
            None
        }
    }
}

/// Writes every reference of a model as `#/models/NAME...`, and adds the models it leads to to `open`.
///
/// AWS writes `https://apigateway.amazonaws.com/restapis/ID/models/NAME`, its tools also `NAME` and `/NAME`; `#/...` is a place
/// of the model itself.
fn settle_references(schema: &mut Value, own: &str, models: &IndexMap<String, ModelConfig>, open: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                match value {
                    Value::String(text) if key == "$ref" => {
                        if let Some(settled) = settled(text, own, models) {
                            let name = settled[REFERENCE.len()..].split('/').next().unwrap_or_default();
                            open.push(name.replace("~1", "/").replace("~0", "~"));
                            *text = settled;
                        }
                    }
                    value => settle_references(value, own, models, open),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| settle_references(item, own, models, open)),
        _ => {}
    }
}

fn settled(reference: &str, own: &str, models: &IndexMap<String, ModelConfig>) -> Option<String> {
    if reference.starts_with(REFERENCE) {
        return Some(reference.to_owned());
    }
    if let Some(place) = reference.strip_prefix('#') {
        return Some(format!("{REFERENCE}{}{place}", escaped(own)));
    }
    let after_models = reference.strip_prefix(AWS_MODELS).and_then(|rest| rest.split_once("/models/"));
    let name = after_models.map_or(reference.trim_start_matches('/'), |(_, name)| name);
    models.contains_key(name).then(|| format!("{REFERENCE}{}", escaped(name)))
}

/// A reference that leads back to itself without going into the value: checking it would never end.
fn endless(models: &Value, name: &str) -> Option<String> {
    /// Keywords whose schemas judge the same value.
    const SAME_VALUE: [&str; 9] =
        ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];

    fn in_place<'s>(schema: &'s Value, found: &mut Vec<&'s str>) {
        let Value::Object(members) = schema else { return };
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            found.push(reference);
        }
        for (_, value) in members.iter().filter(|(key, _)| SAME_VALUE.contains(&&***key)) {
            match value {
                Value::Array(items) => items.iter().for_each(|item| in_place(item, found)),
                // `dependentSchemas` maps names to schemas; the names hide no keyword of ours.
                Value::Object(inner) => {
                    in_place(value, found);
                    inner.values().for_each(|value| in_place(value, found));
                }
                _ => {}
            }
        }
    }

    // Depth first without recursion: `None` on the stack closes the reference that was opened before it.
    let start = format!("{REFERENCE}{}", escaped(name));
    let mut path: Vec<String> = Vec::new();
    let mut closed: BTreeSet<String> = BTreeSet::new();
    let mut stack = vec![Some(start)];
    while let Some(step) = stack.pop() {
        let Some(reference) = step else {
            closed.extend(path.pop());
            continue;
        };
        if path.len() > CHAIN_MAX || path.contains(&reference) {
            return Some(reference);
        }
        if closed.contains(&reference) {
            continue;
        }
        let mut found = Vec::new();
        let pointer = reference.strip_prefix("#/models").unwrap_or_default();
        if let Some(schema) = models.pointer(pointer) {
            in_place(schema, &mut found);
        }
        path.push(reference);
        stack.push(None);
        stack.extend(found.into_iter().map(|reference| Some(reference.to_owned())));
    }
    None
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_are_themselves_are_told_from_those_that_contain_themselves() {
        let models = json!({
            "tree": {"properties": {"left": {"$ref": "#/models/tree"}}},
            "self": {"allOf": [{"$ref": "#/models/self"}]},
            "a": {"$ref": "#/models/b"},
            "b": {"anyOf": [{"type": "string"}, {"not": {"$ref": "#/models/a"}}]},
            "twice": {"allOf": [{"$ref": "#/models/tree"}, {"$ref": "#/models/tree"}]},
            "place": {"$ref": "#/models/place/properties/x", "properties": {"x": {"$ref": "#/models/place"}}},
        });
        for (name, want) in [("tree", false), ("self", true), ("a", true), ("twice", false), ("place", true)] {
            assert_eq!(endless(&models, name).is_some(), want, "{name}");
        }
    }

    #[test]
    fn aws_ways_to_refer_to_a_model_mean_the_same() {
        let model = ModelConfig { content_type: None, description: None, schema: json!({}) };
        let models = IndexMap::from([("House".to_owned(), model)]);
        let cases = [
            ("House", Some("#/models/House")),
            ("/House", Some("#/models/House")),
            ("https://apigateway.amazonaws.com/restapis/abc/models/House", Some("#/models/House")),
            ("#/models/House", Some("#/models/House")),
            ("#/definitions/x", Some("#/models/Own/definitions/x")),
            ("#", Some("#/models/Own")),
            ("Castle", None),
        ];
        for (reference, want) in cases {
            assert_eq!(settled(reference, "Own", &models).as_deref(), want, "{reference}");
        }
    }
}
