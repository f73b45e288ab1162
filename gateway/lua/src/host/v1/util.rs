//! `util`: what API Gateway's mapping templates find in `$util`, and `util.text`.
//!
//! Functions take strings, numbers and booleans; nil counts as an empty text, as it prints in templates.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{form, request};
use crate::host::function::{PhaseSet, any, direct, text};
use crate::host::{Answer, Answered, Call, JsonOf, Noun, Refused, raw};
use crate::json::{self, BYTES_PER_QUESTION, TEXT_BYTES_MAX};
use crate::stack::Value;

/// Standard Base64 (RFC 4648 section 4); reads it with or without the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "util",
    about: "What API Gateway's mapping templates find in `$util`. Functions take strings, numbers and booleans; nil counts as an \
            empty text.",
    functions: &[
        direct("escapeJavaScript", PhaseSet::ALL, raw::entry(escape_java_script))
            .about("The text as it may stand in a JavaScript string.")
            .takes(&[any("text", "the text").optional()])
            .gives("string")
            .example("util.escapeJavaScript(\"it's\") --> \"it\\\\'s\""),
        direct("parseJson", PhaseSet::ALL, raw::entry(parse_json))
            .about("The value of a JSON text.")
            .takes(&[text("text", "the text")])
            .gives("any")
            .fails("raises when the text is not JSON")
            .example("util.parseJson('[1]')[1] --> 1"),
        direct("urlEncode", PhaseSet::ALL, raw::entry(url_encode))
            .about("The text as forms encode it, with `+` for spaces.")
            .takes(&[any("text", "the text").optional()])
            .gives("string")
            .example("util.urlEncode('a b') --> 'a+b'"),
        direct("urlDecode", PhaseSet::ALL, raw::entry(url_decode))
            .about("The reverse of `urlEncode`.")
            .takes(&[any("text", "the text").optional()])
            .gives("string")
            .fails("raises when a `%` is not followed by two hexadecimal digits")
            .example("util.urlDecode('a+b') --> 'a b'"),
        direct("base64Encode", PhaseSet::ALL, raw::entry(base64_encode))
            .about("Standard Base64.")
            .takes(&[any("text", "the text").optional()])
            .gives("string")
            .example("util.base64Encode('hi') --> 'aGk='"),
        direct("base64Decode", PhaseSet::ALL, raw::entry(base64_decode))
            .about("The reverse of `base64Encode`: bytes, which need not be text.")
            .takes(&[any("text", "the text").optional()])
            .gives("string")
            .fails("raises when the text is not Base64")
            .example("util.base64Decode('aGk=') --> 'hi'"),
        direct("text", PhaseSet::ALL, raw::entry(to_text))
            .about("Any value as AWS's templates print it.")
            .takes(&[any("value", "the value").optional()])
            .gives("string")
            .example("util.text({ a = 1 }) --> '{a=1}'"),
    ],
    fields: &[],
    is_open: false,
};

/// Takes the first argument as text into `scratch`, and empties the output buffer.
fn take_plain(call: &mut Call<'_, '_>, function: &str, nothing: &[u8]) -> Result<(), Refused> {
    let value = call.arguments.get(1);
    let buffers = &mut call.run.buffers;
    buffers.output.clear();
    buffers.scratch.clear();
    if let Value::Absent | Value::Nil | Value::Null = value {
        buffers.scratch.extend_from_slice(nothing);
    } else if !request::push_plain(value, &mut buffers.scratch) {
        return Err(call.wrong(1, function, "a string", value));
    }
    if call.run.buffers.scratch.len() > TEXT_BYTES_MAX {
        return Err(too_large(call, function));
    }
    Ok(())
}

#[cold]
fn too_large(call: &mut Call<'_, '_>, function: &str) -> Refused {
    call.run.refuse(format_args!("{function}: the text would be longer than {TEXT_BYTES_MAX} bytes"))
}

/// `util.escapeJavaScript(text)`: the text as it may stand in a JavaScript string; nil is `null`.
///
/// Source: Apache Commons Lang, `StringEscapeUtils.escapeJavaScript`, which API Gateway's template engine offers.
fn escape_java_script<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "util.escapeJavaScript";
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    take_plain(&mut call, FUNCTION, b"null")?;
    let buffers = &mut *call.run.buffers;
    let mut unasked = 0;
    for character in String::from_utf8_lossy(&buffers.scratch).chars() {
        match character {
            '\'' | '"' | '\\' | '/' => buffers.output.extend([b'\\', character as u8]),
            '\n' => buffers.output.extend(b"\\n"),
            '\r' => buffers.output.extend(b"\\r"),
            '\t' => buffers.output.extend(b"\\t"),
            '\u{8}' => buffers.output.extend(b"\\b"),
            '\u{c}' => buffers.output.extend(b"\\f"),
            ' '..='~' => buffers.output.push(character as u8),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let digit = |shift: u16| DIGITS[usize::from(*unit >> shift & 15)];
                    buffers.output.extend([b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
                }
            }
        }
        if buffers.output.len() > TEXT_BYTES_MAX {
            return Err(too_large(&mut call, FUNCTION));
        }
        unasked += 1;
        if unasked == BYTES_PER_QUESTION {
            unasked = 0;
            if call.run.ticket.is_due() {
                return Err(too_large(&mut call, FUNCTION));
            }
        }
    }
    Ok(Answer::Output)
}

/// `util.parseJson(text)`: the value of a JSON text.
fn parse_json<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "util.parseJson")?;
    Ok(Answer::Json(text, JsonOf::Argument("util.parseJson")))
}

/// `util.urlEncode(text)`: as forms encode it, with `+` for spaces.
fn url_encode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "util.urlEncode";
    take_plain(&mut call, FUNCTION, b"")?;
    let buffers = &mut *call.run.buffers;
    if form::encode(&buffers.scratch, &mut buffers.output, &call.run.ticket) {
        Ok(Answer::Output)
    } else {
        Err(too_large(&mut call, FUNCTION))
    }
}

/// `util.urlDecode(text)`: the reverse. A `%` without two digits behind it is an error.
fn url_decode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "util.urlDecode";
    take_plain(&mut call, FUNCTION, b"")?;
    let buffers = &mut *call.run.buffers;
    if form::decode(&buffers.scratch, &mut buffers.output, &call.run.ticket) {
        return Ok(Answer::Output);
    }
    Err(call.run.refuse(format_args!("{FUNCTION}: a `%` is not followed by two hexadecimal digits")))
}

/// `util.base64Encode(text)`.
fn base64_encode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "util.base64Encode";
    take_plain(&mut call, FUNCTION, b"")?;
    let buffers = &mut *call.run.buffers;
    let length = buffers.scratch.len().div_ceil(3) * 4;
    if length > TEXT_BYTES_MAX {
        return Err(too_large(&mut call, FUNCTION));
    }
    buffers.output.resize(length, 0);
    match BASE64.encode_slice(&buffers.scratch, &mut buffers.output) {
        Ok(_) => Ok(Answer::Output),
        Err(_) => Err(too_large(&mut call, FUNCTION)),
    }
}

/// `util.base64Decode(text)`: the bytes, which need not be text.
fn base64_decode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "util.base64Decode";
    take_plain(&mut call, FUNCTION, b"")?;
    let buffers = &mut *call.run.buffers;
    match BASE64.decode_vec(&buffers.scratch, &mut buffers.output) {
        Ok(()) => Ok(Answer::Output),
        Err(_) => Err(call.run.refuse(format_args!("{FUNCTION}: the text is not Base64"))),
    }
}

/// `util.text(value)`: any value as API Gateway's templates print it.
fn to_text<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let value = call.arguments.get(1);
    let run = call.run;
    run.buffers.output.clear();
    match json::text::write(value, &mut run.buffers.output, &run.ticket) {
        Ok(()) => Ok(Answer::Output),
        Err(why) => Err(run.refuse(format_args!("util.text: {why}"))),
    }
}
