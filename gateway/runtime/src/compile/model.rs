//! Models: JSON Schemas that request bodies are checked against.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::compile::context::{ApiContext, child};

/// How a model refers to another one.
const REFERENCE: &str = "#/models/";

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
    let model = api.models.get(name)?;
    let mut used = BTreeSet::from([name.to_owned()]);
    let mut open = vec![name.to_owned()];
    while let Some(next) = open.pop() {
        let Some(model) = api.models.get(&next) else { continue };
        references(&model.schema, &mut |name| {
            if used.insert(name.to_owned()) {
                open.push(name.to_owned());
            }
        });
    }
    let models: serde_json::Map<String, Value> =
        used.iter().filter_map(|name| Some((name.clone(), api.models.get(name)?.schema.clone()))).collect();
    let dialect = model.schema.get("$schema").cloned();
    let mut root = json!({ "allOf": [{ "$ref": format!("{REFERENCE}{}", escaped(name)) }], "models": models });
    if let (Some(dialect), Some(root)) = (dialect, root.as_object_mut()) {
        root.insert("$schema".to_owned(), dialect);
    }
    match jsonschema::options().with_pattern_options(jsonschema::PatternOptions::regex()).build(&root) {
        Ok(validator) => Some(Arc::new(validator)),
        Err(error) => {
            let pointer = child(&child("/models", name), "schema");
            cx.error("E112", &pointer, format!("model `{name}` is not a usable JSON Schema: {error}"));
            None
        }
    }
}

/// Names of models that a schema refers to.
fn references(schema: &Value, found: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(members) => {
            if let Some(name) =
                members.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(REFERENCE))
            {
                let name = name.split('/').next().unwrap_or_default();
                found(&name.replace("~1", "/").replace("~0", "~"));
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
