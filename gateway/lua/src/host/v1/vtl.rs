//! `vtl`: what scripts that were translated from Velocity templates call.
//!
//! Most of it is written in Lua, in `vtl/library.luau`, which says how values look. Here are the functions it takes from Rust:
//! reading JSON with the order of its members, what the gateway knows about the request as maps, and what Java's library does
//! with texts and numbers.

use std::sync::OnceLock;

use mlua::chunk::ChunkMode;
use mlua::{Lua, Table};
use moongate_exchange::{Scalar, context, query};
use moongate_vtl::java::{self, Plain};

use super::{input, request};
use crate::host::{Answer, Answered, Call, JsonOf, raw};
use crate::json::encode;
use crate::json::path::Found;
use crate::script;
use crate::stack::Value;

/// The library's source.
const LIBRARY: &str = include_str!("vtl/library.luau");

/// Most work of one use of a pattern: bytes of the text times bytes of the pattern. It cannot be interrupted; about 50 ms at
/// worst.
const PATTERN_WORK_MAX: usize = 1 << 23;

/// What `$context` has besides groups (source: API Gateway, "`$context` variables for data models, authorizers, mapping
/// templates").
const CONTEXT: [&str; 16] = [
    "accountId",
    "apiId",
    "deploymentId",
    "domainName",
    "domainPrefix",
    "extendedRequestId",
    "httpMethod",
    "path",
    "protocol",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "resourcePath",
    "routeKey",
    "stage",
    "status",
];

/// What `$context.identity` can have.
const IDENTITY: [&str; 3] = ["apiKeyId", "sourceIp", "userAgent"];

/// Makes the library in an environment with Luau's own functions and the other nouns.
pub(crate) fn install(lua: &Lua, environment: Table) -> mlua::Result<Table> {
    static BYTECODE: OnceLock<Vec<u8>> = OnceLock::new();
    let bytecode = match BYTECODE.get() {
        Some(bytecode) => bytecode,
        None => {
            let compiled = script::compiler().compile(LIBRARY)?;
            BYTECODE.get_or_init(|| compiled)
        }
    };
    let native = lua.create_table()?;
    native.raw_set("path", raw::function(lua, "path", path)?)?;
    native.raw_set("json", raw::function(lua, "json", json)?)?;
    native.raw_set("params", raw::function(lua, "params", params)?)?;
    native.raw_set("param", raw::function(lua, "param", param)?)?;
    native.raw_set("group", raw::function(lua, "group", group)?)?;
    native.raw_set("parse_json", raw::function(lua, "parse_json", parse_json)?)?;
    native.raw_set("string", raw::function(lua, "string", string)?)?;
    native.raw_set("calculate", raw::function(lua, "calculate", calculate)?)?;
    native.raw_set("double", raw::function(lua, "double", double)?)?;
    let chunk = lua.load(&bytecode[..]).set_name("=[vtl]").set_mode(ChunkMode::Binary).set_environment(environment);
    chunk.into_function()?.call(native)
}

/// `vtl.path(path)`: the value a JSONPath leads to; nil where there is none. A body that does not look like JSON is a text.
fn path<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let is_root = matches!(call.arguments.get(1), Value::Text(b"$"));
    if input::is_plain_text(call.run) {
        return Ok(if is_root { Answer::Text(input::body(call.run)) } else { Answer::Nil });
    }
    Ok(match input::find(&mut call, "vtl.path")? {
        Found::Nothing => Answer::Nil,
        Found::One(range) => Answer::Velocity(&input::body(call.run)[range], JsonOf::Body),
        Found::Many => Answer::OutputVelocity,
    })
}

/// `vtl.json(path)`: its JSON text; `""` where there is none.
fn json<'call>(call: Call<'call, '_>) -> Answered<'call> {
    if input::is_plain_text(call.run) {
        let is_root = matches!(call.arguments.get(1), Value::Text(b"$"));
        let body = String::from_utf8_lossy(input::body(call.run)).into_owned();
        let output = &mut call.run.buffers.output;
        output.clear();
        let text = if is_root { &*body } else { "" };
        return match encode::write_string(text.as_bytes(), output) {
            Ok(()) => Ok(Answer::Output),
            Err(why) => Err(call.run.refuse(format_args!("vtl.json: cannot write {why}"))),
        };
    }
    input::json(call)
}

/// `vtl.params(place)`: the parameters of one place, or those of all, as maps.
fn params<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let place = match call.arguments.get(1) {
        Value::Absent => None,
        _ => Some(call.text(1, "vtl.params")?),
    };
    let run = call.run;
    let mut out = std::mem::take(&mut run.buffers.output);
    out.clear();
    let exchange = request::exchange(run, "vtl.params").map(|exchange| {
        let query = exchange.request.target.query().unwrap_or_default();
        let fields = exchange.request.headers.iter();
        let fields = fields.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())));
        match place {
            Some(b"path") => input::write_map(exchange.path_parameters(), &mut out),
            Some(b"querystring") => input::write_map(query::parameters(query), &mut out),
            Some(_) => input::write_map(fields, &mut out),
            None => input::write_params(exchange, &mut out),
        }
    });
    run.buffers.output = out;
    exchange?;
    Ok(Answer::OutputVelocity)
}

/// `vtl.param(place, name)`: one parameter of one place, its last value.
fn param<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "vtl.param";
    let (place, name) = (call.text(1, FUNCTION)?, call.text(2, FUNCTION)?);
    let Ok(name) = std::str::from_utf8(name) else { return Ok(Answer::Nil) };
    let mut out = std::mem::take(&mut call.run.buffers.output);
    out.clear();
    let exchange = request::exchange(call.run, FUNCTION);
    let found = exchange.map(|exchange| {
        let mut keep = |text: &[u8]| out.extend_from_slice(text);
        match place {
            b"path" => exchange.path_parameter(name).map(|value| keep(value.as_bytes())),
            b"querystring" => {
                let query = exchange.request.target.query().unwrap_or_default();
                let last = query::parameters(query).filter(|(known, _)| known == name).last();
                last.map(|(_, value)| keep(value.as_bytes()))
            }
            _ => exchange.request.headers.last(name).map(|value| keep(value.as_bytes())),
        }
    });
    call.run.buffers.output = out;
    Ok(if found?.is_some() { Answer::Output } else { Answer::Nil })
}

/// `vtl.group(name)`: `stageVariables`, `identity`, `authorizer` or all of `context` as a map.
fn group<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "vtl.group";
    let name = call.text(1, FUNCTION)?;
    let run = call.run;
    let mut out = std::mem::take(&mut run.buffers.output);
    out.clear();
    let exchange = request::exchange(run, FUNCTION).map(|exchange| match name {
        b"stageVariables" => {
            let variables = exchange.matched.as_ref().map(|matched| matched.stage.variables.iter());
            input::write_map(variables.into_iter().flatten().map(|(name, value)| (&**name, &**value)), &mut out);
        }
        b"authorizer" => write_authorizer(exchange, &mut out),
        b"identity" => {
            let known = IDENTITY
                .into_iter()
                .filter_map(|name| context::variable(exchange, &format!("identity.{name}")).map(|value| (name, value)));
            input::write_map(known, &mut out);
        }
        _ => {
            let known =
                CONTEXT.into_iter().filter_map(|name| context::variable(exchange, name).map(|value| (name, value)));
            input::write_map(known, &mut out);
        }
    });
    run.buffers.output = out;
    exchange?;
    Ok(Answer::OutputVelocity)
}

/// What an authorizer said. Its numbers and truth values are texts here (source: API Gateway, "Output from a Lambda
/// authorizer"); `claims.NAME` are the members of a map `claims`.
fn write_authorizer(exchange: &moongate_exchange::Exchange, out: &mut Vec<u8>) {
    let caller = exchange.caller.as_ref();
    let principal = caller.and_then(|caller| caller.principal.as_deref()).map(|name| ("principalId", name.to_owned()));
    let text = |value: &Scalar| match value {
        Scalar::Text(text) => text.to_string(),
        other => other.to_string(),
    };
    let entries = || caller.into_iter().flat_map(|caller| caller.context.iter());
    let plain = entries().filter(|(name, _)| !name.starts_with("claims.")).map(|(name, value)| (&**name, text(value)));
    let claims: Vec<(&str, String)> =
        entries().filter_map(|(name, value)| Some((name.strip_prefix("claims.")?, text(value)))).collect();
    input::write_map(principal.into_iter().chain(plain), out);
    if claims.is_empty() {
        return;
    }
    let is_empty = out.len() == 2;
    out.pop();
    out.extend_from_slice(if is_empty { b"\"claims\":" } else { b",\"claims\":" });
    input::write_map(claims.into_iter(), out);
    out.push(b'}');
}

/// `vtl.parse_json(text)`: the value of a JSON text.
fn parse_json<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "$util.parseJson")?;
    Ok(Answer::Velocity(text, JsonOf::Argument("$util.parseJson")))
}

/// `native.string(method, text, ...)`: a method of `java.lang.String`. A double is answered as a text.
fn string<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let (method, text) = (call.text(1, "vtl.call")?, call.text(2, "vtl.call")?);
    let method = std::str::from_utf8(method).unwrap_or_default();
    let mut arguments = Vec::new();
    for place in 3..=call.arguments.len() {
        arguments.push(match call.arguments.get(place) {
            Value::Boolean(value) => Plain::Boolean(value),
            Value::Number(number) if number.trunc() == number && number.abs() < 9e15 => Plain::Integer(number as i64),
            Value::Number(number) => Plain::Double(number),
            Value::Text(text) => Plain::Text(String::from_utf8_lossy(text).into_owned()),
            _ => Plain::Null,
        });
    }
    let run = call.run;
    let is_pattern = matches!(method, "matches" | "replaceAll" | "replaceFirst" | "split");
    if let (true, Some(Plain::Text(pattern))) = (is_pattern, arguments.first())
        && text.len().saturating_mul(pattern.len()) > PATTERN_WORK_MAX
    {
        return Err(run.refuse(format_args!("{method}: the text is too long for so long a pattern")));
    }
    let text = String::from_utf8_lossy(text);
    let result = java::string_method(&text, method, &arguments, &mut run.buffers.patterns);
    let output = &mut run.buffers.output;
    output.clear();
    match result {
        Ok(Plain::Null) => Ok(Answer::Nil),
        Ok(Plain::Boolean(value)) => Ok(Answer::Boolean(value)),
        Ok(Plain::Integer(number)) => Ok(Answer::Number(number as f64)),
        Ok(Plain::Texts(texts)) => {
            let texts: Vec<serde_json::Value> = texts.into_iter().map(serde_json::Value::from).collect();
            output.extend_from_slice(serde_json::Value::from(texts).to_string().as_bytes());
            Ok(Answer::OutputJson)
        }
        Ok(other) => {
            output.extend_from_slice(other.to_text().as_bytes());
            Ok(Answer::Output)
        }
        Err(why) => Err(run.refuse(format_args!("{method}: {why}"))),
    }
}

/// `native.calculate(operation, a, b)`: on the digits of numbers of any size; nil for a division by zero.
fn calculate<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "vtl.calculate";
    let (operation, left, right) = (call.text(1, FUNCTION)?, call.text(2, FUNCTION)?, call.text(3, FUNCTION)?);
    let text = |digits| std::str::from_utf8(digits).unwrap_or_default();
    let operation = operation.first().copied().map_or(' ', char::from);
    let output = &mut call.run.buffers.output;
    output.clear();
    match java::calculate(operation, text(left), text(right)) {
        Some(result) => {
            output.extend_from_slice(result.as_bytes());
            Ok(Answer::Output)
        }
        None => Ok(Answer::Nil),
    }
}

/// `native.double(number)`: a double as Java writes it.
fn double<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let value = call.arguments.get(1);
    let Value::Number(number) = value else { return Err(call.wrong(1, "vtl.text", "a number", value)) };
    let output = &mut call.run.buffers.output;
    output.clear();
    output.extend_from_slice(java::double_to_string(number).as_bytes());
    Ok(Answer::Output)
}
