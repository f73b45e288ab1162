//! `log`: lines for whoever looks at a request's trace. `print` is `log.info`.

use super::request;
use crate::error::printable;
use crate::host::function::{PhaseSet, direct};
use crate::host::{Answer, Answered, Call, Function, Noun, raw};
use crate::json::text;
use crate::run::Run;
use crate::stack::Stack;

/// Most lines of one exchange.
const LINES_MAX: usize = 64;

/// Longest line, in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// The last line of a script that logs too much.
const TOO_MANY: &str = "warn: further lines were dropped";

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "log",
    about: "Lines for whoever looks at a request's trace: at most 64 of at most 1 KiB per request. `print` is `log.info`. While \
            a script is loaded there is no request to write to, and lines are dropped.",
    functions: &[
        level("debug", raw::entry(debug)).example("log.debug('seen', 1, true)"),
        level("info", raw::entry(info)).example("log.info('seen', 1, true)"),
        level("warn", raw::entry(warn)).example("log.warn('seen', 1, true)"),
        level("error", raw::entry(error)).example("log.error('seen', 1, true)"),
    ],
    fields: &[],
    is_open: false,
};

const fn level(name: &'static str, entry: mlua::lua_CFunction) -> Function {
    direct(name, PhaseSet::ALL, entry).about("Writes a line out of any values, with tabs between them.").and_more()
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
