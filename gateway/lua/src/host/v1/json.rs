//! `json`: reading and writing JSON.

use mlua::{Lua, Table};

use crate::host::{Answer, Answered, Call, JsonOf, Noun};
use crate::json::{encode, lazy, scan};
use crate::stack::Value;

pub(super) fn install(lua: &Lua) -> mlua::Result<Table> {
    let noun = Noun::new(lua)?
        .function("decode", decode)?
        .function("encode", encode)?
        .function("get", get)?
        .function("array", array)?
        .field("null", mlua::Value::NULL)?;
    Ok(noun.finish())
}

/// `json.decode(text)`: the value of a JSON text. `null` is `json.null`; lists stay lists even when they are empty.
fn decode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "json.decode")?;
    Ok(Answer::Json(text, JsonOf::Argument("json.decode")))
}

/// `json.encode(value)`: the JSON text of a value. An empty table is an object unless it is marked as a list.
fn encode<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let value = call.arguments.get(1);
    if let Value::Absent = value {
        return Err(call.run.refuse(format_args!("json.encode: argument 1 is missing")));
    }
    let run = call.run;
    run.buffers.output.clear();
    match encode::write(value, &mut run.buffers.output, &run.ticket) {
        Ok(()) => Ok(Answer::Output),
        Err(why) => Err(run.refuse(format_args!("json.encode: cannot write {why}"))),
    }
}

/// `json.get(text, key, ...)`: one value out of a JSON text, without making tables of the rest: names for objects, numbers
/// from 1 on for lists. Nil where there is no such value.
fn get<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "json.get";
    let text = call.text(1, FUNCTION)?;
    let mut here = None;
    for place in 2..=call.arguments.len() {
        if call.run.ticket.is_due() {
            return Err(call.run.refuse(format_args!("{FUNCTION}: the run was stopped")));
        }
        let at = here.as_ref().map_or_else(|| scan::space(text, 0), |range: &std::ops::Range<usize>| range.start);
        let key = call.arguments.get(place);
        let found = match key {
            Value::Text(name) => lazy::member(text, at, name),
            Value::Number(number) if number >= 1.0 && number.trunc() == number => {
                lazy::element(text, at, number as i64 - 1)
            }
            other => {
                return Err(call.wrong(
                    u8::try_from(place).unwrap_or(u8::MAX),
                    FUNCTION,
                    "a name or a place from 1 on",
                    other,
                ));
            }
        };
        match found {
            Ok(Some(range)) => here = Some(range),
            Ok(None) => return Ok(Answer::Nil),
            Err(fault) => return Err(call.run.refuse(format_args!("{FUNCTION}: {fault}"))),
        }
    }
    let found = here.map_or(text, |range| &text[range]);
    Ok(Answer::Json(found, JsonOf::Argument(FUNCTION)))
}

/// `json.array(table)`: marks a table as a list, so that it is written as one even when it is empty; without an argument a
/// new one.
fn array<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    match call.arguments.get(1) {
        Value::Absent | Value::Nil | Value::Table(_) => Ok(Answer::List(1)),
        other => Err(call.wrong(1, "json.array", "a table", other)),
    }
}
