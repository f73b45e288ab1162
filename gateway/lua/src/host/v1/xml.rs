//! `gate.xml`: XML as values and back. The reading is done in `crate::xml`.

use crate::host::function::{PhaseSet, function, table, text};
use crate::host::{Answer, Answered, Call, Noun, options};
use crate::stack::Value;
use crate::xml;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.xml",
    about: "XML as values: an element is a table of its children by name; children of one name are a list; an attribute `a` is \
            `[\"@a\"]`; text beside children or attributes is `[\"#text\"]`; an element with nothing but text is that text. The \
            outermost table has one member, the root element. Names keep their prefixes. Document type declarations are refused, \
            and with them entities that expand.",
    functions: &[
        function("decode", PhaseSet::ALL, decode)
            .about("The value of an XML document. White space around text is left out.")
            .takes(&[text("text", "at most 2 MiB of UTF-8, 64 elements deep")])
            .gives("({ [string]: any }?, string?)")
            .fails("returns nil and a reason when the text is not XML")
            .costs("about 10 µs per KiB")
            .example(
                "gate.xml.decode('<a b=\"1\"><c>x</c><c>y</c></a>').a.c[2] --> 'y'\n\
                      gate.xml.decode('<a b=\"1\"/>').a['@b'] --> '1'\ngate.xml.decode('<a>') --> nil",
            ),
        function("encode", PhaseSet::ALL, encode)
            .about("The XML document that `decode` would read as this value; elements come sorted by name.")
            .takes(&[table("value", "one member, the root element")])
            .gives("string")
            .fails(
                "raises on values that are no elements: other than one root, names that XML does not know, functions",
            )
            .example("gate.xml.encode({ a = { ['@b'] = 1, c = { 'x', 'y' } } }) --> '<a b=\"1\"><c>x</c><c>y</c></a>'"),
    ],
    fields: &[],
    is_open: false,
};

fn decode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.xml.decode")?;
    let run = call.run;
    let mut out = std::mem::take(&mut run.buffers.output);
    out.clear();
    let read = xml::to_json(text, &mut out);
    run.buffers.output = out;
    match read {
        Ok(()) => Ok(Answer::OutputJson),
        Err(error) => Ok(run.fail(format_args!("{error}"))),
    }
}

fn encode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.xml.encode";
    let Value::Table(_) = call.arguments.get(1) else { return Ok(Answer::Nil) };
    options::json_of(&mut call, 1, FUNCTION)?;
    let run = call.run;
    let mut out = std::mem::take(&mut run.buffers.output);
    out.clear();
    let written = xml::from_json(&run.buffers.scratch, &mut out);
    run.buffers.output = out;
    match written {
        Ok(()) => Ok(Answer::Output),
        Err(error) => Err(run.refuse(format_args!("{FUNCTION}: {error}"))),
    }
}
