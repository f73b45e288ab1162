//! The JSON Schema of configuration documents, for editors and for checking elsewhere.
//!
//! Made from the same types that documents are decoded into; their doc comments are its descriptions.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::api::ApiConfig;
use crate::domain::DomainConfig;
use crate::function::FunctionConfig;
use crate::upstream::UpstreamConfig;

/// The JSON Schema (draft 2020-12) of a document: an API, a custom domain, an upstream or a function.
///
/// Documents that `openapi:` or `swagger:` starts have schemas of their own. What needs more than one place of a document
/// to be decided (names that refer to something, fields that exclude each other) is not in it.
pub fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let api = generator.subschema_for::<ApiConfig>();
    let domain = generator.subschema_for::<DomainConfig>();
    let upstream = generator.subschema_for::<UpstreamConfig>();
    let function = generator.subschema_for::<FunctionConfig>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Moongate configuration",
        "description": "A document of a Moongate project: an API, a custom domain, an upstream, or a function.",
        "oneOf": [api, domain, upstream, function],
        "$defs": generator.take_definitions(true),
    })
}
