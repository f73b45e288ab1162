//! `response`: the response that plugins may change and templates may read, and the way to answer at once.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use moongate_exchange::{Headers, Response};

use super::{fields, request};
use crate::host::{Answer, Answered, Call, Noun, Refused};
use crate::json::encode;
use crate::run::{Message, Phase, Run};
use crate::stack::{StackFull, Table, Value};

pub(super) fn install(lua: &mlua::Lua) -> mlua::Result<mlua::Table> {
    let noun = Noun::new(lua)?
        .function("status", status)?
        .function("header", response_header)?
        .function("set_status", set_status)?
        .function("set_header", set_header)?
        .function("add_header", add_header)?
        .function("remove_header", remove_header)?
        .function("exit", exit)?;
    Ok(noun.finish())
}

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
    Ok(Answer::Number(readable(call.run, "response.status")?.status.as_u16().into()))
}

/// `response.header(name)`: the first value of a field, or nil.
fn response_header<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "response.header")?;
    let headers = &readable(call.run, "response.header")?.headers;
    Ok(request::field(headers, name))
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
    call.run.demand_phase(FUNCTION, &[Phase::Request])?;
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
