//! `log`: lines for whoever looks at a request's trace. `print` is `log.info`.

use super::request;
use crate::error::printable;
use crate::host::{Answer, Answered, Call, Noun};
use crate::json::text;
use crate::run::Run;
use crate::stack::Stack;

/// Most lines of one exchange.
const LINES_MAX: usize = 64;

/// Longest line, in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// The last line of a script that logs too much.
const TOO_MANY: &str = "warn: further lines were dropped";

pub(super) fn install(lua: &mlua::Lua) -> mlua::Result<mlua::Table> {
    let noun = Noun::new(lua)?
        .function("debug", debug)?
        .function("info", info)?
        .function("warn", warn)?
        .function("error", error)?;
    Ok(noun.finish())
}

fn debug<'call>(call: Call<'call, '_>) -> Answered<'call> {
    write(call, "debug")
}

fn info<'call>(call: Call<'call, '_>) -> Answered<'call> {
    write(call, "info")
}

fn warn<'call>(call: Call<'call, '_>) -> Answered<'call> {
    write(call, "warn")
}

fn error<'call>(call: Call<'call, '_>) -> Answered<'call> {
    write(call, "error")
}

/// Writes one line out of any values, with tabs between them. While a script is loaded there is no exchange to write to, and
/// the line is dropped.
fn write<'call>(call: Call<'call, '_>, level: &str) -> Answered<'call> {
    let Some(exchange) = &call.run.exchange else { return Ok(Answer::Nothing) };
    if exchange.script_log.len() > LINES_MAX {
        return Ok(Answer::Nothing);
    }
    let line = if exchange.script_log.len() == LINES_MAX {
        TOO_MANY.to_owned()
    } else {
        line(call.run, call.arguments, level)
    };
    request::exchange(call.run, "log")?.script_log.push(line);
    Ok(Answer::Nothing)
}

fn line(run: &mut Run<'_>, arguments: Stack<'_>, level: &str) -> String {
    let out = &mut run.buffers.output;
    out.clear();
    out.extend_from_slice(level.as_bytes());
    out.push(b':');
    for place in 1..=arguments.len() {
        out.push(if place == 1 { b' ' } else { b'\t' });
        let value = arguments.get(place);
        let before = out.len();
        if text::write(value, out, &run.ticket).is_err() {
            out.truncate(before);
            out.extend_from_slice(value.type_name().as_bytes());
        }
        if out.len() > LINE_BYTES_MAX {
            break;
        }
    }
    printable(out, LINE_BYTES_MAX)
}
