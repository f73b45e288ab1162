//! `input`: the body and the parameters that mapping templates read (source: API Gateway, "Mapping template reference",
//! `$input`).
//!
//! For request templates the body is the request's, for response templates the integration's. An empty body reads `{}`.
//! Unlike API Gateway, which answers with an empty string, `input.json` and `input.path` raise an error when the body is no
//! JSON, so that a client hears of it.

use bytes::Bytes;
use moongate_exchange::{Exchange, query};

use super::request;
use crate::host::function::{Field, PhaseSet, direct, text};
use crate::host::{Answer, Answered, Call, Draft, JsonOf, Noun, Refused, build, raw};
use crate::json::decode;
use crate::json::encode;
use crate::json::path::{self, Found};
use crate::json::scan;
use crate::run::Run;
use crate::stack::Value;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "input",
    about: "The body and the parameters that mapping templates read (`$input`): of the request in request templates, of the \
            integration's response in response templates. An empty body reads as `{}`. A body that is not JSON ends a run that \
            reads it as JSON, and the client gets 400.",
    functions: &[
        direct("path", PhaseSet::REQUEST, raw::entry(path_value))
            .about("The value a JSONPath leads to.")
            .takes(&[text("path", "`$.order.items[0].sku`; wildcards give a list; default `$`").optional()])
            .gives("any")
            .costs("reads no more of the body than it has to")
            .example("input.path('$.none') --> nil"),
        direct("json", PhaseSet::REQUEST, raw::entry(json))
            .about("The JSON text of the value a JSONPath leads to, without white space; `\"\"` where there is none.")
            .takes(&[text("path", "as in `input.path`").optional()])
            .gives("string")
            .example("input.json('$') --> '{}'"),
        direct("params", PhaseSet::REQUEST, raw::entry(params))
            .about("The last value of a parameter, looked for in path, query and header. Without a name all of them, in the \
                    tables `path`, `querystring` and `header`.")
            .takes(&[text("name", "the parameter's name").optional()])
            .gives("any")
            .example("input.params('id') --> 'caf%C3%A9'"),
    ],
    fields: &[Field { name: "body", luau: "string", about: "the body as it is; `{}` when it is empty" }],
    is_open: false,
};

pub(super) fn install(lua: &mlua::Lua) -> mlua::Result<mlua::Table> {
    Ok(Draft::of(lua, &NOUN)?.lookup(field)?.finish())
}

/// The body that the run is about.
pub(super) fn body<'run>(run: &'run Run<'_>) -> &'run [u8] {
    let body: Option<&Bytes> = match (run.body, &run.exchange) {
        (Some(body), _) => Some(body),
        (None, Some(exchange)) => exchange.request_body.as_ref(),
        (None, None) => None,
    };
    match body {
        Some(body) if !body.is_empty() => body,
        _ => b"{}",
    }
}

/// Whether the body is neither JSON nor begins like a text that was meant to be.
pub(super) fn is_plain_text(run: &Run<'_>) -> bool {
    let body = body(run);
    let start = scan::space(body, 0);
    if matches!(body.get(start), None | Some(b'{' | b'[' | b'"' | b'\'')) {
        return false;
    }
    !scan::skip(body, start).is_ok_and(|end| scan::space(body, end) == body.len())
}

/// `input.body`: the body as it is.
fn field<'call>(call: Call<'call, '_>) -> Answered<'call> {
    request::demand_exchange(call.run, "input")?;
    match call.arguments.get(2) {
        Value::Text(b"body") => Ok(Answer::Text(body(call.run))),
        _ => Ok(Answer::Nil),
    }
}

/// Where a path of the first argument leads; without an argument, the whole body.
pub(super) fn find(call: &mut Call<'_, '_>, function: &str) -> Result<Found, Refused> {
    request::demand_exchange(call.run, function)?;
    let path = if let Value::Absent = call.arguments.get(1) { b"$" } else { call.text(1, function)? };
    let mut out = std::mem::take(&mut call.run.buffers.output);
    let mut index = std::mem::take(&mut call.run.buffers.index);
    out.clear();
    let found = path::follow_indexed(path, body(call.run), &mut index, &mut out, &call.run.ticket);
    call.run.buffers.output = out;
    call.run.buffers.index = index;
    found.map_err(|error| match error {
        path::Error::Text(fault) => not_json(call.run, &fault),
        path::Error::Path(_) | path::Error::Limit(_) => call.run.refuse(format_args!("{function}: {error}")),
    })
}

fn not_json(run: &mut Run<'_>, fault: &dyn std::fmt::Display) -> Refused {
    run.is_body_faulty = true;
    run.refuse(format_args!("{}: {fault}", build::BODY_NOT_JSON))
}

/// `input.path(path)`: the value a JSONPath leads to; nil where there is none, and for `null`.
fn path_value<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    Ok(match find(&mut call, "input.path")? {
        Found::Nothing => Answer::Nil,
        Found::Many => Answer::OutputJson,
        Found::One(range) => match &body(call.run)[range] {
            b"null" => Answer::Nil,
            text => Answer::Json(text, JsonOf::Body),
        },
    })
}

/// `input.json(path)`: the JSON text of the value a JSONPath leads to, without white space; `""` where there is none.
pub(super) fn json<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let found = find(&mut call, "input.json")?;
    let run = call.run;
    let mut compact = std::mem::take(&mut run.buffers.scratch);
    compact.clear();
    let written = match found {
        Found::Nothing => {
            compact.extend_from_slice(b"\"\"");
            Ok(())
        }
        Found::One(range) => decode::compact(&body(run)[range], &mut compact, &run.ticket),
        Found::Many => decode::compact(&run.buffers.output, &mut compact, &run.ticket),
    };
    run.buffers.scratch = std::mem::replace(&mut run.buffers.output, compact);
    written.map_err(|fault| not_json(run, &fault))?;
    Ok(Answer::Output)
}

/// `input.params(name)`: the last value of a parameter, looked for in path, query and header; nil where there is none.
/// `input.params()`: all of them, in the tables `path`, `querystring` and `header`.
fn params<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "input.params";
    if let Value::Absent = call.arguments.get(1) {
        return all_params(call);
    }
    let name = call.text(1, FUNCTION)?;
    request::demand_exchange(call.run, FUNCTION)?;
    let Ok(text) = std::str::from_utf8(name) else { return Ok(Answer::Nil) };
    let mut out = std::mem::take(&mut call.run.buffers.output);
    out.clear();
    let exchange = &*request::exchange(call.run, FUNCTION)?;
    let is_found = write_param(exchange, text, &mut out);
    call.run.buffers.output = out;
    Ok(if is_found { Answer::Output } else { Answer::Nil })
}

fn write_param(exchange: &Exchange, name: &str, out: &mut Vec<u8>) -> bool {
    if let Some(value) = exchange.path_parameter(name) {
        out.extend_from_slice(value.as_bytes());
        return true;
    }
    let query = exchange.request.target.query().unwrap_or_default();
    if let Some((_, value)) = query::parameters(query).filter(|(known, _)| known == name).last() {
        out.extend_from_slice(value.as_bytes());
        return true;
    }
    let header = exchange.request.headers.last(name);
    header.map(|value| out.extend_from_slice(value.as_bytes())).is_some()
}

fn all_params<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let mut out = std::mem::take(&mut call.run.buffers.output);
    out.clear();
    let exchange = &*request::exchange(call.run, "input.params")?;
    write_params(exchange, &mut out);
    call.run.buffers.output = out;
    Ok(Answer::OutputJson)
}

/// Appends all parameters as an object with the members `path`, `querystring` and `header`.
pub(super) fn write_params(exchange: &Exchange, out: &mut Vec<u8>) {
    let query = exchange.request.target.query().unwrap_or_default();
    out.extend_from_slice(b"{\"path\":");
    write_map(exchange.path_parameters(), out);
    out.extend_from_slice(b",\"querystring\":");
    write_map(query::parameters(query), out);
    out.extend_from_slice(b",\"header\":");
    let fields = exchange.request.headers.iter();
    write_map(fields.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))), out);
    out.push(b'}');
}

/// Appends an object. Of several members with one name the last one counts when it is read.
pub(super) fn write_map(pairs: impl Iterator<Item = (impl AsRef<str>, impl AsRef<str>)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, (name, value)) in pairs.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        for (text, end) in [(name.as_ref(), &b":"[..]), (value.as_ref(), b"")] {
            encode::write_string(text.as_bytes(), out).expect("heads of requests are far smaller than the limit");
            out.extend_from_slice(end);
        }
    }
    out.push(b'}');
}
