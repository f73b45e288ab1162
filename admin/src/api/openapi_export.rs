//! An API as an OpenAPI 3.1 document: what callers may know of it.
//!
//! Paths, parameters, bodies with their models, and which routes need a key. How a route is answered stays with us. `ANY`, which OpenAPI
//! has no word for, is `x-moongate-any-method`; `$default` is left out.

use serde_json::{Map, Value, json};

/// The document of an API.
pub(super) fn document(api: &Value) -> Value {
    let text = |name: &str| api.get(name).and_then(Value::as_str);
    let id = text("api").unwrap_or_default();
    let mut paths = Map::new();
    for route in api.get("routes").and_then(Value::as_array).into_iter().flatten() {
        let key = route.get("match").and_then(Value::as_str).unwrap_or_default();
        // OpenAPI has no word for "everything else".
        let Some((method, path)) = key.split_once(' ') else { continue };
        let method = if method == "ANY" { "x-moongate-any-method".to_owned() } else { method.to_lowercase() };
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation(route, path);
    }
    let mut info = json!({"title": text("name").unwrap_or(id), "version": text("version").unwrap_or("1")});
    if let Some(description) = text("description") {
        info["description"] = json!(description);
    }
    let models = api.get("models").and_then(Value::as_object).into_iter().flatten();
    let schemas: Map<String, Value> = models.map(|(name, model)| (name.clone(), schema(model))).collect();
    json!({
        "openapi": "3.1.0",
        "info": info,
        "x-moongate-api": id,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    })
}

fn schema(model: &Value) -> Value {
    model.get("schema").cloned().unwrap_or_else(|| json!({}))
}

fn operation(route: &Value, path: &str) -> Value {
    let mut described = json!({"responses": {"default": {"description": "the answer"}}});
    for (ours, theirs) in [("name", "operationId"), ("description", "description")] {
        if let Some(text) = route.get(ours) {
            described[theirs] = text.clone();
        }
    }
    let in_path = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    for (name, required) in route.get("request_parameters").and_then(Value::as_object).into_iter().flatten() {
        let place = name.strip_prefix("method.request.").and_then(|rest| rest.split_once('.'));
        let (place, name) = match place {
            Some(("querystring", name)) => ("query", name),
            Some(("header", name)) => ("header", name),
            _ => continue,
        };
        parameters.push(json!({"name": name, "in": place, "required": required, "schema": {"type": "string"}}));
    }
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(models) = route.get("request_models").and_then(Value::as_object) {
        let content: Map<String, Value> = models
            .iter()
            .filter_map(|(media_type, name)| {
                let reference = format!("#/components/schemas/{}", name.as_str()?);
                Some((media_type.clone(), json!({"schema": {"$ref": reference}})))
            })
            .collect();
        described["requestBody"] = json!({"content": content});
    }
    if route.get("api_key_required") == Some(&Value::Bool(true)) {
        described["security"] = json!([{"api_key": []}]);
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_see_paths_parameters_and_keys() {
        let api = json!({
            "api": "orders",
            "name": "Orders",
            "models": {"Order": {"schema": {"type": "object"}}},
            "routes": [
                {"match": "POST /orders/{id}", "name": "put-order", "api_key_required": true,
                 "request_parameters": {"method.request.querystring.q": true}, "request_models": {"application/json": "Order"},
                 "upstream": "http://secret.internal"},
                {"match": "ANY /files/{path+}"},
                {"match": "$default"}
            ],
        });
        let document = document(&api);
        let operation = &document["paths"]["/orders/{id}"]["post"];
        assert_eq!(operation["operationId"], "put-order");
        assert_eq!(
            operation["parameters"][1],
            json!({"name": "q", "in": "query", "required": true, "schema": {"type": "string"}})
        );
        assert_eq!(operation["security"], json!([{"api_key": []}]));
        assert_eq!(
            operation["requestBody"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Order"
        );
        assert!(document["paths"]["/files/{path+}"]["x-moongate-any-method"].is_object());
        assert!(!document.to_string().contains("secret.internal"), "callers do not learn what is behind");
    }
}
