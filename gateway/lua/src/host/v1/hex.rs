//! `gate.hex`: bytes as hexadecimal digits.

use crate::host::function::{PhaseSet, function, text};
use crate::host::{Answer, Answered, Call, Noun};
use crate::json::TEXT_BYTES_MAX;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.hex",
    about: "Bytes as hexadecimal digits.",
    functions: &[
        function("encode", PhaseSet::ALL, encode)
            .about("Two lower-case digits per byte.")
            .takes(&[text("bytes", "at most 5 MiB")])
            .gives("string")
            .example("gate.hex.encode('hi') --> '6869'"),
        function("decode", PhaseSet::ALL, decode)
            .about("The reverse of `encode`; digits in any case.")
            .takes(&[text("text", "an even number of digits")])
            .gives("(string?, string?)")
            .fails("returns nil and a reason when the text is something else")
            .example("gate.hex.decode('6869') --> 'hi'\ngate.hex.decode('6') --> nil"),
    ],
    fields: &[],
    is_open: false,
};

fn encode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = call.text(1, "gate.hex.encode")?;
    if bytes.len() > TEXT_BYTES_MAX / 2 {
        return Err(call.run.refuse(format_args!("gate.hex.encode: the text is too long")));
    }
    let output = &mut call.run.buffers.output;
    output.clear();
    output.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
    Ok(Answer::Output)
}

fn decode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.hex.decode")?;
    let run = call.run;
    let output = &mut run.buffers.output;
    output.clear();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_chunks::<2>();
    for [high, low] in pairs {
        match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => output.push((high * 16 + low) as u8),
            _ => return Ok(run.fail(format_args!("the text is not hexadecimal"))),
        }
    }
    if !rest.is_empty() {
        return Ok(run.fail(format_args!("the text has an odd number of digits")));
    }
    Ok(Answer::Output)
}
