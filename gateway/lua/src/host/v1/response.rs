//! `response`: the response that plugins may change and templates may read, and the way to answer at once.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use moongate_exchange::{Body, Headers, Response};

use super::{fields, request};
use crate::host::function::{PhaseSet, any, direct, function, table, text, text_or_table, whole};
use crate::host::{Answer, Answered, Call, Noun, Refused, raw};
use crate::json::encode;
use crate::run::{Message, Phase, Run};
use crate::stack::{StackFull, Table, Value};

/// Where the response can be read.
const READ: PhaseSet = PhaseSet::of(&[Phase::MapResponse, Phase::Response, Phase::Log]);
/// Where it can be changed.
const WRITE: PhaseSet = PhaseSet::of(&[Phase::Response]);
/// Where a plugin can answer in the integration's place.
const EXIT: PhaseSet = PhaseSet::of(&[Phase::Authorize, Phase::MapRequest, Phase::Request]);

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "response",
    about: "The response on its way to the client, which plugins may change, and the way to answer at once.",
    functions: &[
        direct("status", READ, raw::entry(status)).about("The status.").gives("number").example("response.status() --> 201"),
        direct("header", PhaseSet::of(&[Phase::MapResponse, Phase::Response]), raw::entry(response_header))
            .about("The first value of a header field, whatever the case of the name.")
            .takes(&[text("name", "the field's name")])
            .gives("string?")
            .example("response.header('x-backend') --> 'b1'"),
        function("headers", PhaseSet::of(&[Phase::MapResponse, Phase::Response]), headers)
            .about("All header fields by lower-case name; fields that came more than once are lists.")
            .gives("{ [string]: string | { string } }")
            .costs("a table of all fields: ask for single ones where you can")
            .example("response.headers()['x-backend'] --> 'b1'"),
        function("body", WRITE, body)
            .about("The body, where a plugin says `response_body = \"buffer\"` or the gateway made it. Elsewhere nil.")
            .gives("string?")
            .example("response.set_body('hello')\nresponse.body() --> 'hello'"),
        direct("set_status", WRITE, raw::entry(set_status))
            .about("Sets the status.")
            .takes(&[whole("status", "from 200 to 599")])
            .fails("raises on any other number")
            .example("response.set_status(202)\nresponse.status() --> 202"),
        direct("set_header", WRITE, raw::entry(set_header))
            .about("Sets a header field to one value.")
            .takes(&[text("name", "the field's name"), any("value", "a string, number or boolean; at most 8 KiB")])
            .fails("raises on names and values that cannot be sent, on fields the gateway writes itself (`content-length` and \
                    those of the connection), and beyond 200 fields")
            .example("response.set_header('cache-control', 'no-store')"),
        direct("add_header", WRITE, raw::entry(add_header))
            .about("Adds a value to a header field.")
            .takes(&[text("name", "the field's name"), any("value", "a string, number or boolean; at most 8 KiB")])
            .fails("as `set_header`")
            .example("response.add_header('vary', 'accept')"),
        direct("remove_header", WRITE, raw::entry(remove_header))
            .about("Removes a header field, and says whether it was there.")
            .takes(&[text("name", "the field's name")])
            .gives("boolean")
            .example("response.remove_header('x-backend') --> true"),
        function("set_body", WRITE, set_body)
            .about("Sets the body. A table becomes JSON, with its content type.")
            .takes(&[text_or_table("body", "at most 10 MiB")])
            .fails("raises on tables that JSON cannot hold")
            .example("response.set_body({ ok = true })\nresponse.body() --> '{\"ok\":true}'"),
        direct("exit", EXIT, raw::entry(exit))
            .about("Answers the client without the integration. The function returns, and the script is expected to return as \
                    well; called again, the later answer counts.")
            .takes(&[
                whole("status", "from 200 to 599"),
                any("body", "a string, or a table that becomes JSON").optional(),
                table("headers", "names and values").optional(),
            ])
            .fails("raises on what cannot be sent")
            .example("response.exit(403, { error = 'no entry' }, { ['x-reason'] = 'list' })"),
    ],
    fields: &[],
    is_open: false,
};

fn readable<'call>(run: &'call mut Run<'_>, function: &str) -> Result<&'call Response, Refused> {
    run.demand_phase(function, &[Phase::Response, Phase::MapResponse])?;
    match &run.message {
        Message::Response(response) => Ok(response),
        Message::ResponseHead(response) => Ok(response),
        _ => Err(Refused),
    }
}

fn writable<'call>(run: &'call mut Run<'_>, function: &str) -> Result<&'call mut Response, Refused> {
    run.demand_phase(function, &[Phase::Response])?;
    match &mut run.message {
        Message::Response(response) => Ok(response),
        _ => Err(Refused),
    }
}

/// `response.status()`: a number.
fn status<'call>(call: Call<'call, '_>) -> Answered<'call> {
    if call.run.phase == Phase::Log {
        let status = request::exchange(call.run, "response.status")?.outcome.status;
        return Ok(status.map_or(Answer::Nil, |status| Answer::Number(status.as_u16().into())));
    }
    Ok(Answer::Number(readable(call.run, "response.status")?.status.as_u16().into()))
}

/// `response.header(name)`: the first value of a field, or nil.
fn response_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "response.header")?;
    let headers = &readable(call.run, "response.header")?.headers;
    Ok(request::field(headers, name))
}

/// `response.headers()`: all fields.
fn headers<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let mut out = std::mem::take(&mut call.run.buffers.output);
    out.clear();
    let written = readable(call.run, "response.headers").map(|response| fields::write_all(&response.headers, &mut out));
    call.run.buffers.output = out;
    written?;
    Ok(Answer::OutputJson)
}

/// `response.body()`: nil while it streams.
fn body<'call>(call: Call<'call, '_>) -> Answered<'call> {
    Ok(match &readable(call.run, "response.body")?.body {
        Body::Empty | Body::Duplex(_) => Answer::Text(b""),
        Body::Full(bytes) => Answer::Text(bytes),
        Body::Stream(_) => Answer::Nil,
    })
}

/// `response.set_body(body)`.
fn set_body<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "response.set_body";
    let (bytes, is_json) = request::body_argument(&mut call, FUNCTION)?;
    let response = writable(call.run, FUNCTION)?;
    response.body = bytes.into();
    if is_json {
        response.headers.set(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(Answer::Nothing)
}

/// `response.set_status(status)`: from 200 to 599.
fn set_status<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "response.set_status";
    let status = final_status(&mut call, FUNCTION)?;
    writable(call.run, FUNCTION)?.status = status;
    Ok(Answer::Nothing)
}

/// The first argument as the status of a final response.
fn final_status(call: &mut Call<'_, '_>, function: &str) -> Result<StatusCode, Refused> {
    let argument = call.arguments.get(1);
    let Value::Number(number) = argument else { return Err(call.wrong(1, function, "a status", argument)) };
    let is_final = (200.0..600.0).contains(&number) && number.trunc() == number;
    let status = if is_final { StatusCode::from_u16(number as u16).ok() } else { None };
    status.ok_or_else(|| call.run.refuse(format_args!("{function}: the status must be a whole number from 200 to 599")))
}

/// `response.set_header(name, value)`: sets a field to one value.
fn set_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    write_field(&mut call, "response.set_header", fields::set)
}

/// `response.add_header(name, value)`: adds a value to a field.
fn add_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    write_field(&mut call, "response.add_header", fields::add)
}

fn write_field<'call>(
    call: &mut Call<'call, '_>,
    function: &'static str,
    write: fn(&mut Headers, HeaderName, HeaderValue) -> Result<(), fields::Fault>,
) -> Answered<'call> {
    let name = call.text(1, function)?;
    let value = call.arguments.get(2);
    let headers = &mut writable(call.run, function)?.headers;
    let written = fields::name(name).and_then(|name| {
        let value = fields::value(&name, value)?;
        write(headers, name, value)
    });
    written.map_err(|fault| call.run.refuse(format_args!("{function}: {fault}")))?;
    Ok(Answer::Nothing)
}

/// `response.remove_header(name)`: removes a field, and says whether it was there.
fn remove_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "response.remove_header";
    let name = call.text(1, FUNCTION)?;
    let headers = &mut writable(call.run, FUNCTION)?.headers;
    let removed = fields::name(name).map(|name| headers.remove(name));
    let removed = removed.map_err(|fault| call.run.refuse(format_args!("{FUNCTION}: {fault}")))?;
    Ok(Answer::Boolean(removed))
}

/// `response.exit(status, body, headers)`: answers the client at once, without the upstream.
///
/// `body` is a string, a table that becomes JSON, or nil; `headers` is a table of names and values, or nil. The function
/// returns; the script is expected to return as well. Called again, the later answer counts.
fn exit<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "response.exit";
    call.run.demand_phase(FUNCTION, &[Phase::Authorize, Phase::MapRequest, Phase::Request])?;
    let mut response = Box::new(Response::new(final_status(&mut call, FUNCTION)?));
    let (body, headers) = (call.arguments.get(2), call.arguments.get(3));
    match headers {
        Value::Absent | Value::Nil => {}
        Value::Table(table) => {
            let copied = copy_fields(table, &mut response.headers);
            copied.map_err(|why| call.run.refuse(format_args!("{FUNCTION}: {why}")))?;
        }
        other => return Err(call.wrong(3, FUNCTION, "a table of headers", other)),
    }
    match body {
        Value::Absent | Value::Nil => {}
        Value::Text(text) => response.body = Bytes::copy_from_slice(text).into(),
        Value::Table(_) => {
            let mut text = Vec::new();
            encode::write(body, &mut text, &call.run.ticket)
                .map_err(|why| call.run.refuse(format_args!("{FUNCTION}: the body holds {why}")))?;
            response.body = Bytes::from(text).into();
            response.headers.set_if_absent(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        other => return Err(call.wrong(2, FUNCTION, "a string or a table", other)),
    }
    call.run.exit = Some(response);
    Ok(Answer::Nothing)
}

fn copy_fields(table: Table<'_>, headers: &mut Headers) -> Result<(), Why> {
    table.for_each(|key, value| {
        let Value::Text(name) = key else { return Err(Why(format!("a header has a {} for a name", key.type_name()))) };
        let written = fields::name(name).and_then(|name| {
            let value = fields::value(&name, value)?;
            fields::set(headers, name, value)
        });
        written.map_err(|fault| Why(fault.to_string()))
    })
}

/// Why headers could not be copied.
struct Why(String);

impl From<StackFull> for Why {
    fn from(StackFull: StackFull) -> Self {
        Self("the Lua stack is full".to_owned())
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
