//! Stage 8, map_request: the method request becomes the integration request.
//!
//! *Reads* the method request, the [`Caller`]. *Writes* the integration request, the overrides of templates. *May end with* 400,
//! 415 `UNSUPPORTED_MEDIA_TYPE`, 500 `API_CONFIGURATION_ERROR`, or the answer of a plugin. *Limits*: the scripts' budgets.
//! *Source*: API Gateway, "Integration request", "Parameter mapping reference".

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use moongate_exchange::{Body, Caller, Exchange, Exit, Headers, Kind, Rejection, Request, Target, query};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::pipeline::{forward, lookup, script, template};
use crate::plan::{HttpPlan, IntegrationPlan, MockPlan, Place, RoutePlan, SitePlan, TemplatePlan, UriPart, UriPlan};

/// Everything but unreserved characters (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the integration is given.
pub(super) enum IntegrationRequest {
    /// A request for an upstream.
    Http(Request),
    /// The status a mock was told to answer with.
    Mock(u16),
    /// The event of a function.
    Event(Vec<u8>),
    /// Nothing: the route cannot be answered.
    None,
}

pub(super) fn build(
    site: &SitePlan,
    route: &RoutePlan,
    _caller: &Caller,
    exchange: &mut Exchange,
) -> Result<IntegrationRequest, Exit> {
    let mut request = match &route.integration {
        IntegrationPlan::HttpProxy(plan) => pass(route, plan, exchange)?,
        IntegrationPlan::Http(plan) => map(site, route, plan, exchange)?,
        IntegrationPlan::Mock(plan) => {
            run_plugins(route, exchange, &mut client_view(exchange))?;
            return mock(route, plan, exchange).map(IntegrationRequest::Mock);
        }
        IntegrationPlan::Lua(_) => {
            let mut view = client_view(exchange);
            run_plugins(route, exchange, &mut view)?;
            let body = exchange.request_body.clone().unwrap_or_default();
            let event = moongate_function::event::v2::event(exchange, &view.headers, &body, is_binary(&body));
            return Ok(IntegrationRequest::Event(event));
        }
        IntegrationPlan::Unavailable(_) => return Ok(IntegrationRequest::None),
    };
    run_plugins(route, exchange, &mut request)?;
    Ok(IntegrationRequest::Http(request))
}

/// The plugins' phase `request`, on whatever the integration is given. A plugin may answer instead.
fn run_plugins(route: &RoutePlan, exchange: &mut Exchange, request: &mut Request) -> Result<(), Exit> {
    for plugin in route.plugins.iter().filter(|plugin| plugin.on_request) {
        let answer = script::vm(route)?.plugin_request(plugin.script, plugin.config, exchange, request);
        if let Some(answer) = answer.map_err(script::failed)? {
            return Err(answer.into());
        }
    }
    Ok(())
}

/// The client's request as plugins see it where no upstream is asked.
fn client_view(exchange: &Exchange) -> Request {
    let request = &exchange.request;
    let (method, target, headers) = (request.method.clone(), request.target.clone(), request.headers.clone());
    Request { method, target, headers, body: Body::Empty }
}

/// `http_proxy`: the request as it came, addressed to the upstream, with mapped parameters.
fn pass(route: &RoutePlan, plan: &HttpPlan, exchange: &mut Exchange) -> Result<Request, Exit> {
    let mut query = Vec::new();
    let mut path = Vec::new();
    let mut mapped_headers = Vec::new();
    if !plan.parameters.is_empty() {
        collect(plan, exchange, &mut path, &mut query, &mut mapped_headers)?;
    }
    let target = target(plan, exchange, &path, exchange.request.target.query(), &query)?;
    let mut headers = if route.keeps_request_headers {
        exchange.request.headers.clone()
    } else {
        std::mem::take(&mut exchange.request.headers)
    };
    headers.remove(EXPECT);
    forward::address(&mut headers, &exchange.connection, exchange.id, &plan.upstream.authority);
    for (name, value) in mapped_headers {
        headers.set(name, value);
    }
    let body = match exchange.request_body.clone() {
        Some(bytes) => bytes.into(),
        None => std::mem::take(&mut exchange.request.body),
    };
    Ok(Request { method: method(plan, exchange), target, headers, body })
}

/// `http`: a new request with what is mapped, and a body that a template made or that passes.
fn map(site: &SitePlan, route: &RoutePlan, plan: &HttpPlan, exchange: &mut Exchange) -> Result<Request, Exit> {
    let template = template::for_request(&plan.templates, plan.passthrough, &exchange.request.headers)?;
    let received = &exchange.request.headers;
    let mut headers = Headers::new();
    headers.set(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(agent) = HeaderValue::try_from(format!("AmazonAPIGateway_{}", site.api_id)) {
        headers.set(USER_AGENT, agent);
    }
    let content_type = received.get(CONTENT_TYPE).cloned();
    headers.set(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/json")));
    let body = match template {
        Some(template) => render(route, template, exchange)?.into(),
        None => match exchange.request_body.clone() {
            Some(bytes) => bytes.into(),
            None => std::mem::take(&mut exchange.request.body),
        },
    };
    let (mut path, mut query, mut mapped_headers) = (Vec::new(), Vec::new(), Vec::new());
    collect(plan, exchange, &mut path, &mut query, &mut mapped_headers)?;
    let target = target(plan, exchange, &path, None, &query)?;
    forward::address(&mut headers, &exchange.connection, exchange.id, &plan.upstream.authority);
    for (name, value) in mapped_headers {
        headers.set(name, value);
    }
    let method = method(plan, exchange);
    // A body without a meaning (RFC 9110 section 9.3.1) that no client sent is not sent on.
    let body = if matches!(method, Method::GET | Method::HEAD) && template.is_none() { Body::Empty } else { body };
    Ok(Request { method, target, headers, body })
}

fn mock(route: &RoutePlan, plan: &MockPlan, exchange: &mut Exchange) -> Result<u16, Exit> {
    let Some(template) = template::for_request(&plan.templates, plan.passthrough, &exchange.request.headers)? else {
        return Ok(200);
    };
    let rendered = render(route, template, exchange)?;
    let refused = || Rejection::new(Kind::ApiConfigurationError, "the mock's request template gave no `statusCode`");
    mock_status(&rendered).ok_or_else(|| refused().into())
}

/// The whole number behind `statusCode` in a JSON object, also where the key is not quoted (source: recorded AWS behaviour).
fn mock_status(rendered: &[u8]) -> Option<u16> {
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(rendered) {
        return value.get("statusCode")?.as_u64()?.try_into().ok();
    }
    let text = std::str::from_utf8(rendered).ok()?.trim().strip_prefix('{')?.strip_suffix('}')?;
    let member = text.split(',').find_map(|member| {
        let (key, value) = member.split_once(':')?;
        (key.trim().trim_matches(['"', '\'']) == "statusCode").then_some(value)
    })?;
    member.trim().parse().ok()
}

/// Runs a template on the request's body.
fn render(route: &RoutePlan, template: &TemplatePlan, exchange: &mut Exchange) -> Result<Bytes, Exit> {
    match template {
        TemplatePlan::Text(text) => Ok(text.clone()),
        TemplatePlan::Script(id) => {
            let body = exchange.request_body.clone().unwrap_or_default();
            let mapped = script::vm(route)?.map_request(*id, exchange, &body).map_err(script::failed)?;
            Ok(mapped.body)
        }
    }
}

fn method(plan: &HttpPlan, exchange: &Exchange) -> Method {
    plan.method.clone().unwrap_or_else(|| exchange.request.method.clone())
}

type Pairs = Vec<(Box<str>, String)>;
type Fields = Vec<(HeaderName, HeaderValue)>;

/// Evaluates the parameter mappings; overrides of templates come before, as in AWS.
fn collect(
    plan: &HttpPlan,
    exchange: &Exchange,
    path: &mut Pairs,
    query: &mut Pairs,
    headers: &mut Fields,
) -> Result<(), Exit> {
    let field = |name: &str, value: &str| -> Result<(HeaderName, HeaderValue), Rejection> {
        let refused =
            || Rejection::new(Kind::BadRequestParameters, format!("the value for header `{name}` cannot be sent"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        if name == CONTENT_LENGTH || crate::pipeline::is_connection_field(&name) {
            return Err(Rejection::new(Kind::ApiConfigurationError, format!("header `{name}` cannot be mapped")));
        }
        Ok((name.clone(), HeaderValue::from_str(value).map_err(|_| refused())?))
    };
    if let Some(overrides) = &exchange.overrides {
        let encoded = |value: &str| utf8_percent_encode(value, ENCODED).to_string();
        path.extend(overrides.request_path.iter().map(|(name, value)| (name.clone(), encoded(value))));
        query.extend(overrides.request_query.iter().map(|(name, value)| (name.clone(), value.to_string())));
        for (name, value) in &overrides.request_headers {
            headers.push(field(name, value)?);
        }
    }
    for mapping in &plan.parameters {
        let Some(value) = lookup::value(&mapping.source, exchange, None) else { continue };
        match mapping.place {
            Place::Path => {
                // A path parameter is encoded as it came; anything else is not.
                let is_encoded = matches!(mapping.source, crate::plan::ValueSource::Path(_));
                let value =
                    if is_encoded { value.into_owned() } else { utf8_percent_encode(&value, ENCODED).to_string() };
                path.push((mapping.name.clone(), value));
            }
            Place::Query => query.push((mapping.name.clone(), value.into_owned())),
            Place::Header => headers.push(field(&mapping.name, &value)?),
        }
    }
    Ok(())
}

/// The upstream's path and query.
fn target(
    plan: &HttpPlan,
    exchange: &Exchange,
    path: &Pairs,
    received_query: Option<&str>,
    query: &Pairs,
) -> Result<Target, Exit> {
    let received = &exchange.request.target;
    let mut text = String::with_capacity(received.as_str().len() + 64);
    match &plan.uri {
        UriPlan::Append(base) => {
            let route_path = exchange.route_path();
            if base.is_empty() && query.is_empty() && route_path.len() == received.path().len() {
                return Ok(received.clone());
            }
            text.push_str(base);
            text.push_str(route_path);
        }
        UriPlan::Template(parts) => {
            for part in parts {
                match part {
                    UriPart::Text(literal) => text.push_str(literal),
                    UriPart::Parameter(name) => match path.iter().rev().find(|(known, _)| known == name) {
                        // Behind `?` what separates parameters must not come out of a value.
                        Some((_, value)) if text.contains('?') => {
                            text.extend(utf8_percent_encode(&query::decode_segment(value), ENCODED));
                        }
                        Some((_, value)) => text.push_str(value),
                        // AWS leaves the hole as it is written; braces cannot stand in a path.
                        None => text.push_str(&format!("%7B{name}%7D")),
                    },
                }
            }
        }
    }
    let mut separator = if text.contains('?') { '&' } else { '?' };
    if let Some(received_query) = received_query.filter(|query| !query.is_empty()) {
        text.push(separator);
        text.push_str(received_query);
        separator = '&';
    }
    for (name, value) in query {
        text.push(separator);
        text.extend(utf8_percent_encode(name, ENCODED));
        text.push('=');
        text.extend(utf8_percent_encode(value, ENCODED));
        separator = '&';
    }
    let refused = |reason: String| Rejection::new(Kind::BadRequestParameters, reason);
    if path.is_empty() {
        return Target::from_normal(text).map_err(|error| refused(error.to_string()).into());
    }
    // A value that is filled into a path must not lead out of it.
    let target = Target::from_text(text.clone()).map_err(|error| refused(error.to_string()))?;
    if target.as_str() != text {
        return Err(refused(format!("a mapped value would change the upstream's path: {text}")).into());
    }
    Ok(target)
}

/// Whether a function gets a body as base64: when it is not text.
fn is_binary(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mock_takes_its_status_from_json_that_need_not_be_strict() {
        let cases = [
            (r#"{"statusCode": 200}"#, Some(200)),
            ("{statusCode: 418}", Some(418)),
            ("{'statusCode': 201, }", Some(201)),
            (r#"{"statusCode": "200"}"#, None),
            (r#"{"statusCode": 200"#, None),
            ("", None),
        ];
        for (rendered, want) in cases {
            assert_eq!(mock_status(rendered.as_bytes()), want, "{rendered}");
        }
    }
}
