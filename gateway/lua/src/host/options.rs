//! Tables of named options that functions of the API take.

use super::{Call, Refused};
use crate::json::encode;
use crate::stack::{StackFull, Table, Value};

/// Most members that a table of options is read for.
const OPTIONS_MAX: usize = 64;

/// Why a table of options cannot be used.
pub(crate) struct BadOption(pub(crate) String);

impl From<StackFull> for BadOption {
    fn from(StackFull: StackFull) -> Self {
        Self("the Lua stack is full".to_owned())
    }
}

impl From<String> for BadOption {
    fn from(why: String) -> Self {
        Self(why)
    }
}

/// Reads an optional table of options member by member.
///
/// `take` answers false for a name it does not know; `known` lists those there are, for the message.
pub(crate) fn read(
    call: &mut Call<'_, '_>,
    place: u8,
    function: &str,
    known: &str,
    mut take: impl FnMut(&[u8], Value<'_>) -> Result<bool, BadOption>,
) -> Result<(), Refused> {
    let Value::Table(table) = call.arguments.get(place.into()) else { return Ok(()) };
    let mut count = 0;
    let outcome = table.for_each(|key, value| {
        count += 1;
        let Value::Text(name) = key else { return Err(BadOption("options have names".to_owned())) };
        if count > OPTIONS_MAX || !take(name, value)? {
            let name = crate::error::printable(name, 64);
            return Err(BadOption(format!("there is no option `{name}`; there are {known}")));
        }
        Ok(())
    });
    outcome.map_err(|BadOption(why)| call.run.refuse(format_args!("{function}: {why}")))
}

/// An option that is text.
pub(crate) fn text(name: &str, value: Value<'_>) -> Result<String, BadOption> {
    match value {
        Value::Text(text) => {
            String::from_utf8(text.to_vec()).map_err(|_| BadOption(format!("option `{name}` is not UTF-8")))
        }
        other => Err(BadOption(format!("option `{name}` must be a string, not {}", other.type_name()))),
    }
}

/// An option that is a finite number in a range.
pub(crate) fn number(name: &str, value: Value<'_>, range: std::ops::RangeInclusive<f64>) -> Result<f64, BadOption> {
    match value {
        Value::Number(number) if range.contains(&number) => Ok(number),
        _ => Err(BadOption(format!("option `{name}` must be a number from {} to {}", range.start(), range.end()))),
    }
}

/// An option that is one text or a list of texts.
pub(crate) fn texts(name: &str, value: Value<'_>) -> Result<Vec<String>, BadOption> {
    match value {
        Value::Table(table) => list(name, table),
        one => Ok(vec![text(name, one)?]),
    }
}

fn list(name: &str, table: Table<'_>) -> Result<Vec<String>, BadOption> {
    let mut all = Vec::new();
    for place in 1..=table.len().min(OPTIONS_MAX) {
        all.push(table.element(place, |value| text(name, value))?);
    }
    Ok(all)
}

/// The JSON text of a value, in the scratch buffer.
pub(crate) fn json_of(call: &mut Call<'_, '_>, place: u8, function: &str) -> Result<(), Refused> {
    let value = call.arguments.get(place.into());
    let run = &mut *call.run;
    run.buffers.scratch.clear();
    let written = encode::write(value, &mut run.buffers.scratch, &run.ticket);
    written.map_err(|why| run.refuse(format_args!("{function}: cannot write {why}")))
}
