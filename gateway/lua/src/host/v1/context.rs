//! `context`: what is known about the request, in API Gateway's words, and the overrides that templates write.
//!
//! Names and values are those of `moongate_exchange::context`, which mappings and access logs use too. Values are computed when
//! they are asked for; unknown names are nil.

use http::StatusCode;
use indexmap::IndexMap;
use mlua::{Lua, Table};
use moongate_exchange::{Overrides, Scalar, context};

use super::{fields, request};
use crate::host::function::Field;
use crate::host::{Answer, Answered, Call, Draft, Noun};
use crate::run::{Phase, Run};
use crate::stack::Value;

/// Most entries of one kind of override.
const OVERRIDES_MAX: usize = 100;

/// Longest name or value of an override, in bytes.
const OVERRIDE_BYTES_MAX: usize = 8 * 1024;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "context",
    about: "What is known about the request, in API Gateway's words (`$context`). Unknown names are nil. What templates override \
            is written here too.",
    functions: &[],
    fields: &[
        field("requestId", "string", "the request's id, as in `x-request-id`"),
        field("apiId", "string?", "the API"),
        field("stage", "string?", "the stage"),
        field("routeKey", "string?", "the route: `GET /pets/{id}`"),
        field("resourcePath", "string?", "the route's path"),
        field("httpMethod", "string", "the client's method"),
        field("path", "string", "the client's path"),
        field("protocol", "string", "`HTTP/1.1` and the like"),
        field("domainName", "string?", "the host the client asked for"),
        field("requestTime", "string", "when the request came, in the Common Log Format"),
        field("requestTimeEpoch", "number", "the same in milliseconds since 1970"),
        field(
            "identity",
            "{ sourceIp: string, userAgent: string?, apiKeyId: string? }",
            "the caller's connection and key",
        ),
        field("authorizer", "{ [string]: any }", "what an authorizer said: `principalId` and its own names"),
        field(
            "requestOverride",
            "{ header: { [string]: any }, path: { [string]: any }, querystring: { [string]: any } }",
            "in phase `map_request`: parameters of the integration request to set",
        ),
        field(
            "responseOverride",
            "{ header: { [string]: any }, status: number? }",
            "in phases `map_request` and `map_response`: headers and status of the answer to set",
        ),
    ],
    is_open: true,
};

const fn field(name: &'static str, luau: &'static str, about: &'static str) -> Field {
    Field { name, luau, about }
}

pub(super) fn install(lua: &Lua) -> mlua::Result<Table> {
    let request_override = Draft::new(lua)?
        .field("header", overrides::<RequestHeader>(lua)?)?
        .field("path", overrides::<RequestPath>(lua)?)?
        .field("querystring", overrides::<RequestQuery>(lua)?)?;
    let response_override = Draft::new(lua)?
        .field("header", overrides::<ResponseHeader>(lua)?)?
        .lookup(response_status)?
        .assignment(set_response_status)?;
    let noun = Draft::new(lua)?
        .field("identity", Draft::new(lua)?.lookup(identity)?.finish())?
        .field("authorizer", Draft::new(lua)?.lookup(authorizer)?.finish())?
        .field("requestOverride", request_override.finish())?
        .field("responseOverride", response_override.finish())?
        .lookup(variable)?;
    Ok(noun.finish())
}

/// The name that was asked for. Other keys than strings are unknown names.
fn name_asked<'call>(call: &Call<'call, '_>) -> &'call str {
    match call.arguments.get(2) {
        Value::Text(name) => std::str::from_utf8(name).unwrap_or_default(),
        _ => "",
    }
}

/// An answer with the text of a variable as access logs and mappings have it, or nil.
fn text_of<'call>(run: &'call mut Run<'_>, name: &str) -> Answered<'call> {
    let mut output = std::mem::take(&mut run.buffers.output);
    output.clear();
    let variable = request::exchange(run, "context").map(|exchange| context::variable(exchange, name));
    let is_known = variable.map(|text| text.map(|text| output.extend_from_slice(text.as_bytes())).is_some());
    run.buffers.output = output;
    Ok(if is_known? { Answer::Output } else { Answer::Nil })
}

/// `context.NAME`.
fn variable<'call>(call: Call<'call, '_>) -> Answered<'call> {
    match name_asked(&call) {
        "requestTimeEpoch" => Ok(Answer::Number(request::exchange(call.run, "context")?.arrived_epoch_ms() as f64)),
        name => text_of(call.run, name),
    }
}

/// `context.identity.NAME`.
fn identity<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let name = match name_asked(&call) {
        "sourceIp" => "identity.sourceIp",
        "userAgent" => "identity.userAgent",
        "apiKeyId" => "identity.apiKeyId",
        _ => "identity.",
    };
    text_of(call.run, name)
}

/// `context.authorizer.NAME`: what an authorizer said, and whom it named.
fn authorizer<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let name = name_asked(&call);
    let exchange = &*request::exchange(call.run, "context.authorizer")?;
    let Some(caller) = &exchange.caller else { return Ok(Answer::Nil) };
    if name == "principalId" {
        let principal = caller.principal.as_deref();
        return Ok(principal.map_or(Answer::Nil, |principal| Answer::Text(principal.as_bytes())));
    }
    Ok(match caller.context.get(name) {
        Some(Scalar::Text(text)) => Answer::Text(text.as_bytes()),
        Some(Scalar::Number(number)) => Answer::Number(*number),
        Some(Scalar::Bool(truth)) => Answer::Boolean(*truth),
        None => Answer::Nil,
    })
}

/// One kind of override: `context.requestOverride.header` and its like.
trait Override: 'static {
    const NAME: &'static str;
    /// Where it may be written.
    const PHASES: &'static [Phase];
    const IS_HEADER: bool;

    fn entries(overrides: &mut Overrides) -> &mut IndexMap<Box<str>, Box<str>>;
}

struct RequestHeader;
struct RequestPath;
struct RequestQuery;
struct ResponseHeader;

impl Override for RequestHeader {
    const NAME: &'static str = "context.requestOverride.header";
    const PHASES: &'static [Phase] = &[Phase::MapRequest];
    const IS_HEADER: bool = true;

    fn entries(overrides: &mut Overrides) -> &mut IndexMap<Box<str>, Box<str>> {
        &mut overrides.request_headers
    }
}

impl Override for RequestPath {
    const NAME: &'static str = "context.requestOverride.path";
    const PHASES: &'static [Phase] = &[Phase::MapRequest];
    const IS_HEADER: bool = false;

    fn entries(overrides: &mut Overrides) -> &mut IndexMap<Box<str>, Box<str>> {
        &mut overrides.request_path
    }
}

impl Override for RequestQuery {
    const NAME: &'static str = "context.requestOverride.querystring";
    const PHASES: &'static [Phase] = &[Phase::MapRequest];
    const IS_HEADER: bool = false;

    fn entries(overrides: &mut Overrides) -> &mut IndexMap<Box<str>, Box<str>> {
        &mut overrides.request_query
    }
}

impl Override for ResponseHeader {
    const NAME: &'static str = "context.responseOverride.header";
    const PHASES: &'static [Phase] = &[Phase::MapRequest, Phase::MapResponse];
    const IS_HEADER: bool = true;

    fn entries(overrides: &mut Overrides) -> &mut IndexMap<Box<str>, Box<str>> {
        &mut overrides.response_headers
    }
}

fn overrides<O: Override>(lua: &Lua) -> mlua::Result<Table> {
    Ok(Draft::new(lua)?.lookup(read_override::<O>)?.assignment(write_override::<O>)?.finish())
}

/// An override that was written before, or nil.
fn read_override<'call, O: Override>(call: Call<'call, '_>) -> Answered<'call> {
    let name = name_asked(&call);
    let exchange = request::exchange(call.run, O::NAME)?;
    let Some(overrides) = exchange.overrides.as_deref_mut() else { return Ok(Answer::Nil) };
    let value = O::entries(overrides).get(name);
    Ok(value.map_or(Answer::Nil, |value| Answer::Text(value.as_bytes())))
}

/// Writes an override; nil takes it back.
fn write_override<'call, O: Override>(call: Call<'call, '_>) -> Answered<'call> {
    call.run.demand_phase(O::NAME, O::PHASES)?;
    let entry = override_entry::<O>(call.arguments.get(2), call.arguments.get(3));
    let (name, value) = entry.map_err(|why| call.run.refuse(format_args!("{}: {why}", O::NAME)))?;
    let entries = O::entries(request::exchange(call.run, O::NAME)?.overrides_mut());
    match value {
        None => drop(entries.shift_remove(&name)),
        Some(_) if entries.len() >= OVERRIDES_MAX && !entries.contains_key(&name) => {
            return Err(call.run.refuse(format_args!("{}: there are {OVERRIDES_MAX} entries already", O::NAME)));
        }
        Some(value) => drop(entries.insert(name, value)),
    }
    Ok(Answer::Nothing)
}

/// Checks what is to be written. The value is `None` for nil.
fn override_entry<O: Override>(key: Value<'_>, value: Value<'_>) -> Result<(Box<str>, Option<Box<str>>), String> {
    let Value::Text(key) = key else { return Err(format!("a name must be a string, not {}", key.type_name())) };
    let name = std::str::from_utf8(key).map_err(|_| "the name is not UTF-8".to_owned())?;
    if name.is_empty() || name.len() > OVERRIDE_BYTES_MAX || name.chars().any(char::is_control) {
        return Err("the name is empty, too long or holds a control character".to_owned());
    }
    if O::IS_HEADER {
        fields::name(key).map_err(|fault| fault.to_string())?;
    }
    let mut text = Vec::new();
    if let Value::Nil | Value::Null = value {
        return Ok((name.into(), None));
    }
    if !request::push_plain(value, &mut text) {
        return Err(format!("the value must be a string, not {}", value.type_name()));
    }
    let text = String::from_utf8(text).map_err(|_| "the value is not UTF-8".to_owned())?;
    if text.len() > OVERRIDE_BYTES_MAX || text.chars().any(|c| c.is_control() && c != '\t') {
        return Err("the value is too long or holds a line break or another control character".to_owned());
    }
    Ok((name.into(), Some(text.into())))
}

/// `context.responseOverride.status`.
fn response_status<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let name = name_asked(&call);
    let exchange = request::exchange(call.run, "context.responseOverride")?;
    let status = exchange.overrides.as_ref().and_then(|overrides| overrides.response_status);
    Ok(match status {
        Some(status) if name == "status" => Answer::Number(status.as_u16().into()),
        _ => Answer::Nil,
    })
}

/// `context.responseOverride.status = n`: ignored unless it is a whole number from 100 to 599, as API Gateway does.
fn set_response_status<'call>(call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "context.responseOverride";
    if name_asked(&call) != "status" {
        return Err(call.run.refuse(format_args!("{FUNCTION} has the fields `header` and `status` only")));
    }
    call.run.demand_phase("context.responseOverride.status", &[Phase::MapRequest, Phase::MapResponse])?;
    let value = call.arguments.get(3);
    let status = match value {
        Value::Number(number) => Some(number),
        Value::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    let is_status = |number: &f64| (100.0..600.0).contains(number) && number.trunc() == *number;
    if let Some(number) = status.filter(is_status) {
        let exchange = request::exchange(call.run, FUNCTION)?;
        exchange.overrides_mut().response_status = StatusCode::from_u16(number as u16).ok();
    }
    Ok(Answer::Nothing)
}
