//! Schemas to models: `components.schemas` (OpenAPI 3), `definitions` (Swagger 2.0), and what bodies declare in place.
//!
//! A model is a schema in which every reference is `#/models/NAME`. References stay references, so schemas that contain
//! themselves need no care. A reference to a place inside another schema, or elsewhere in the document, makes that place a
//! model of its own.

use std::collections::{HashMap, VecDeque};

use crate::source::{Key, Node, Value};

use super::context::{At, Import, Version};
use super::names::Names;
use super::refs::{self, RefError};
use super::tree::{self, Map};

/// Longest model name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// What AWS's own references to models begin with, `restapis/{id}/models/{name}` following.
const AWS_MODELS: &str = "https://apigateway.amazonaws.com/restapis/";

/// Keywords whose value is one schema, or a list of them.
const SCHEMA_KEYWORDS: [&str; 16] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value maps names to schemas.
const SCHEMAS_KEYWORDS: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// The models of an import.
pub(super) struct Models<'a> {
    names: Names,
    by_reference: HashMap<String, String>,
    /// Models of schemas written in a body, by the schema's address, which does not change while the document is borrowed.
    by_place: HashMap<usize, String>,
    /// Places that references made models of, still to be converted.
    pending: VecDeque<(String, &'a Node)>,
    models: Map,
}

impl<'a> Models<'a> {
    /// The models of the document's named schemas.
    pub(super) fn read(import: &mut Import<'a>) -> Self {
        let mut models = Self {
            names: Names::default(),
            by_reference: HashMap::new(),
            by_place: HashMap::new(),
            pending: VecDeque::new(),
            models: Map::default(),
        };
        let (section, prefix, at) = match import.version {
            Version::Swagger2 => (Some(import.root), "#/definitions", &At::DEFINITIONS),
            Version::OpenApi30 | Version::OpenApi31 => {
                (tree::get(import.root, "components"), "#/components/schemas", &At::SCHEMAS)
            }
        };
        let name = prefix.rsplit('/').next().unwrap_or_default();
        let Some(schemas) = section.and_then(|section| tree::get(section, name)) else {
            return models;
        };
        let Some(schemas) = import.mapping(schemas, at) else {
            return models;
        };
        // All names first: schemas refer to ones that stand below them.
        let mut named = Vec::with_capacity(schemas.len());
        for (key, schema) in schemas.iter().filter(|(key, _)| !key.text.starts_with("x-")) {
            let name = models.unique_name(&key.text);
            let pointer = key.text.replace('~', "~0").replace('/', "~1");
            models.by_reference.insert(format!("{prefix}/{pointer}"), name.clone());
            named.push((name, key, schema));
        }
        for (name, key, schema) in named {
            models.add(import, &name, key, schema, &at.key(&key.text));
        }
        models
    }

    /// The model of a body's schema: the one it refers to, or a new one. `None` for a schema that allows everything.
    pub(super) fn of_body(
        &mut self,
        import: &mut Import<'a>,
        schema: &'a Node,
        operation: &str,
        at: &At<'_>,
    ) -> Option<String> {
        if let Some((reference, span)) = refs::reference(schema) {
            return match self.model_for(import, reference) {
                Ok(name) => Some(name),
                Err(error) => {
                    import.push_ref_error(&error, at, span);
                    None
                }
            };
        }
        if import.mapping(schema, at)?.is_empty() {
            return None;
        }
        let place = std::ptr::from_ref(schema) as usize;
        if let Some(name) = self.by_place.get(&place) {
            return Some(name.clone());
        }
        let name = self.unique_name(&format!("{operation}-body"));
        self.by_place.insert(place, name.clone());
        self.add(import, &name, &Key::new(schema.span, ""), schema, at);
        Some(name)
    }

    /// Every model, when all bodies have been read.
    pub(super) fn finish(mut self, import: &mut Import<'a>) -> Option<Node> {
        while let Some((name, schema)) = self.pending.pop_front() {
            if !import.spend(tree::weigh(schema), &At::ROOT, schema.span) {
                break;
            }
            self.add(import, &name, &Key::new(schema.span, ""), schema, &At::ROOT);
        }
        self.models.into_some(import.root.span)
    }

    /// Adds a model. The key stands where `key` stands.
    fn add(&mut self, import: &mut Import<'a>, name: &str, key: &Key, schema: &'a Node, at: &At<'_>) {
        let mut map = Map::default();
        map.put_some("description", tree::get(schema, "description").filter(|node| node.as_str().is_some()).cloned());
        let mut converted = self.schema(import, schema, at);
        if let Value::Mapping(entries) = &mut converted.value
            && !entries.iter().any(|(key, _)| &*key.text == "$schema")
        {
            let dialect = Node::string(schema.span, dialect(import));
            entries.insert(0, (Key::new(schema.span, "$schema"), dialect));
        }
        map.put("schema", converted);
        self.models.put_at(key.span, name, tree::mapping(map, schema.span));
    }

    /// A schema with its references rewritten. Recursion is bounded by the depth the document was checked for.
    fn schema(&mut self, import: &mut Import<'a>, schema: &'a Node, at: &At<'_>) -> Node {
        let entries = match &schema.value {
            Value::Mapping(entries) => entries,
            Value::Sequence(items) => {
                let items = items.iter().enumerate().map(|(i, item)| self.schema(import, item, &at.index(i))).collect();
                return tree::sequence(schema.span, items);
            }
            _ => return schema.clone(),
        };
        let mut converted = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = &*key.text;
            let at = at.key(name);
            let value = if name == "$ref" {
                self.reference(import, value, &at)
            } else if SCHEMA_KEYWORDS.contains(&name) {
                self.schema(import, value, &at)
            } else if SCHEMAS_KEYWORDS.contains(&name) {
                self.schemas(import, value, &at)
            } else {
                value.clone()
            };
            converted.push((key.clone(), value));
        }
        if import.version == Version::OpenApi30 {
            admit_null(&mut converted);
        }
        tree::mapping(Map::from(converted), schema.span)
    }

    fn schemas(&mut self, import: &mut Import<'a>, schemas: &'a Node, at: &At<'_>) -> Node {
        let Value::Mapping(entries) = &schemas.value else {
            return schemas.clone();
        };
        let entries = entries
            .iter()
            .map(|(key, schema)| (key.clone(), self.schema(import, schema, &at.key(&key.text))))
            .collect::<Vec<_>>();
        tree::mapping(Map::from(entries), schemas.span)
    }

    fn reference(&mut self, import: &mut Import<'a>, value: &'a Node, at: &At<'_>) -> Node {
        let Some(reference) = import.text(value, at) else {
            return value.clone();
        };
        match self.model_for(import, reference) {
            Ok(name) => Node::string(value.span, format!("#/models/{name}")),
            Err(error) => {
                import.push_ref_error(&error, at, value.span);
                value.clone()
            }
        }
    }

    /// The name of the model that a reference means.
    fn model_for(&mut self, import: &Import<'a>, reference: &str) -> Result<String, RefError> {
        if let Some(name) = self.by_reference.get(reference) {
            return Ok(name.clone());
        }
        if let Some(name) = reference.strip_prefix(AWS_MODELS).and_then(|rest| rest.split_once("/models/")) {
            let pointers = ["#/definitions/", "#/components/schemas/"].map(|prefix| format!("{prefix}{}", name.1));
            let known = pointers.iter().find_map(|pointer| self.by_reference.get(pointer));
            return known.cloned().ok_or_else(|| RefError::Missing(reference.to_owned()));
        }
        let target = import.refs().find(reference)?;
        // The same schema under another spelling of its pointer (`%20`) is the same model.
        let segments: Option<Vec<_>> = reference.split('/').map(refs::unescape).collect();
        let canonical =
            segments.unwrap_or_default().into_iter().map(|segment| segment.replace('~', "~0").replace('/', "~1"));
        let canonical = canonical.collect::<Vec<_>>().join("/");
        if let Some(name) = self.by_reference.get(&canonical) {
            return Ok(name.clone());
        }
        let name = self.unique_name(reference.trim_start_matches(['#', '/']));
        self.by_reference.insert(canonical, name.clone());
        self.pending.push_back((name.clone(), target));
        Ok(name)
    }

    /// A model name that is not taken: letters, digits, `.`, `_` and `-`.
    fn unique_name(&mut self, wanted: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let mut base: String = wanted.chars().map(|c| if is_plain(c) { c } else { '_' }).take(NAME_BYTES_MAX).collect();
        if base.is_empty() {
            base.push_str("model");
        }
        self.names.claim(&base)
    }
}

/// The JSON Schema version a description language speaks, stated in each model so that validators need not guess:
/// API Gateway reads Swagger 2.0 and OpenAPI 3.0 as draft-04, OpenAPI 3.1 is 2020-12.
fn dialect(import: &Import<'_>) -> &'static str {
    match import.version {
        Version::Swagger2 | Version::OpenApi30 => "http://json-schema.org/draft-04/schema#",
        Version::OpenApi31 => "https://json-schema.org/draft/2020-12/schema",
    }
}

/// `nullable: true` beside a `type` (OpenAPI 3.0 only) becomes a `null` among the types, which JSON Schema understands.
fn admit_null(entries: &mut Vec<(Key, Node)>) {
    let Some(nullable) =
        entries.iter().position(|(key, node)| &*key.text == "nullable" && node.as_bool() == Some(true))
    else {
        return;
    };
    let Some((_, kind)) = entries.iter_mut().find(|(key, node)| &*key.text == "type" && node.as_str().is_some()) else {
        return;
    };
    let span = kind.span;
    let null = Node::string(span, "null");
    let only = std::mem::replace(kind, null.clone());
    *kind = tree::sequence(span, vec![only, null]);
    entries.remove(nullable);
}
