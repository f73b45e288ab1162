//! Stage 10, map_response: the integration response becomes the method response.
//!
//! *Reads* the integration response, the overrides of templates. *Writes* the method response. *May end with* 500
//! `API_CONFIGURATION_ERROR`, 502 `INTEGRATION_FAILURE`. *Limits*: the scripts' budgets; a body that a template reads at most
//! `limits.buffered_body_bytes_max`. *Source*: API Gateway, "Integration response".

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use moongate_exchange::{Body, BodyError, Caller, Exchange, Exit, Headers, Kind, Rejection, Response};
use moongate_lua::Outside;

use crate::pipeline::aws::{self, Fate};
use crate::pipeline::content::{self, Content, Sides};
use crate::pipeline::integrate::{Answered, Selector};
use crate::pipeline::{lookup, plugins, script, template};
use crate::plan::{
    Action, FunctionForm, FunctionPlan, IntegrationPlan, Mapping, Place, ResponsePlan, Responses, RoutePlan, SitePlan,
    TemplatePlan,
};
use crate::recorder::{Event, Record};

pub(super) async fn build<R: Record>(
    site: &SitePlan,
    route: &RoutePlan,
    _caller: &Caller,
    exchange: &mut Exchange,
    answered: Answered,
    outside: &impl Outside,
    record: &mut R,
) -> Result<Response, Exit> {
    record.note(Event::IntegrationResponse(&answered.response));
    let mapping = match &route.integration {
        IntegrationPlan::Http(plan) => Some(&plan.responses),
        IntegrationPlan::Mock(plan) => Some(&plan.responses),
        IntegrationPlan::Function(FunctionPlan { form: FunctionForm::Mapped { responses, .. }, .. }) => Some(responses),
        _ => None,
    };
    let mut response = match (mapping, &route.integration) {
        (Some(responses), _) => map(site, route, responses, exchange, answered, record).await?,
        (None, IntegrationPlan::HttpProxy(plan)) => {
            let mut response = answered.response;
            if site.is_aws_rest() {
                aws::pass_answer(&mut response.headers);
            }
            change(plan.changes_for(response.status.as_u16()), exchange, &mut response)?;
            response
        }
        (None, _) => answered.response,
    };
    plugins::response(route, exchange, &mut response, outside).await?;
    plugins::stream(route, &mut response)?;
    if let Some(overrides) = exchange.overrides.take() {
        for (name, value) in &overrides.response_headers {
            if let Some((name, value)) = field(site, exchange, name, value)? {
                response.headers.set(name, value);
            }
        }
        // A final answer has a final status (RFC 9110 section 15.2).
        let status = overrides.response_status.filter(|status| !status.is_informational());
        response.status = status.unwrap_or(response.status);
        exchange.overrides = Some(overrides);
    }
    Ok(response)
}

/// Changes an answer that passes, as HTTP APIs do. Bodies are not read for it: they stream.
fn change(changes: &[Mapping], exchange: &Exchange, response: &mut Response) -> Result<(), Rejection> {
    let nothing = Bytes::new();
    for mapping in changes {
        let answer = lookup::Answer { headers: &response.headers, body: &nothing };
        let Some(value) = lookup::value(&mapping.source, exchange, Some(answer)).map(Cow::into_owned) else { continue };
        if mapping.place == Place::Status {
            let status = value.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
            response.status = status.filter(|status| !status.is_informational()).unwrap_or(response.status);
            continue;
        }
        let Some((name, value)) = plain_field(&mapping.name, &value)? else { continue };
        match mapping.action {
            Action::Append => response.headers.append(name, value),
            Action::Overwrite => response.headers.set(name, value),
            Action::Remove => {
                response.headers.remove(name);
            }
        }
    }
    Ok(())
}

/// Selects a mapping by the integration's status, number or error and makes the client's answer with it.
async fn map<R: Record>(
    site: &SitePlan,
    route: &RoutePlan,
    responses: &Responses,
    exchange: &mut Exchange,
    answered: Answered,
    record: &mut R,
) -> Result<Response, Exit> {
    let Answered { response: Response { status, headers, body }, selector } = answered;
    let selector: Cow<'_, str> = match &selector {
        Selector::Status => Cow::Borrowed(status.as_str()),
        Selector::Number(number) => Cow::Owned(number.to_string()),
        Selector::Message(message) => Cow::Borrowed(message),
    };
    let Some(plan) = responses.select(&selector) else {
        let detail = format!("no integration response matches `{selector}`, and there is none without a pattern");
        return Err(Rejection::new(Kind::ApiConfigurationError, detail).into());
    };
    record.note(Event::Selected(&selector, plan.status));
    let reads_body = responses.reads_body();
    let (received, body) = if reads_body {
        (body.collect(route.buffer_bytes_max).await.map_err(broken_body)?, Body::Empty)
    } else {
        (Bytes::new(), body)
    };
    if reads_body {
        record.note(Event::IntegrationBody(&received));
    }
    let mut integration = Response { status, headers, body: Body::Empty };
    let mut mapped = Response::new(plan.status);
    set_headers(site, plan, exchange, &integration.headers, &received, &mut mapped.headers)?;
    let content = if reads_body {
        convert(site, plan, exchange, &integration, received)?
    } else {
        Content { body: Bytes::new(), is_binary: false }
    };
    let accept = exchange.request.headers.text(ACCEPT).map(str::to_owned);
    let chosen = template::for_response(&plan.templates, accept.as_deref());
    if chosen.is_some() && content.is_binary && site.is_aws() {
        return Err(content::template_on_bytes().into());
    }
    let content_type = match chosen {
        Some((media_type, _)) => HeaderValue::from_str(media_type).ok(),
        None => integration.headers.get(CONTENT_TYPE).cloned(),
    };
    mapped.headers.set_if_absent(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/json")));
    mapped.body = match chosen {
        Some((_, template)) => render(route, template, exchange, &mut integration, &content.body)?.into(),
        None if reads_body => content.body.into(),
        None => body,
    };
    Ok(mapped)
}

/// The body as its media type, the client's wish and the declared handling ask for it.
fn convert(
    site: &SitePlan,
    plan: &ResponsePlan,
    exchange: &Exchange,
    integration: &Response,
    body: Bytes,
) -> Result<Content, Rejection> {
    if !site.is_aws_rest() && plan.content.is_none() {
        return Ok(Content { body, is_binary: false });
    }
    let is_binary =
        template::stated_type(&integration.headers).is_some_and(|media_type| site.binary.contain(&media_type));
    let wanted = template::accepted(&exchange.request.headers);
    let wants_binary = wanted.is_some_and(|media_type| site.binary.contain(&media_type));
    let sides = Sides { is_binary, wants_binary: Some(wants_binary), is_text_otherwise: site.is_aws_rest() };
    content::convert(plan.content, sides, body)
}

fn set_headers(
    site: &SitePlan,
    plan: &ResponsePlan,
    exchange: &Exchange,
    received: &Headers,
    body: &Bytes,
    headers: &mut Headers,
) -> Result<(), Rejection> {
    let answer = lookup::Answer { headers: received, body };
    for (name, source) in &plan.headers {
        let value = lookup::resolve(source, exchange, Some(answer)).map_err(|_| {
            Rejection::new(Kind::ApiConfigurationError, "a part of the answer's body is mapped, and it is not JSON")
                .aws_error_type("InternalFailureException")
        })?;
        let Some(value) = value else { continue };
        if let Some((name, value)) = field(site, exchange, name.as_str(), &value)? {
            headers.set(name, value);
        }
    }
    Ok(())
}

fn render(
    route: &RoutePlan,
    template: &TemplatePlan,
    exchange: &mut Exchange,
    integration: &mut Response,
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

/// A header that a mapping or template sets on the answer, under the name it gets. `None`: it is not set.
fn field(
    site: &SitePlan,
    exchange: &Exchange,
    name: &str,
    value: &str,
) -> Result<Option<(HeaderName, HeaderValue)>, Rejection> {
    if !site.is_aws_rest() {
        return plain_field(name, value);
    }
    let refused = || unsendable(name);
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    match aws::fate(parsed, exchange.version) {
        Fate::Kept(name) | Fate::Renamed(name) => {
            Ok(Some((name, HeaderValue::from_str(value).map_err(|_| refused())?)))
        }
        Fate::Dropped => Ok(None),
    }
}

fn plain_field(name: &str, value: &str) -> Result<Option<(HeaderName, HeaderValue)>, Rejection> {
    let refused = || unsendable(name);
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    if name == CONTENT_LENGTH || crate::pipeline::is_connection_field(&name) {
        return Err(Rejection::new(Kind::ApiConfigurationError, format!("response header `{name}` cannot be set")));
    }
    Ok(Some((name, HeaderValue::from_str(value).map_err(|_| refused())?)))
}

fn unsendable(name: &str) -> Rejection {
    Rejection::new(Kind::ApiConfigurationError, format!("the value for response header `{name}` cannot be sent"))
}

/// The rejection of a request whose integration broke its answer off while the gateway read it.
fn broken_body(error: BodyError) -> Rejection {
    let detail = format!("the integration's answer cannot be mapped: {error}");
    let kind = if matches!(error, BodyError::TimedOut) { Kind::IntegrationTimeout } else { Kind::IntegrationFailure };
    Rejection::new(kind, detail).source(error)
}
