//! Stage 8, map_request: the method request becomes the integration request.
//!
//! *Reads* the method request, the [`Caller`]. *Writes* the integration request, the overrides of templates. *May end with* 400,
//! 415 `UNSUPPORTED_MEDIA_TYPE`, 500 `API_CONFIGURATION_ERROR`, or the answer of a plugin. *Limits*: the scripts' budgets.
//! *Source*: API Gateway, "Integration request", "Parameter mapping reference".

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, UPGRADE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use moongate_config::integration::{ContentHandling, PayloadFormat};
use moongate_exchange::{Body, Caller, Exchange, Exit, Headers, Kind, Rejection, Request, Target, query};
use moongate_lua::Outside;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::pipeline::content::{self, Content, Sides};
use crate::pipeline::{aws, forward, lookup, mock, plugins, script, template};
use crate::plan::{
    Action, FunctionForm, FunctionPlan, HttpPlan, IntegrationPlan, Mapping, MockPlan, Place, RoutePlan, SitePlan,
    TemplatePlan, UriPart, UriPlan, ValueSource,
};
use crate::recorder::{Event, Record};

/// Everything but unreserved characters (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What cannot stand in a path (RFC 3986 section 3.3); `%` stays, for values that are encoded already.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What the integration is given.
pub(super) enum IntegrationRequest {
    /// A request for an upstream.
    Http(Request),
    /// The number a mock was told to answer with.
    Mock(i64),
    /// The event of a function.
    Event(Bytes),
    /// Nothing: the route cannot be answered.
    None,
}

impl IntegrationRequest {
    /// Shows it to whoever follows the request.
    pub(super) fn show(&self, route: &RoutePlan, record: &mut impl Record) {
        match (self, &route.integration) {
            (Self::Http(request), IntegrationPlan::Http(plan) | IntegrationPlan::HttpProxy(plan)) => {
                record.note(Event::UpstreamRequest(&plan.call.upstream, request));
            }
            (Self::Event(event), IntegrationPlan::Function(FunctionPlan { form: FunctionForm::Mapped { .. }, .. })) => {
                record.note(Event::FunctionEvent(event));
            }
            (Self::Event(event), _) => record.note(Event::ProxyEvent(event.len())),
            (Self::Mock(number), _) => record.note(Event::MockStatus(*number)),
            (_, IntegrationPlan::Unavailable { uri: Some(uri), .. }) => record.note(Event::Uri(uri)),
            _ => {}
        }
    }
}

pub(super) async fn build(
    site: &SitePlan,
    route: &RoutePlan,
    _caller: &Caller,
    exchange: &mut Exchange,
    outside: &impl Outside,
) -> Result<IntegrationRequest, Exit> {
    let Some(mapped) = plugins::map_request(route, exchange, outside).await? else {
        return make(site, route, exchange, false, outside).await;
    };
    // The integration request is made of what the plugins made; the method request stays what it is.
    let received = exchange.request_body.replace(mapped.body);
    let made = make(site, route, exchange, mapped.is_json, outside).await;
    exchange.request_body = received;
    made
}

async fn make(
    site: &SitePlan,
    route: &RoutePlan,
    exchange: &mut Exchange,
    is_json: bool,
    outside: &impl Outside,
) -> Result<IntegrationRequest, Exit> {
    let mut request = match &route.integration {
        IntegrationPlan::HttpProxy(plan) => pass(site, route, plan, exchange)?,
        IntegrationPlan::Http(plan) => map(site, route, plan, exchange)?,
        IntegrationPlan::Mock(plan) => {
            plugins::request(route, exchange, &mut client_view(exchange), outside).await?;
            return mock(route, plan, exchange).map(IntegrationRequest::Mock);
        }
        IntegrationPlan::Function(plan) => {
            if let Some(why) = &plan.refused {
                return Err(refused_mapping(why).into());
            }
            let mut view = client_view(exchange);
            plugins::request(route, exchange, &mut view, outside).await?;
            return event(site, route, plan, exchange, &view).map(IntegrationRequest::Event);
        }
        IntegrationPlan::Unavailable { .. } => return Ok(IntegrationRequest::None),
    };
    if is_json {
        request.headers.set(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    plugins::request(route, exchange, &mut request, outside).await?;
    Ok(IntegrationRequest::Http(request))
}

fn refused_mapping(why: &str) -> Rejection {
    Rejection::new(Kind::ApiConfigurationError, format!("what is mapped cannot be sent: {why}"))
}

/// What a function is given.
fn event(
    site: &SitePlan,
    route: &RoutePlan,
    plan: &FunctionPlan,
    exchange: &mut Exchange,
    view: &Request,
) -> Result<Bytes, Exit> {
    match &plan.form {
        FunctionForm::Proxy(format) => {
            let body = match &view.body {
                Body::Full(bytes) => bytes.clone(),
                Body::Empty | Body::Stream(_) | Body::Duplex(_) => Bytes::new(),
            };
            let stated = template::stated_type(&exchange.request.headers);
            let is_binary = stated.is_some_and(|media_type| site.binary.contain(&media_type)) || is_binary(&body);
            let mut headers = Cow::Borrowed(&view.headers);
            if site.is_aws() {
                aws::introduce(exchange, headers.to_mut());
            }
            let event = match format {
                PayloadFormat::V1 => moongate_function::event::v1::event(exchange, &headers, &body, is_binary),
                PayloadFormat::V2 => moongate_function::event::v2::event(exchange, &headers, &body, is_binary),
            };
            Ok(event.into())
        }
        FunctionForm::Mapped { templates, passthrough, content, .. } => {
            let template = template::for_request(templates, *passthrough, &exchange.request.headers)?;
            let event = mapped_body(site, route, template, *content, exchange)?;
            // Lambda takes nothing for an empty object.
            Ok(if event.is_empty() { Bytes::from_static(b"{}") } else { event })
        }
    }
}

/// The client's request as plugins see it where no upstream is asked.
fn client_view(exchange: &Exchange) -> Request {
    let request = &exchange.request;
    let (method, target, headers) = (request.method.clone(), request.target.clone(), request.headers.clone());
    Request { method, target, headers, body: exchange.request_body.clone().unwrap_or_default().into() }
}

/// `http_proxy`: the request as it came, addressed to the upstream, with mapped parameters.
fn pass(site: &SitePlan, route: &RoutePlan, plan: &HttpPlan, exchange: &mut Exchange) -> Result<Request, Exit> {
    let changes = if plan.parameters.is_empty() { Changes::default() } else { collect(site, plan, exchange)? };
    let target = target(plan, exchange, exchange.request.target.query(), &changes)?;
    let mut headers = if route.keeps_request_headers {
        exchange.request.headers.clone()
    } else {
        std::mem::take(&mut exchange.request.headers)
    };
    headers.remove(EXPECT);
    if site.is_aws_rest() {
        headers.remove(CONTENT_ENCODING);
    }
    allow_upgrade(route, exchange, &mut headers);
    forward::address(&mut headers, exchange, plan.call.authority.as_ref());
    changes.apply_headers(&mut headers);
    if site.is_aws_rest() {
        aws::mark(site, exchange, &mut headers);
    }
    let body = match exchange.request_body.clone() {
        Some(bytes) => convert(site, plan.content, exchange, bytes)?.body.into(),
        None => std::mem::take(&mut exchange.request.body),
    };
    Ok(Request { method: method(plan, exchange), target, headers, body })
}

/// Asks the upstream to go over to another protocol, where the client wants to and the route lets it. Fields of the connection that
/// stand in an integration request are the gateway's own: the client's were removed.
fn allow_upgrade(route: &RoutePlan, exchange: &mut Exchange, headers: &mut Headers) {
    let (Some(plan), Some(wanted)) = (&route.upgrade, &mut exchange.upgrade) else { return };
    let token = wanted.protocol.as_bytes();
    if plan.protocols.iter().any(|known| token.eq_ignore_ascii_case(known.as_bytes())) {
        headers.set(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.set(UPGRADE, wanted.protocol.clone());
        wanted.allowed = Some(plan.limits);
    }
}

/// `http`: a new request with what is mapped, and a body that a template made or that passes.
fn map(site: &SitePlan, route: &RoutePlan, plan: &HttpPlan, exchange: &mut Exchange) -> Result<Request, Exit> {
    let template = template::for_request(&plan.templates, plan.passthrough, &exchange.request.headers)?;
    let mut headers = Headers::new();
    headers.set(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(agent) = HeaderValue::try_from(format!("AmazonAPIGateway_{}", site.api_id)) {
        headers.set(USER_AGENT, agent);
    }
    let is_streamed = template.is_none() && exchange.request_body.is_none();
    let body: Body = if is_streamed {
        std::mem::take(&mut exchange.request.body)
    } else {
        mapped_body(site, route, template, plan.content, exchange)?.into()
    };
    match exchange.request.headers.get(CONTENT_TYPE) {
        Some(stated) => headers.set(CONTENT_TYPE, stated.clone()),
        None if !body.is_empty() => headers.set(CONTENT_TYPE, HeaderValue::from_static("application/json")),
        None => {}
    }
    let changes = collect(site, plan, exchange)?;
    let target = target(plan, exchange, None, &changes)?;
    forward::address(&mut headers, exchange, plan.call.authority.as_ref());
    changes.apply_headers(&mut headers);
    if site.is_aws_rest() {
        aws::mark(site, exchange, &mut headers);
    }
    let method = method(plan, exchange);
    // A body without a meaning (RFC 9110 section 9.3.1) that no client sent is not sent on.
    let body = if matches!(method, Method::GET | Method::HEAD) && template.is_none() { Body::Empty } else { body };
    Ok(Request { method, target, headers, body })
}

/// The body for an integration: converted, and mapped where there is a template.
fn mapped_body(
    site: &SitePlan,
    route: &RoutePlan,
    template: Option<&TemplatePlan>,
    handling: Option<ContentHandling>,
    exchange: &mut Exchange,
) -> Result<Bytes, Exit> {
    let received = exchange.request_body.clone().unwrap_or_default();
    let content = convert(site, handling, exchange, received)?;
    let Some(template) = template else { return Ok(content.body) };
    if content.is_binary && site.is_aws() {
        return Err(content::template_on_bytes().into());
    }
    render(route, template, exchange, content.body)
}

/// The request's body as its media type and the declared handling ask for it.
fn convert(
    site: &SitePlan,
    handling: Option<ContentHandling>,
    exchange: &Exchange,
    body: Bytes,
) -> Result<Content, Rejection> {
    let stated = template::stated_type(&exchange.request.headers);
    let is_binary = stated.is_some_and(|media_type| site.binary.contain(&media_type));
    let sides = Sides { is_binary, wants_binary: None, is_text_otherwise: site.is_aws_rest() };
    content::convert(handling, sides, body)
}

fn mock(route: &RoutePlan, plan: &MockPlan, exchange: &mut Exchange) -> Result<i64, Exit> {
    let Some(template) = template::for_request(&plan.templates, plan.passthrough, &exchange.request.headers)? else {
        return Ok(200);
    };
    let body = exchange.request_body.clone().unwrap_or_default();
    let rendered = render(route, template, exchange, body)?;
    let refused = || Rejection::new(Kind::ApiConfigurationError, "the mock's request template gave no `statusCode`");
    mock::status(&rendered).ok_or_else(|| refused().into())
}

/// Runs a template on the request's body.
fn render(route: &RoutePlan, template: &TemplatePlan, exchange: &mut Exchange, body: Bytes) -> Result<Bytes, Exit> {
    match template {
        TemplatePlan::Text(text) => Ok(text.clone()),
        TemplatePlan::Script(id) => {
            let mapped = script::vm(route)?.map_request(*id, exchange, &body).map_err(script::failed)?;
            Ok(mapped.body)
        }
    }
}

fn method(plan: &HttpPlan, exchange: &Exchange) -> Method {
    plan.method.clone().unwrap_or_else(|| exchange.request.method.clone())
}

/// What mappings and templates change about a request.
#[derive(Default)]
struct Changes {
    /// Values for holes in the URI, percent-encoded. The last of a name counts.
    path: Vec<(Box<str>, String)>,
    whole_path: Option<String>,
    /// Whether something else than parameters of the request's own path, which is in normal form, goes into the path.
    has_foreign_path: bool,
    query: Vec<(Action, Box<str>, String)>,
    headers: Vec<(Action, HeaderName, HeaderValue)>,
}

impl Changes {
    fn apply_headers(&self, headers: &mut Headers) {
        for (action, name, value) in &self.headers {
            match action {
                Action::Append => headers.append(name, value.clone()),
                Action::Overwrite => headers.set(name, value.clone()),
                Action::Remove => {
                    headers.remove(name);
                }
            }
        }
    }

    fn header(
        &mut self,
        site: &SitePlan,
        action: Action,
        (field, name): (Option<HeaderName>, &str),
        value: &str,
    ) -> Result<(), Rejection> {
        let refused =
            || Rejection::new(Kind::BadRequestParameters, format!("the value for header `{name}` cannot be sent"));
        let field = field.ok_or_else(refused)?;
        if field == CONTENT_LENGTH || crate::pipeline::is_connection_field(&field) {
            // AWS's REST APIs take such a mapping and send nothing; those that they refuse were found when it was compiled.
            return if site.is_aws_rest() { Ok(()) } else { Err(refused_mapping(name)) };
        }
        self.headers.push((action, field, HeaderValue::from_str(value).map_err(|_| refused())?));
        Ok(())
    }
}

/// Evaluates the parameter mappings, and then what templates override: overrides come last and are final (source: API Gateway,
/// "Override your API's request and response parameters").
fn collect(site: &SitePlan, plan: &HttpPlan, exchange: &Exchange) -> Result<Changes, Exit> {
    if let Some(name) = &plan.refused_field {
        return Err(refused_mapping(name).into());
    }
    let mut changes = Changes::default();
    for mapping in &plan.parameters {
        evaluate(site, mapping, exchange, &mut changes)?;
    }
    if let Some(overrides) = &exchange.overrides {
        for (name, value) in &overrides.request_path {
            changes.path.push((name.clone(), utf8_percent_encode(value, ENCODED).to_string()));
            changes.has_foreign_path = true;
        }
        for (name, value) in &overrides.request_query {
            changes.query.retain(|(_, known, _)| known != name);
            changes.query.push((Action::Overwrite, name.clone(), value.to_string()));
        }
        for (name, value) in &overrides.request_headers {
            let field = HeaderName::from_bytes(name.as_bytes()).ok();
            changes.header(site, Action::Overwrite, (field, name), value)?;
        }
    }
    Ok(changes)
}

fn evaluate(site: &SitePlan, mapping: &Mapping, exchange: &Exchange, changes: &mut Changes) -> Result<(), Rejection> {
    let not_json = |_| {
        Rejection::new(Kind::BadRequestBody, "a part of the body is mapped, and the body is not JSON")
            .public("Invalid JSON in request body")
    };
    let name = &mapping.name;
    if mapping.place == Place::Query {
        let mut values = Vec::new();
        lookup::resolve_all(&mapping.source, exchange, |value| values.push(value.into_owned())).map_err(not_json)?;
        for (index, value) in values.into_iter().enumerate() {
            // The first of several values replaces, the others stand beside it.
            let action = if index > 0 { Action::Append } else { mapping.action };
            changes.query.push((action, name.clone(), value));
        }
        return Ok(());
    }
    let Some(value) = lookup::resolve(&mapping.source, exchange, None).map_err(not_json)? else { return Ok(()) };
    match mapping.place {
        Place::Path => {
            // A path parameter is encoded as it came; anything else is not.
            let is_encoded = matches!(mapping.source, ValueSource::Path(_));
            changes.has_foreign_path |= !is_encoded;
            let value = if is_encoded { value.into_owned() } else { utf8_percent_encode(&value, ENCODED).to_string() };
            changes.path.push((name.clone(), value));
        }
        Place::WholePath => changes.whole_path = Some(utf8_percent_encode(&value, PATH).to_string()),
        Place::Header => changes.header(site, mapping.action, (mapping.field.clone(), name), &value)?,
        Place::Query | Place::Status => {}
    }
    Ok(())
}

/// The upstream's path and query.
fn target(
    plan: &HttpPlan,
    exchange: &Exchange,
    received_query: Option<&str>,
    changes: &Changes,
) -> Result<Target, Exit> {
    let received = &exchange.request.target;
    let mut text = String::with_capacity(received.as_str().len() + 64);
    match (&plan.uri, &changes.whole_path) {
        (UriPlan::Append(base), whole) => {
            let route_path = whole.as_deref().unwrap_or_else(|| exchange.route_path());
            let is_untouched = whole.is_none() && base.is_empty() && changes.query.is_empty();
            if is_untouched && route_path.len() == received.path().len() {
                return Ok(received.clone());
            }
            text.push_str(base);
            push_path(&mut text, route_path);
        }
        (UriPlan::Template(_), Some(whole)) => push_path(&mut text, whole),
        (UriPlan::Template(parts), None) => fill(&mut text, parts, &changes.path),
    }
    push_query(&mut text, received_query, &changes.query);
    let refused = |reason: String| Rejection::new(Kind::BadRequestParameters, reason);
    if !changes.has_foreign_path && changes.whole_path.is_none() && fills_segments(plan) {
        return Target::from_normal(text).map_err(|error| refused(error.to_string()).into());
    }
    // A value that is filled into a path must not lead out of it.
    let target = Target::from_text(text.clone()).map_err(|error| refused(error.to_string()))?;
    if target.as_str() != text {
        return Err(refused(format!("a mapped value would change the upstream's path: {text}")).into());
    }
    Ok(target)
}

/// Whether every hole of a URI is a segment of its own: then a segment of a normal path can be nothing else in it.
fn fills_segments(plan: &HttpPlan) -> bool {
    let UriPlan::Template(parts) = &plan.uri else { return true };
    parts.iter().enumerate().all(|(index, part)| {
        let UriPart::Parameter(_) = part else { return true };
        let before = index.checked_sub(1).and_then(|before| parts.get(before));
        let starts = matches!(before, Some(UriPart::Text(text)) if text.ends_with('/'));
        let ends = match parts.get(index + 1) {
            None => true,
            Some(UriPart::Text(text)) => text.starts_with(['/', '?']),
            Some(UriPart::Parameter(_)) => false,
        };
        starts && ends
    })
}

fn push_path(text: &mut String, path: &str) {
    if !path.starts_with('/') {
        text.push('/');
    }
    text.push_str(path);
}

/// Fills the holes of a URI.
fn fill(text: &mut String, parts: &[UriPart], values: &[(Box<str>, String)]) {
    for part in parts {
        match part {
            UriPart::Text(literal) => text.push_str(literal),
            UriPart::Parameter(name) => match values.iter().rev().find(|(known, _)| known == name) {
                // Behind `?` what separates parameters must not come out of a value.
                Some((_, value)) if text.contains('?') => {
                    text.extend(utf8_percent_encode(&query::decode_segment(value), ENCODED));
                }
                Some((_, value)) => text.push_str(value),
                // AWS leaves the hole as it is written; braces cannot stand in a path.
                None => {
                    text.push_str("%7B");
                    text.extend(utf8_percent_encode(name, ENCODED));
                    text.push_str("%7D");
                }
            },
        }
    }
}

/// Adds the received query, without what is replaced or removed, and the mapped parameters.
fn push_query(text: &mut String, received: Option<&str>, changes: &[(Action, Box<str>, String)]) {
    let mut separator = if text.contains('?') { '&' } else { '?' };
    let is_replaced =
        |name: &str| changes.iter().any(|(action, known, _)| *action != Action::Append && **known == *name);
    let received = received.filter(|query| !query.is_empty()).unwrap_or_default();
    if !received.is_empty() && changes.iter().all(|(action, ..)| *action == Action::Append) {
        text.push(separator);
        text.push_str(received);
        separator = '&';
    } else {
        for pair in received.split('&').filter(|pair| !pair.is_empty()) {
            if query::parameters(pair).next().is_some_and(|(name, _)| !is_replaced(&name)) {
                text.push(separator);
                text.push_str(pair);
                separator = '&';
            }
        }
    }
    for (_, name, value) in changes.iter().filter(|(action, ..)| *action != Action::Remove) {
        text.push(separator);
        text.extend(utf8_percent_encode(name, ENCODED));
        text.push('=');
        text.extend(utf8_percent_encode(value, ENCODED));
        separator = '&';
    }
}

/// Whether a function gets a body as base64: when it is not text.
fn is_binary(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_err()
}
