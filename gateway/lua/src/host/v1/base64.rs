//! `gate.base64`: Base64 (RFC 4648), standard and for URLs.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::host::function::{PhaseSet, function, text};
use crate::host::{Answer, Answered, Call, Noun};
use crate::json::TEXT_BYTES_MAX;

const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, INDIFFERENT);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, INDIFFERENT.with_encode_padding(false));
const INDIFFERENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.base64",
    about: "Base64 (RFC 4648): standard with padding, and the form for URLs without. Reading takes both with or without padding.",
    functions: &[
        function("encode", PhaseSet::ALL, encode)
            .about("Standard Base64 with padding.")
            .takes(&[text("bytes", "at most 7 MiB")])
            .gives("string")
            .example("gate.base64.encode('hi?') --> 'aGk/'"),
        function("decode", PhaseSet::ALL, decode)
            .about("The reverse of `encode`.")
            .takes(&[text("text", "standard Base64")])
            .gives("(string?, string?)")
            .fails("returns nil and a reason when the text is not Base64")
            .example("gate.base64.decode('aGk/') --> 'hi?'\ngate.base64.decode('*') --> nil"),
        function("encode_url", PhaseSet::ALL, encode_url)
            .about("Base64 for URLs, without padding.")
            .takes(&[text("bytes", "at most 7 MiB")])
            .gives("string")
            .example("gate.base64.encode_url('hi?') --> 'aGk_'"),
        function("decode_url", PhaseSet::ALL, decode_url)
            .about("The reverse of `encode_url`.")
            .takes(&[text("text", "Base64 for URLs")])
            .gives("(string?, string?)")
            .fails("returns nil and a reason when the text is not Base64 for URLs")
            .example("gate.base64.decode_url('aGk_') --> 'hi?'"),
    ],
    fields: &[],
    is_open: false,
};

fn encode<'call>(call: Call<'call, '_>) -> Answered<'call> {
    write(call, "gate.base64.encode", &STANDARD)
}

fn encode_url<'call>(call: Call<'call, '_>) -> Answered<'call> {
    write(call, "gate.base64.encode_url", &URL)
}

fn decode<'call>(call: Call<'call, '_>) -> Answered<'call> {
    read(call, "gate.base64.decode", &STANDARD)
}

fn decode_url<'call>(call: Call<'call, '_>) -> Answered<'call> {
    read(call, "gate.base64.decode_url", &URL)
}

fn write<'call>(mut call: Call<'call, '_>, function: &str, engine: &GeneralPurpose) -> Answered<'call> {
    let bytes = call.text(1, function)?;
    let length = bytes.len().div_ceil(3) * 4;
    if length > TEXT_BYTES_MAX {
        return Err(call.run.refuse(format_args!("{function}: the text would be longer than {TEXT_BYTES_MAX} bytes")));
    }
    let output = &mut call.run.buffers.output;
    output.resize(length, 0);
    let written = engine.encode_slice(bytes, output).unwrap_or(0);
    output.truncate(written);
    Ok(Answer::Output)
}

fn read<'call>(mut call: Call<'call, '_>, function: &str, engine: &GeneralPurpose) -> Answered<'call> {
    let text = call.text(1, function)?;
    let run = call.run;
    run.buffers.output.clear();
    match engine.decode_vec(text, &mut run.buffers.output) {
        Ok(()) => Ok(Answer::Output),
        Err(_) => Ok(run.fail(format_args!("the text is not Base64"))),
    }
}
