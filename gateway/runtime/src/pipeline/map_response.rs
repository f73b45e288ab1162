//! Stage 10, map_response: the integration response becomes the method response.
//!
//! *Reads* the integration response, the overrides of templates. *Writes* the method response. *May end with* 500
//! `API_CONFIGURATION_ERROR`, 502 `INTEGRATION_FAILURE`. *Limits*: the scripts' budgets; a body that a template reads at most
//! `limits.buffered_body_bytes_max`. *Source*: API Gateway, "Integration response".

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use moongate_exchange::{Body, BodyError, Caller, Exchange, Exit, Headers, Kind, Rejection, Response};

use crate::pipeline::{lookup, script, template};
use crate::plan::{IntegrationPlan, ResponsePlan, Responses, RoutePlan, TemplatePlan};

pub(super) async fn build(
    route: &RoutePlan,
    _caller: &Caller,
    exchange: &mut Exchange,
    answered: Response,
) -> Result<Response, Exit> {
    let mut response = match &route.integration {
        IntegrationPlan::Http(plan) => map(route, &plan.responses, exchange, answered).await?,
        IntegrationPlan::Mock(plan) => map(route, &plan.responses, exchange, answered).await?,
        _ => answered,
    };
    for plugin in route.plugins.iter().filter(|plugin| plugin.on_response) {
        let mut vm = script::vm(route)?;
        vm.plugin_response(plugin.script, plugin.config, exchange, &mut response).map_err(script::failed)?;
    }
    if let Some(overrides) = exchange.overrides.take() {
        for (name, value) in &overrides.response_headers {
            let (name, value) = field(name, value)?;
            response.headers.set(name, value);
        }
        // A final answer has a final status (RFC 9110 section 15.2).
        let status = overrides.response_status.filter(|status| !status.is_informational());
        response.status = status.unwrap_or(response.status);
        exchange.overrides = Some(overrides);
    }
    Ok(response)
}

/// Selects a mapping by the integration's status and makes the client's answer with it.
async fn map(
    route: &RoutePlan,
    responses: &Responses,
    exchange: &mut Exchange,
    answered: Response,
) -> Result<Response, Exit> {
    let Some(plan) = responses.select(answered.status.as_str()) else {
        let detail = format!("no integration response matches status {}", answered.status.as_u16());
        return Err(Rejection::new(Kind::ApiConfigurationError, detail).into());
    };
    let reads_body = responses.reads_body();
    let Response { status, headers, body } = answered;
    let (bytes, body) = if reads_body {
        (body.collect(route.buffer_bytes_max).await.map_err(broken_body)?, Body::Empty)
    } else {
        (Bytes::new(), body)
    };
    let integration = Response { status, headers, body: Body::Empty };
    let mut mapped = Response::new(plan.status);
    set_headers(plan, exchange, &integration.headers, &bytes, &mut mapped.headers)?;
    let accept = exchange.request.headers.text(ACCEPT).map(str::to_owned);
    let chosen = template::for_response(&plan.templates, accept.as_deref());
    let content_type = match chosen {
        Some((media_type, _)) => HeaderValue::from_str(media_type).ok(),
        None => integration.headers.get(CONTENT_TYPE).cloned(),
    };
    mapped.headers.set_if_absent(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/json")));
    mapped.body = match chosen {
        Some((_, template)) => render(route, template, exchange, &integration, &bytes)?.into(),
        None if reads_body => bytes.into(),
        None => body,
    };
    Ok(mapped)
}

fn set_headers(
    plan: &ResponsePlan,
    exchange: &Exchange,
    received: &Headers,
    body: &Bytes,
    headers: &mut Headers,
) -> Result<(), Rejection> {
    let answer = lookup::Answer { headers: received, body };
    for (name, source) in &plan.headers {
        let Some(value) = lookup::value(source, exchange, Some(answer)) else { continue };
        let (name, value) = field(name.as_str(), &value)?;
        headers.set(name, value);
    }
    Ok(())
}

fn render(
    route: &RoutePlan,
    template: &TemplatePlan,
    exchange: &mut Exchange,
    integration: &Response,
    body: &Bytes,
) -> Result<Bytes, Rejection> {
    match template {
        TemplatePlan::Text(text) => Ok(text.clone()),
        TemplatePlan::Script(id) => {
            let mapped = script::vm(route)?.map_response(*id, exchange, integration, body).map_err(script::failed)?;
            Ok(mapped.body)
        }
    }
}

/// A header that a mapping or template sets on the answer.
fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Rejection> {
    let refused = || {
        Rejection::new(Kind::ApiConfigurationError, format!("the value for response header `{name}` cannot be sent"))
    };
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    if name == CONTENT_LENGTH || crate::pipeline::is_connection_field(&name) {
        return Err(Rejection::new(Kind::ApiConfigurationError, format!("response header `{name}` cannot be set")));
    }
    Ok((name, HeaderValue::from_str(value).map_err(|_| refused())?))
}

/// The rejection of a request whose integration broke its answer off while the gateway read it.
fn broken_body(error: BodyError) -> Rejection {
    let detail = format!("the integration's answer cannot be mapped: {error}");
    let kind = if matches!(error, BodyError::TimedOut) { Kind::IntegrationTimeout } else { Kind::IntegrationFailure };
    Rejection::new(kind, detail).source(error)
}
