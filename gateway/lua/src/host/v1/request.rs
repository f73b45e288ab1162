//! `request`: the method request; for plugins in phase `request` the integration request, which they may change.

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use moongate_exchange::{Body, Exchange, Headers, Request, Target, query};

use super::fields;
use crate::host::function::{PhaseSet, any, direct, function, text, text_or_table};
use crate::host::{Answer, Answered, Call, Noun, Refused, options, raw};
use crate::run::{Message, Phase, Run};
use crate::stack::Value;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "request",
    about: "The client's request as the route got it (the method request). In the plugin phase `request` it is the one for the \
            integration, which the plugin may change; the client's own head is still there as `client_header`.",
    functions: &[
        direct("header", PhaseSet::REQUEST, raw::entry(header))
            .about("The first value of a header field, whatever the case of the name.")
            .takes(&[text("name", "the field's name")])
            .gives("string?")
            .example("request.header('X-Token') --> 'tok-7'\nrequest.header('x-none') --> nil"),
        direct("client_header", PhaseSet::REQUEST, raw::entry(client_header))
            .about("The same, always of the request as the client sent it.")
            .takes(&[text("name", "the field's name")])
            .gives("string?")
            .example("request.client_header('user-agent') --> 'curl/8.0'"),
        function("headers", PhaseSet::REQUEST, headers)
            .about("All header fields by lower-case name; fields that came more than once are lists.")
            .gives("{ [string]: string | { string } }")
            .costs("a table of all fields: ask for single ones where you can")
            .example("request.headers()['x-token'] --> 'tok-7'"),
        direct("method", PhaseSet::REQUEST, raw::entry(method)).about("The method.").gives("string")
            .example("request.method() --> 'PUT'"),
        direct("path", PhaseSet::REQUEST, raw::entry(path)).about("The whole path, percent-encoded.").gives("string")
            .example("request.path() --> '/v2/pets'"),
        direct("raw_query", PhaseSet::REQUEST, raw::entry(raw_query)).about("The query as it came.").gives("string?")
            .example("request.raw_query() --> 'x=1'"),
        direct("query", PhaseSet::REQUEST, raw::entry(query_value))
            .about("The first value of a query parameter, decoded.")
            .takes(&[text("name", "the parameter's name")])
            .gives("string?")
            .example("request.query('x') --> '1'"),
        direct("path_parameter", PhaseSet::REQUEST, raw::entry(path_parameter))
            .about("A parameter of the route's path, percent-encoded as it came.")
            .takes(&[text("name", "the name in the route: `id` of `/pets/{id}`")])
            .gives("string?")
            .example("request.path_parameter('id') --> 'caf%C3%A9'"),
        direct("client_ip", PhaseSet::REQUEST, raw::entry(client_ip))
            .about("The address of the connection's other end.")
            .gives("string")
            .example("request.client_ip() --> '192.0.2.7'"),
        direct("body", PhaseSet::REQUEST, raw::entry(body))
            .about("The body, where the route holds it in memory: behind templates and functions, and where a plugin says \
                    `request_body = \"buffer\"`. Elsewhere nil.")
            .gives("string?")
            .example("request.body() --> 'payload'"),
        direct("set_header", PhaseSet::of(&[Phase::Request]), raw::entry(set_header))
            .about("Sets a header field of the integration request to one value.")
            .takes(&[text("name", "the field's name"), any("value", "a string, number or boolean; at most 8 KiB")])
            .fails("raises on names and values that cannot be sent, on fields the gateway writes itself (`content-length` and \
                    those of the connection), and beyond 200 fields")
            .example("request.set_header('x-tenant', 'acme')\nrequest.header('x-tenant') --> 'acme'"),
        direct("add_header", PhaseSet::of(&[Phase::Request]), raw::entry(add_header))
            .about("Adds a value to a header field of the integration request.")
            .takes(&[text("name", "the field's name"), any("value", "a string, number or boolean; at most 8 KiB")])
            .fails("as `set_header`")
            .example("request.add_header('x-note', 'a')"),
        direct("remove_header", PhaseSet::of(&[Phase::Request]), raw::entry(remove_header))
            .about("Removes a header field of the integration request, and says whether it was there.")
            .takes(&[text("name", "the field's name")])
            .gives("boolean")
            .example("request.remove_header('x-token') --> true"),
        function("set_path", PhaseSet::of(&[Phase::Request]), set_path)
            .about("Sets path and query of the integration request.")
            .takes(&[text("path", "begins with `/`, percent-encoded; a query may follow behind `?`")])
            .fails("raises on what is no path in its normal form")
            .example("request.set_path('/v3/pets?x=2')\nrequest.query('x') --> '2'"),
        function("set_body", PhaseSet::of(&[Phase::Request]), set_body)
            .about("Sets the body of the integration request. A table becomes JSON, with its content type.")
            .takes(&[text_or_table("body", "at most 10 MiB")])
            .fails("raises on tables that JSON cannot hold")
            .example("request.set_body({ a = 1 })\nrequest.body() --> '{\"a\":1}'"),
    ],
    fields: &[],
    is_open: false,
};

/// Refuses while a script is loaded, when there is no request yet.
pub(super) fn demand_exchange(run: &mut Run<'_>, function: &str) -> Result<(), Refused> {
    if run.exchange.is_some() {
        return Ok(());
    }
    if run.phase != Phase::Load {
        let phase = run.phase.name();
        return Err(
            run.refuse(format_args!("{function} is only allowed in phases with a request, and this is `{phase}`"))
        );
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

/// `request.headers()`: all fields.
fn headers<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let mut out = std::mem::take(&mut call.run.buffers.output);
    out.clear();
    let written = message(call.run, "request.headers").map(|request| fields::write_all(&request.headers, &mut out));
    call.run.buffers.output = out;
    written?;
    Ok(Answer::OutputJson)
}

/// `request.set_path(path)`.
fn set_path<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "request.set_path";
    let path = call.text(1, FUNCTION)?;
    let target = std::str::from_utf8(path).ok().and_then(|path| Target::from_text(path.to_owned()).ok());
    let Some(target) = target else {
        return Err(call.run.refuse(format_args!("{FUNCTION}: the text is not a path")));
    };
    if let Message::Request(request) = &mut call.run.message {
        request.target = target;
    }
    Ok(Answer::Nothing)
}

/// `request.set_body(body)`.
fn set_body<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "request.set_body";
    let (bytes, is_json) = body_argument(&mut call, FUNCTION)?;
    if let Message::Request(request) = &mut call.run.message {
        request.body = bytes.into();
        if is_json {
            request.headers.set(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    Ok(Answer::Nothing)
}

/// The first argument as a body, and whether it was a table.
pub(super) fn body_argument(call: &mut Call<'_, '_>, function: &str) -> Result<(Bytes, bool), Refused> {
    match call.arguments.get(1) {
        Value::Text(text) => Ok((Bytes::copy_from_slice(text), false)),
        _ => {
            options::json_of(call, 1, function)?;
            Ok((Bytes::copy_from_slice(&call.run.buffers.scratch), true))
        }
    }
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
    Ok(Answer::Text(exchange(call.run, "request.client_ip")?.client_ip_value().as_bytes()))
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
        Body::Empty | Body::Duplex(_) => Answer::Text(b""),
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
