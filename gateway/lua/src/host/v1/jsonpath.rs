//! `gate.jsonpath`: JSONPath over texts and values.

use crate::host::function::{PhaseSet, function, text, text_or_table};
use crate::host::{Answer, Answered, Call, JsonOf, Noun, options};
use crate::json::path::{self, Found};
use crate::stack::Value;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.jsonpath",
    about: "JSONPath: children by name and place, `[*]` and `..`; filters, slices, unions and `length()`. A path with \
            a wildcard gives the list of all places it matches.",
    functions: &[function("get", PhaseSet::ALL, get)
        .about("The value a path leads to; nil where there is none, and for `null`.")
        .takes(&[
            text_or_table("json", "a JSON text, or a value that is written as one first"),
            text("path", "`$.order.items[0].sku`; at most 4 KiB"),
        ])
        .gives("any")
        .fails("raises when the text is not JSON as far as it is read, and on paths that are none")
        .costs("reads no more of a text than it has to")
        .example(
            "gate.jsonpath.get('{\"a\":[{\"b\":1},{\"b\":2}]}', '$.a[1].b') --> 2\n\
                  gate.jsonpath.get({ a = { 1, 2 } }, '$.a[*]') --> { 1, 2 }",
        )],
    fields: &[],
    is_open: false,
};

fn get<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.jsonpath.get";
    let wanted = call.text(2, FUNCTION)?;
    let text = match call.arguments.get(1) {
        Value::Text(text) => Some(text),
        _ => {
            options::json_of(&mut call, 1, FUNCTION)?;
            None
        }
    };
    let run = call.run;
    let (mut out, made) = (std::mem::take(&mut run.buffers.output), std::mem::take(&mut run.buffers.scratch));
    out.clear();
    let found = path::follow(wanted, text.unwrap_or(&made), &mut out, &run.ticket);
    let answer = match (found, text) {
        (Err(error), _) => Err(run.refuse(format_args!("{FUNCTION}: {error}"))),
        (Ok(Found::Nothing), _) => Ok(Answer::Nil),
        (Ok(Found::Many), _) => Ok(Answer::OutputJson),
        (Ok(Found::One(range)), text) => match (&text.unwrap_or(&made)[range.clone()], text) {
            (b"null", _) => Ok(Answer::Nil),
            (_, Some(text)) => Ok(Answer::Json(&text[range], JsonOf::Argument(FUNCTION))),
            (value, None) => {
                out.extend_from_slice(value);
                Ok(Answer::OutputJson)
            }
        },
    };
    run.buffers.output = out;
    run.buffers.scratch = made;
    answer
}
