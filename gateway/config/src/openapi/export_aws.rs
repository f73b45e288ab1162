//! The parts of an export that are written in AWS's extensions.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::api::ApiConfig;
use crate::authorizer::{AuthorizerConfig, AuthorizerType};
use crate::integration::{IntegrationConfig, IntegrationType, PayloadFormat, TIMEOUT_MS_MAX};
use crate::route::{RouteConfig, RouteKey};
use crate::script::TemplateConfig;

use super::export::{Extensions, Unsaid};

/// The scheme that stands for API keys.
const API_KEY: &str = "api_key";

/// `x-amazon-apigateway-integration` of a route.
pub(super) fn integration(route: &RouteConfig, unsaid: &mut Unsaid) -> Value {
    match (&route.upstream, &route.integration) {
        (Some(upstream), _) => passed(route, upstream),
        (None, Some(integration)) => declared(route, integration, unsaid),
        (None, None) => json!({}),
    }
}

/// A URL that the path is appended to.
fn passed(route: &RouteConfig, upstream: &str) -> Value {
    let path = match &route.key {
        RouteKey::Default => "",
        RouteKey::On { path, .. } => path,
    };
    let path = path.replace("+}", "}");
    let mut integration = json!({ "type": "http_proxy", "httpMethod": "ANY", "uri": format!("{upstream}{path}") });
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Map<String, Value> = names
        .map(|name| (format!("integration.request.path.{name}"), format!("method.request.path.{name}").into()))
        .collect();
    if !parameters.is_empty() {
        integration["requestParameters"] = parameters.into();
    }
    integration["passthroughBehavior"] = "when_no_match".into();
    integration
}

fn declared(route: &RouteConfig, integration: &IntegrationConfig, unsaid: &mut Unsaid) -> Value {
    let kind = match integration.kind {
        // What stands in for a Lambda function is not AWS's to run.
        IntegrationType::Lua => "aws_proxy",
        IntegrationType::Http => "http",
        IntegrationType::HttpProxy => "http_proxy",
        IntegrationType::Mock => "mock",
        IntegrationType::Aws => "aws",
        IntegrationType::AwsProxy => "aws_proxy",
    };
    if integration.function.is_some() {
        unsaid.push(format!("{}: the function, which is Lua", route.key));
    }
    let mut written = json!({ "type": kind });
    if integration.kind != IntegrationType::Mock {
        written["httpMethod"] = integration.method.as_deref().unwrap_or("ANY").into();
    }
    if let Some(uri) = &integration.uri {
        written["uri"] = uri.as_str().into();
    }
    let mut responses = Map::new();
    for response in &integration.responses {
        let key = response.selection_pattern.as_deref().filter(|pattern| !pattern.is_empty()).unwrap_or("default");
        let mut member = json!({ "statusCode": response.status_code.to_string() });
        put_texts(&mut member, "responseParameters", &response.response_parameters);
        put_templates(&mut member, "responseTemplates", &response.response_templates, route, unsaid);
        put_word(&mut member, "contentHandling", &response.content_handling);
        responses.insert(key.to_owned(), member);
    }
    if !responses.is_empty() {
        written["responses"] = responses.into();
    }
    put_texts(&mut written, "requestParameters", &integration.request_parameters);
    put_templates(&mut written, "requestTemplates", &integration.request_templates, route, unsaid);
    if !integration.response_parameters.is_empty() {
        written["responseParameters"] = serde_json::to_value(&integration.response_parameters).unwrap_or_default();
    }
    let passthrough = serde_json::to_value(integration.passthrough_behavior).unwrap_or_default();
    written["passthroughBehavior"] = passthrough;
    put_word(&mut written, "contentHandling", &integration.content_handling);
    if let Some(timeout_ms) = integration.timeout_ms.filter(|timeout_ms| *timeout_ms != TIMEOUT_MS_MAX) {
        written["timeoutInMillis"] = timeout_ms.into();
    }
    if let Some(format) = integration.payload_format_version {
        written["payloadFormatVersion"] = if format == PayloadFormat::V1 { "1.0" } else { "2.0" }.into();
    }
    if integration.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verification) {
        written["tlsConfig"] = json!({ "insecureSkipVerification": true });
    }
    written
}

fn put_texts(target: &mut Value, name: &str, texts: &IndexMap<String, String>) {
    if !texts.is_empty() {
        target[name] =
            texts.iter().map(|(key, text)| (key.clone(), text.as_str().into())).collect::<Map<_, _>>().into();
    }
}

/// Templates that are texts; others are Lua, which AWS does not run.
fn put_templates(
    target: &mut Value,
    name: &str,
    templates: &IndexMap<String, TemplateConfig>,
    route: &RouteConfig,
    unsaid: &mut Unsaid,
) {
    let mut written = Map::new();
    for (media_type, template) in templates {
        match &template.text {
            // In Velocity a text stands for itself, apart from what begins a reference or a directive.
            Some(text) => {
                written.insert(media_type.clone(), text.as_str().into());
            }
            None => unsaid.push(format!("{}: the template for {media_type}, which is Lua", route.key)),
        }
    }
    if !written.is_empty() {
        target[name] = written.into();
    }
}

fn put_word(target: &mut Value, name: &str, word: &Option<impl serde::Serialize>) {
    if let Some(word) = word {
        let text = serde_json::to_value(word).unwrap_or_default();
        target[name] = text.as_str().unwrap_or_default().to_ascii_uppercase().into();
    }
}

/// The security of an operation: its authorizer and its API key, both of which are needed.
pub(super) fn security(api: &ApiConfig, route: &RouteConfig) -> Option<Value> {
    let name = route.authorizer.as_ref().or(api.default_authorizer.as_ref()).filter(|name| *name != "none");
    let mut needed = Map::new();
    if let Some(name) = name {
        needed.insert(name.clone(), route.authorization_scopes.clone().into());
    }
    if route.api_key_required {
        needed.insert(API_KEY.to_owned(), json!([]));
    }
    (!needed.is_empty()).then(|| json!([needed]))
}

/// `components.securitySchemes`. Those that only Moongate enforces have no place among AWS's.
pub(super) fn security_schemes(api: &ApiConfig, extensions: Extensions) -> Option<Value> {
    if extensions == Extensions::Moongate {
        return None;
    }
    let mut schemes: Map<String, Value> =
        api.authorizers.iter().map(|(name, authorizer)| (name.clone(), scheme(authorizer))).collect();
    if api.routes.iter().any(|route| route.api_key_required) {
        schemes.insert(API_KEY.to_owned(), json!({ "type": "apiKey", "name": "x-api-key", "in": "header" }));
    }
    (!schemes.is_empty()).then(|| schemes.into())
}

fn scheme(authorizer: &AuthorizerConfig) -> Value {
    let source = authorizer.identity_source.first().map_or("", String::as_str);
    let header = source.rsplit_once("header.").map_or("Authorization", |(_, name)| name);
    let mut written = json!({ "type": "apiKey", "name": header, "in": "header" });
    let (authtype, kind) = match authorizer.kind {
        AuthorizerType::Cognito => ("cognito_user_pools", "cognito_user_pools"),
        AuthorizerType::AwsIam => {
            written["x-amazon-apigateway-authtype"] = "awsSigv4".into();
            return written;
        }
        AuthorizerType::Jwt => ("jwt", "jwt"),
        AuthorizerType::Lambda | AuthorizerType::Lua if authorizer.identity_source.len() > 1 => ("custom", "request"),
        AuthorizerType::Lambda | AuthorizerType::Lua => ("custom", "token"),
    };
    written["x-amazon-apigateway-authtype"] = authtype.into();
    let mut member = json!({ "type": kind });
    if let Some(uri) = &authorizer.uri {
        match authorizer.kind {
            AuthorizerType::Cognito => member["providerARNs"] = json!([uri]),
            AuthorizerType::Jwt => member["jwtConfiguration"] = json!({ "issuer": uri }),
            _ => member["authorizerUri"] = uri.as_str().into(),
        }
    }
    if !authorizer.identity_source.is_empty() {
        member["identitySource"] = authorizer.identity_source.join(", ").into();
    }
    if let Some(expression) = &authorizer.identity_validation_expression {
        member["identityValidationExpression"] = expression.as_str().into();
    }
    written["x-amazon-apigateway-authorizer"] = member;
    written
}

/// `x-amazon-apigateway-request-validators`.
pub(super) fn validators(api: &ApiConfig, document: &mut Value) {
    if api.request_validators.is_empty() {
        return;
    }
    let written: Map<String, Value> = api
        .request_validators
        .iter()
        .map(|(name, validator)| {
            let written = json!({
                "validateRequestParameters": validator.validate_request_parameters,
                "validateRequestBody": validator.validate_request_body,
            });
            (name.clone(), written)
        })
        .collect();
    document["x-amazon-apigateway-request-validators"] = written.into();
}

/// `x-amazon-apigateway-binary-media-types`.
pub(super) fn binary_media_types(api: &ApiConfig, document: &mut Value) {
    if !api.binary_media_types.is_empty() {
        document["x-amazon-apigateway-binary-media-types"] = api.binary_media_types.clone().into();
    }
}

/// What belongs to the whole API.
pub(super) fn settings(api: &ApiConfig, document: &mut Value) {
    validators(api, document);
    binary_media_types(api, document);
    if !api.gateway_responses.is_empty() {
        let mut written = Map::new();
        for (kind, response) in &api.gateway_responses {
            let kind = serde_json::to_value(kind).unwrap_or_default();
            let mut member = json!({});
            if let Some(status) = response.status_code {
                member["statusCode"] = status.into();
            }
            put_texts(&mut member, "responseParameters", &response.response_parameters);
            put_texts(&mut member, "responseTemplates", &response.response_templates);
            written.insert(kind.as_str().unwrap_or_default().to_owned(), member);
        }
        document["x-amazon-apigateway-gateway-responses"] = written.into();
    }
    if let Some(cors) = &api.cors {
        let mut written = json!({ "allowOrigins": cors.allow_origins });
        for (name, list) in [
            ("allowMethods", &cors.allow_methods),
            ("allowHeaders", &cors.allow_headers),
            ("exposeHeaders", &cors.expose_headers),
        ] {
            if !list.is_empty() {
                written[name] = list.clone().into();
            }
        }
        if cors.allow_credentials {
            written["allowCredentials"] = true.into();
        }
        if let Some(seconds) = cors.max_age_seconds {
            written["maxAge"] = seconds.into();
        }
        document["x-amazon-apigateway-cors"] = written;
    }
}
