//! The OpenAPI 3.1 description of the management API, made from the same list that requests are routed by.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::router::{OPERATIONS, Operation};

/// A way to make a type's schema.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type.
pub(crate) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Query parameters: name, JSON Schema as text, what it does.
pub(crate) type Query = &'static [(&'static str, &'static str, &'static str)];

/// The whole description.
pub(crate) fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in OPERATIONS {
        let described = describe(operation, &mut generator);
        paths.entry(operation.path).or_default().insert(operation.method.to_lowercase(), described);
    }
    let paths: Map<String, Value> =
        paths.into_iter().map(|(path, methods)| (path.replace("{*", "{"), Value::Object(methods))).collect();
    let problem = json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": schema::<crate::problem::FieldError>(&mut generator)},
            "current": {"description": "the resource as it is now, where somebody else changed it meanwhile"},
        },
    });
    let mut schemas: Map<String, Value> = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Moongate management API",
            "version": "1",
            "description": "APIs, deployments, stages, canaries, keys and users of a Moongate installation. Errors are problem details \
                (RFC 9457) that name every mistake with a JSON pointer. Writes can be made conditional with `If-Match`.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for segment in operation.path.split('/') {
        let Some(name) = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) else { continue };
        let name = name.trim_start_matches('*');
        let schema = match name {
            "revision" => json!({"type": "integer", "minimum": 1, "maximum": 9_000_000_000_000_000_u64}),
            _ => json!({"type": "string", "minLength": 1}),
        };
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    for (name, schema, description) in operation.query {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        parameters.push(json!({"name": name, "in": "query", "schema": schema, "description": description}));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag()],
        "parameters": parameters,
        "responses": {},
    });
    if let Some((schema, is_required)) = operation.request {
        let media_type = if operation.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let schema = if operation.method == "PATCH" { json!({"type": "object"}) } else { schema(generator).to_value() };
        described["requestBody"] = json!({"required": is_required, "content": {media_type: {"schema": schema}}});
    }
    let (status, schema) = operation.answer;
    let mut answer = json!({"description": "done"});
    if let Some(schema) = schema {
        answer["content"] = json!({"application/json": {"schema": schema(generator).to_value()}});
    }
    let responses = &mut described["responses"];
    responses[status.to_string()] = answer.clone();
    // What is put where nothing was is made.
    if operation.method == "PUT" && status == 200 {
        responses["201"] = answer;
    }
    if operation.may_be_empty {
        responses["204"] = json!({"description": "nothing new"});
    }
    responses["default"] = json!({
        "description": "a problem",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    described
}
