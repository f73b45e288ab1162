//! `request`: the method request; for plugins in phase `request` the integration request, which they may change.

use moongate_exchange::{Body, Exchange, Headers, Request, query};

use super::fields;
use crate::host::{Answer, Answered, Call, Noun, Refused};
use crate::run::{Message, Phase, Run};
use crate::stack::Value;

pub(super) fn install(lua: &mlua::Lua) -> mlua::Result<mlua::Table> {
    let noun = Noun::new(lua)?
        .function("header", header)?
        .function("method", method)?
        .function("path", path)?
        .function("raw_query", raw_query)?
        .function("query", query_value)?
        .function("path_parameter", path_parameter)?
        .function("client_header", client_header)?
        .function("client_ip", client_ip)?
        .function("body", body)?
        .function("set_header", set_header)?
        .function("add_header", add_header)?
        .function("remove_header", remove_header)?;
    Ok(noun.finish())
}

/// Refuses while a script is loaded, when there is no request yet.
pub(super) fn demand_exchange(run: &mut Run<'_>, function: &str) -> Result<(), Refused> {
    if run.exchange.is_some() {
        return Ok(());
    }
    Err(run.refuse(format_args!("{function}: there is no request while a script is loaded")))
}

/// The exchange, outside of loading.
pub(super) fn exchange<'call>(run: &'call mut Run<'_>, function: &str) -> Result<&'call mut Exchange, Refused> {
    demand_exchange(run, function)?;
    run.exchange.as_deref_mut().ok_or(Refused)
}

/// The request that is read: what plugins have changed is seen.
fn message<'call>(run: &'call mut Run<'_>, function: &str) -> Result<&'call Request, Refused> {
    demand_exchange(run, function)?;
    match (&run.message, &run.exchange) {
        (Message::Request(request), _) => Ok(request),
        (_, Some(exchange)) => Ok(&exchange.request),
        (_, None) => Err(Refused),
    }
}

/// `request.header(name)`: the first value of a field, or nil.
fn header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "request.header")?;
    let headers = &message(call.run, "request.header")?.headers;
    Ok(field(headers, name))
}

/// The first value of a field as an answer. Names that can be no field's are in no message.
pub(super) fn field<'call>(headers: &'call Headers, name: &[u8]) -> Answer<'call> {
    let value = std::str::from_utf8(name).ok().and_then(|name| headers.get(name));
    value.map_or(Answer::Nil, |value| Answer::Text(value.as_bytes()))
}

/// `request.method()`.
fn method<'call>(call: Call<'call, '_>) -> Answered<'call> {
    Ok(Answer::Text(message(call.run, "request.method")?.method.as_str().as_bytes()))
}

/// `request.path()`: the whole path, percent-encoded.
fn path<'call>(call: Call<'call, '_>) -> Answered<'call> {
    Ok(Answer::Text(message(call.run, "request.path")?.target.path().as_bytes()))
}

/// `request.raw_query()`: the query as it came, or nil.
fn raw_query<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let query = message(call.run, "request.raw_query")?.target.query();
    Ok(query.map_or(Answer::Nil, |query| Answer::Text(query.as_bytes())))
}

/// `request.query(name)`: the first value of a query parameter, decoded, or nil.
fn query_value<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "request.query")?;
    let mut value = std::mem::take(&mut call.run.buffers.output);
    value.clear();
    let found = message(call.run, "request.query").map(|request| {
        let mut parameters = query::parameters(request.target.query().unwrap_or_default());
        let parameter = parameters.find(|(known, _)| known.as_bytes() == name);
        parameter.map(|(_, text)| value.extend_from_slice(text.as_bytes())).is_some()
    });
    call.run.buffers.output = value;
    Ok(if found? { Answer::Output } else { Answer::Nil })
}

/// `request.path_parameter(name)`: the value of a path parameter, percent-encoded as it came, or nil.
fn path_parameter<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "request.path_parameter")?;
    let exchange = exchange(call.run, "request.path_parameter")?;
    let value = std::str::from_utf8(name).ok().and_then(|name| exchange.path_parameter(name));
    Ok(value.map_or(Answer::Nil, |value| Answer::Text(value.as_bytes())))
}

/// `request.client_header(name)`: the first value of a field as the client sent it, in every phase, or nil.
fn client_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "request.client_header")?;
    let headers = &exchange(call.run, "request.client_header")?.request.headers;
    Ok(field(headers, name))
}

/// `request.client_ip()`: the address of the connection's other end.
fn client_ip<'call>(call: Call<'call, '_>) -> Answered<'call> {
    Ok(Answer::Text(exchange(call.run, "request.client_ip")?.connection.peer_ip().as_bytes()))
}

/// `request.body()`: the body as it is, or nil when it is not in memory.
fn body<'call>(call: Call<'call, '_>) -> Answered<'call> {
    demand_exchange(call.run, "request.body")?;
    let run: &'call Run<'_> = call.run;
    Ok(match (&run.message, run.body, &run.exchange) {
        (Message::Request(request), _, _) => body_of(&request.body),
        (Message::None, Some(body), _) => Answer::Text(body),
        (_, _, Some(exchange)) => {
            exchange.request_body.as_ref().map_or_else(|| body_of(&exchange.request.body), |body| Answer::Text(body))
        }
        (_, _, None) => Answer::Nil,
    })
}

fn body_of(body: &Body) -> Answer<'_> {
    match body {
        Body::Empty => Answer::Text(b""),
        Body::Full(bytes) => Answer::Text(bytes),
        Body::Stream(_) => Answer::Nil,
    }
}

/// `request.set_header(name, value)`: sets a field to one value.
fn set_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    write_field(&mut call, "request.set_header", fields::set)
}

/// `request.add_header(name, value)`: adds a value to a field.
fn add_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    write_field(&mut call, "request.add_header", fields::add)
}

fn write_field<'call>(
    call: &mut Call<'call, '_>,
    function: &'static str,
    write: fn(&mut Headers, http::HeaderName, http::HeaderValue) -> Result<(), fields::Fault>,
) -> Answered<'call> {
    let name = call.text(1, function)?;
    let value = call.arguments.get(2);
    let headers = writable(call.run, function)?;
    let written = fields::name(name).and_then(|name| {
        let value = fields::value(&name, value)?;
        write(headers, name, value)
    });
    written.map_err(|fault| call.run.refuse(format_args!("{function}: {fault}")))?;
    Ok(Answer::Nothing)
}

/// `request.remove_header(name)`: removes a field, and says whether it was there.
fn remove_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "request.remove_header";
    let name = call.text(1, FUNCTION)?;
    let headers = writable(call.run, FUNCTION)?;
    let removed = fields::name(name).map(|name| headers.remove(name));
    let removed = removed.map_err(|fault| call.run.refuse(format_args!("{FUNCTION}: {fault}")))?;
    Ok(Answer::Boolean(removed))
}

fn writable<'call>(run: &'call mut Run<'_>, function: &str) -> Result<&'call mut Headers, Refused> {
    run.demand_phase(function, &[Phase::Request])?;
    match &mut run.message {
        Message::Request(request) => Ok(&mut request.headers),
        _ => Err(Refused),
    }
}

/// An argument as text: strings as they are, numbers and booleans written out.
pub(super) fn push_plain(value: Value<'_>, out: &mut Vec<u8>) -> bool {
    match value {
        Value::Text(text) => out.extend_from_slice(text),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Boolean(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        _ => return false,
    }
    true
}
