//! `json`: reading and writing JSON.

use mlua::{Lua, Table};

use crate::host::function::{Field, PhaseSet, any, direct, table, text};
use crate::host::{Answer, Answered, Call, Draft, JsonOf, Noun, raw};
use crate::json::{encode, lazy, scan};
use crate::stack::Value;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "json",
    about: "Reading and writing JSON (RFC 8259). Values nest at most 64 deep; texts have at most 10 MiB.",
    functions: &[
        direct("decode", PhaseSet::ALL, raw::entry(decode))
            .about("The value of a JSON text. `null` is `json.null`; lists stay lists even when they are empty.")
            .takes(&[text("text", "the text")])
            .gives("any")
            .fails("raises when the text is not JSON")
            .costs("about 6 µs per KiB")
            .example("json.decode('{\"a\":[1,2]}').a[2] --> 2"),
        direct("encode", PhaseSet::ALL, raw::entry(encode))
            .about("The JSON text of a value. An empty table is an object unless it is marked as a list.")
            .takes(&[any("value", "the value")])
            .gives("string")
            .fails("raises on functions, on numbers that are not finite, on bytes that are not UTF-8 and on tables that are \
                    neither list nor object")
            .example("json.encode({ a = { 1, 2 } }) --> '{\"a\":[1,2]}'"),
        direct("get", PhaseSet::ALL, raw::entry(get))
            .about("One value out of a JSON text, without making tables of the rest.")
            .takes(&[text("text", "the text")])
            .and_more()
            .gives("any")
            .fails("raises when the text is not JSON as far as it is read")
            .costs("reads no more than it has to")
            .example("json.get('{\"a\":[1,2]}', 'a', 2) --> 2"),
        direct("array", PhaseSet::ALL, raw::entry(array))
            .about("Marks a table as a list, so that it is written as one even when it is empty; without an argument a new one.")
            .takes(&[table("list", "the table").optional()])
            .gives("{ any }")
            .example("json.encode(json.array()) --> '[]'"),
    ],
    fields: &[Field { name: "null", luau: "any", about: "JSON's `null`, which a table can hold" }],
    is_open: false,
};

pub(super) fn install(lua: &Lua) -> mlua::Result<Table> {
    Ok(Draft::of(lua, &NOUN)?.field("null", mlua::Value::NULL)?.finish())
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
