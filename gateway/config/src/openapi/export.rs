//! An API as an OpenAPI 3 document: for people and tools ([`Extensions::None`]), for AWS, or to be imported again.
//!
//! With [`Extensions::Moongate`] nothing is lost: the document is imported again while it is made, and what does not come back the
//! same is written beside it (`x-moongate-route`, `x-moongate-document`). So import, export, import gives the same API, in the
//! order of its paths.
//!
//! Source of the other forms: API Gateway, "Export a REST API" (`extensions=integrations|authorizers|apigateway`), recorded exports.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::api::ApiConfig;
use crate::decode;
use crate::route::{RouteConfig, RouteKey};
use crate::source;

use super::export_aws;

/// Which extensions an export has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extensions {
    /// None: paths, parameters, schemas.
    None,
    /// AWS's integrations.
    Integrations,
    /// AWS's authorizers.
    Authorizers,
    /// All of AWS's.
    ApiGateway,
    /// Moongate's: everything, so that an import gives the same API.
    Moongate,
}

/// The dialect of OpenAPI 3.1's schemas.
const DRAFT_2020: &str = "https://json-schema.org/draft/2020-12/schema";

/// Document extensions that are native values, with their native names.
const NATIVE: [(&str, &str); 12] = [
    ("api", "x-moongate-api"),
    ("protocol", "x-moongate-protocol"),
    ("compat", "x-moongate-compat"),
    ("cors", "x-moongate-cors"),
    ("limits", "x-moongate-limits"),
    ("authorizers", "x-moongate-authorizers"),
    ("default_authorizer", "x-moongate-authorizer"),
    ("api_keys", "x-moongate-api-keys"),
    ("gateway_responses", "x-moongate-gateway-responses"),
    ("policies", "x-moongate-policies"),
    ("plugins", "x-moongate-plugins"),
    ("stages", "x-moongate-stages"),
];

/// What an export cannot say, place by place: Lua templates in AWS's form.
pub type Unsaid = Vec<String>;

/// Writes an API as an OpenAPI document, and tells what of it the document does not say.
///
/// Cost: linear in the size of the API; with [`Extensions::Moongate`] an import on top.
pub fn export(api: &ApiConfig, extensions: Extensions) -> (Value, Unsaid) {
    let mut unsaid = Unsaid::new();
    let mut document = document(api, extensions, &mut unsaid);
    if extensions == Extensions::Moongate {
        complete(api, &mut document);
    }
    (document, unsaid)
}

fn document(api: &ApiConfig, extensions: Extensions, unsaid: &mut Unsaid) -> Value {
    let is_2020 = |schema: &Value| schema.get("$schema").and_then(Value::as_str) == Some(DRAFT_2020);
    let is_31 = api.models.values().any(|model| is_2020(&model.schema));
    let mut info = Map::new();
    info.insert("title".to_owned(), api.name.as_deref().unwrap_or(api.api.as_str()).into());
    if let Some(description) = &api.description {
        info.insert("description".to_owned(), description.as_str().into());
    }
    info.insert("version".to_owned(), api.version.as_deref().unwrap_or("1.0").into());
    let mut paths: IndexMap<&str, Map<String, Value>> = IndexMap::new();
    for route in &api.routes {
        let (path, method) = match &route.key {
            RouteKey::Default => ("/$default", None),
            RouteKey::On { path, method } => (path.as_str(), method.as_ref()),
        };
        let key =
            method.map_or("x-amazon-apigateway-any-method".to_owned(), |method| method.as_str().to_ascii_lowercase());
        let key = if extensions == Extensions::Moongate { key.replace("amazon-apigateway", "moongate") } else { key };
        paths.entry(path).or_default().insert(key, operation(api, route, extensions, is_31, unsaid));
    }
    let mut components = Map::new();
    if !api.models.is_empty() {
        let schemas: Map<String, Value> =
            api.models.iter().map(|(name, model)| (name.clone(), schema(&model.schema, is_31))).collect();
        components.insert("schemas".to_owned(), schemas.into());
    }
    let has_security = !matches!(extensions, Extensions::None | Extensions::Integrations);
    if has_security && let Some(schemes) = export_aws::security_schemes(api, extensions) {
        components.insert("securitySchemes".to_owned(), schemes);
    }
    let mut document = json!({
        "openapi": if is_31 { "3.1.0" } else { "3.0.1" },
        "info": info,
        "paths": paths,
        "components": components,
    });
    match extensions {
        Extensions::Moongate => {
            let native = serde_json::to_value(api).unwrap_or_default();
            for (name, extension) in NATIVE {
                if let Some(value) = native.get(name) {
                    document[extension] = value.clone();
                }
            }
            if let Some(stage) = &api.default_stage {
                document["x-moongate-default-stage"] = stage.as_str().into();
            }
            export_aws::validators(api, &mut document);
            export_aws::binary_media_types(api, &mut document);
        }
        Extensions::ApiGateway => export_aws::settings(api, &mut document),
        Extensions::Integrations => export_aws::binary_media_types(api, &mut document),
        Extensions::None | Extensions::Authorizers => {}
    }
    document
}

fn operation(api: &ApiConfig, route: &RouteConfig, extensions: Extensions, is_31: bool, unsaid: &mut Unsaid) -> Value {
    let mut operation = Map::new();
    if let Some(name) = &route.name {
        operation.insert("operationId".to_owned(), name.as_str().into());
    }
    if let Some(description) = &route.description {
        operation.insert("description".to_owned(), description.as_str().into());
    }
    let parameters: Vec<Value> = route
        .request_parameters
        .iter()
        .filter_map(|(key, is_required)| {
            let (place, name) = key.strip_prefix("method.request.")?.split_once('.')?;
            let place = if place == "querystring" { "query" } else { place };
            let mut parameter = json!({ "name": name, "in": place });
            if *is_required || place == "path" {
                parameter["required"] = true.into();
            }
            parameter["schema"] = json!({ "type": "string" });
            Some(parameter)
        })
        .collect();
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if !route.request_models.is_empty() {
        let body = json!({ "content": contents(&route.request_models), "required": true });
        operation.insert("requestBody".to_owned(), body);
    }
    let responses = responses(route);
    if !is_31 || !responses.is_empty() {
        operation.insert("responses".to_owned(), responses.into());
    }
    match extensions {
        Extensions::None => {}
        Extensions::Moongate => {
            if let Some(authorizer) = &route.authorizer {
                operation.insert("x-moongate-authorizer".to_owned(), authorizer.as_str().into());
            }
            if let Some(upstream) = &route.upstream {
                operation.insert("x-moongate-upstream".to_owned(), upstream.as_str().into());
            }
            for (name, value) in [
                ("x-moongate-integration", serde_json::to_value(&route.integration).unwrap_or_default()),
                ("x-moongate-policies", serde_json::to_value(&route.policies).unwrap_or_default()),
                ("x-moongate-plugins", serde_json::to_value(&route.plugins).unwrap_or_default()),
            ] {
                if !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()) {
                    operation.insert(name.to_owned(), value);
                }
            }
        }
        _ => {}
    }
    if matches!(extensions, Extensions::Authorizers | Extensions::ApiGateway)
        && let Some(security) = export_aws::security(api, route)
    {
        operation.insert("security".to_owned(), security);
    }
    if matches!(extensions, Extensions::ApiGateway | Extensions::Moongate)
        && let Some(validator) = &route.request_validator
    {
        operation.insert("x-amazon-apigateway-request-validator".to_owned(), validator.as_str().into());
    }
    if matches!(extensions, Extensions::Integrations | Extensions::ApiGateway) {
        let integration = export_aws::integration(route, unsaid);
        operation.insert("x-amazon-apigateway-integration".to_owned(), integration);
    }
    operation.into()
}

fn contents(models: &IndexMap<String, String>) -> Value {
    let reference = |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{}", escaped(name)) } });
    models.iter().map(|(media_type, name)| (media_type.clone(), reference(name))).collect::<Map<_, _>>().into()
}

fn responses(route: &RouteConfig) -> Map<String, Value> {
    let responses = route.method_responses.iter().map(|(status, declared)| {
        let description = declared.description.clone().unwrap_or_else(|| format!("{status} response"));
        let mut response = json!({ "description": description });
        let headers: Map<String, Value> = declared
            .response_parameters
            .keys()
            .filter_map(|key| key.strip_prefix("method.response.header."))
            .map(|name| (name.to_owned(), json!({ "schema": { "type": "string" } })))
            .collect();
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        response["content"] = contents(&declared.response_models);
        (status.clone(), response)
    });
    responses.collect()
}

/// A model's schema as a component: its references lead to components, its dialect is the document's.
fn schema(model: &Value, is_31: bool) -> Value {
    let mut schema = model.clone();
    rewrite(&mut schema);
    let dialect = schema.get("$schema").and_then(Value::as_str);
    let is_own = dialect == Some(DRAFT_2020) || !is_31 && dialect.is_some_and(|dialect| dialect.contains("draft-04"));
    if let Some(members) = schema.as_object_mut().filter(|_| is_own) {
        members.shift_remove("$schema");
    }
    schema
}

fn rewrite(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                match value {
                    Value::String(text) if key == "$ref" => {
                        if let Some(place) = text.strip_prefix("#/models/") {
                            *text = format!("#/components/schemas/{place}");
                        }
                    }
                    value => rewrite(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Writes beside the document what importing it again does not give back.
fn complete(api: &ApiConfig, document: &mut Value) {
    let again = again(document).and_then(|api| serde_json::to_value(api).ok()).unwrap_or_else(|| json!({}));
    let native = serde_json::to_value(api).unwrap_or_default();
    let (Some(want), Some(got)) = (native.as_object(), again.as_object()) else { return };
    let differing = difference(want, got, &["routes"]);
    if !differing.is_empty() {
        document["x-moongate-document"] = differing.into();
    }
    let routes = |of: &Map<String, Value>| of.get("routes").and_then(Value::as_array).cloned().unwrap_or_default();
    let key = |route: &Value| route["match"].as_str().unwrap_or_default().to_owned();
    let got: HashMap<String, Value> = routes(got).into_iter().map(|route| (key(&route), route)).collect();
    let none = Map::new();
    for want in routes(want) {
        let Some(members) = want.as_object() else { continue };
        let found = got.get(&key(&want)).and_then(Value::as_object).unwrap_or(&none);
        let differing = difference(members, found, &["match"]);
        if !differing.is_empty()
            && let Some(operation) = find(document, &key(&want))
        {
            operation["x-moongate-route"] = differing.into();
        }
    }
}

/// The document, imported. Errors are expected where something is missing that is written beside it.
fn again(document: &Value) -> Option<ApiConfig> {
    const FILE: &str = "export.json";
    let tree = source::parse(&document.to_string(), FILE).ok()?;
    let mut issues = Vec::new();
    let native = super::to_native(&tree, FILE, &mut issues)?;
    decode::decode::<ApiConfig>(&native, FILE, &mut issues)
}

/// The members that differ, `null` for those that should not be there.
fn difference(want: &Map<String, Value>, got: &Map<String, Value>, except: &[&str]) -> Map<String, Value> {
    let mut differing = Map::new();
    for (name, value) in want.iter().filter(|(name, _)| !except.contains(&name.as_str())) {
        if got.get(name) != Some(value) {
            differing.insert(name.clone(), value.clone());
        }
    }
    for name in got.keys().filter(|name| !want.contains_key(*name) && !except.contains(&name.as_str())) {
        differing.insert(name.clone(), Value::Null);
    }
    differing
}

fn find<'d>(document: &'d mut Value, key: &str) -> Option<&'d mut Value> {
    let (method, path) = key.split_once(' ').unwrap_or(("ANY", "/$default"));
    let method = if method == "ANY" { "x-moongate-any-method".to_owned() } else { method.to_ascii_lowercase() };
    document.get_mut("paths")?.get_mut(path)?.get_mut(method)
}
