//! `gate.uuid`: identifiers (RFC 9562).

use std::time::UNIX_EPOCH;

use crate::host::function::{PhaseSet, function, text};
use crate::host::{Answer, Answered, Call, Noun};
use crate::run::Run;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.uuid",
    about: "Identifiers that are unique without asking anybody (RFC 9562), as 36 lower-case characters.",
    functions: &[
        function("v4", PhaseSet::ALL, v4).about("A random one.").gives("string").example("#gate.uuid.v4() --> 36"),
        function("v7", PhaseSet::ALL, v7)
            .about("One that sorts by the time it was made.")
            .gives("string")
            .example("gate.uuid.v7():sub(15, 15) --> '7'"),
        function("is_valid", PhaseSet::ALL, is_valid)
            .about("Whether a text is a UUID, in any case.")
            .takes(&[text("text", "the text")])
            .gives("boolean")
            .example("gate.uuid.is_valid('0192d3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d') --> true\ngate.uuid.is_valid('x') --> false"),
    ],
    fields: &[],
    is_open: false,
};

fn write(run: &mut Run<'_>, mut raw: [u8; 16], version: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    raw[6] = version << 4 | (raw[6] & 0x0f);
    raw[8] = 0x80 | (raw[8] & 0x3f);
    let output = &mut run.buffers.output;
    output.clear();
    for (place, byte) in raw.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            output.push(b'-');
        }
        output.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn v4<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let mut raw = [0; 16];
    call.run.services.random.fill(&mut raw);
    write(call.run, raw, 4);
    Ok(Answer::Output)
}

fn v7<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let mut raw = [0; 16];
    call.run.services.random.fill(&mut raw[6..]);
    let now = call.run.services.clock.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    raw[..6].copy_from_slice(&now.to_be_bytes()[2..]);
    write(call.run, raw, 7);
    Ok(Answer::Output)
}

fn is_valid<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.uuid.is_valid")?;
    let is_right = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    Ok(Answer::Boolean(text.len() == 36 && text.iter().enumerate().all(is_right)))
}
