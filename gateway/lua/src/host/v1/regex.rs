//! `gate.regex`: regular expressions in linear time.
//!
//! The engine is that of the crate `regex`: finite automata without backtracking, so that no pattern is a bomb. Compiled patterns
//! are kept per worker thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use crate::host::function::{PhaseSet, function, text};
use crate::host::{Answer, Answered, Call, Noun, Refused};
use crate::json::TEXT_BYTES_MAX;
use crate::json::encode::write_string;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4 * 1024;

/// Largest compiled pattern, in bytes; also bounds what compiling takes, to a few milliseconds.
const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// Most compiled patterns kept per thread. All go when a new one has no place.
const KEPT_MAX: usize = 256;

/// Longest text that is searched, in bytes: about 10 ms.
const SEARCHED_BYTES_MAX: usize = 2 * 1024 * 1024;

thread_local! {
    static KEPT: RefCell<HashMap<Box<str>, Rc<Regex>>> = RefCell::default();
}

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.regex",
    about: "Regular expressions that take linear time whatever they are given: no look-around, no back-references. The syntax is \
            that of Rust's crate `regex`; `(?i)` in front ignores case. Patterns have at most 4 KiB, texts at most 2 MiB of UTF-8.",
    functions: &[
        function("test", PhaseSet::ALL, test)
            .about("Whether a pattern matches anywhere in a text.")
            .takes(&[text("pattern", "the pattern"), text("text", "the text")])
            .gives("boolean")
            .fails("raises on patterns that are none, and on texts that are not UTF-8")
            .costs("compiles a pattern once per worker")
            .example("gate.regex.test('^/v[0-9]+/', '/v2/pets') --> true"),
        function("find", PhaseSet::ALL, find)
            .about("The first match: the whole of it in `match`, the groups in `groups`, named ones in `named` too. Groups that took \
                    no part are `json.null`.")
            .takes(&[text("pattern", "the pattern"), text("text", "the text")])
            .gives("{ match: string, groups: { any }, named: { [string]: any } }?")
            .fails("as `test`")
            .example("gate.regex.find('(\\\\d+)-(?<b>\\\\d+)', 'x 10-20').match --> '10-20'\n\
                      gate.regex.find('(\\\\d+)-(?<b>\\\\d+)', 'x 10-20').groups[1] --> '10'\n\
                      gate.regex.find('(\\\\d+)-(?<b>\\\\d+)', 'x 10-20').named.b --> '20'\n\
                      gate.regex.find('z', 'x') --> nil"),
        function("replace", PhaseSet::ALL, replace)
            .about("The text with every match replaced; `$1` and `${name}` in the replacement stand for groups, `$$` for a `$`.")
            .takes(&[text("pattern", "the pattern"), text("text", "the text"), text("replacement", "what to write")])
            .gives("string")
            .fails("as `test`, and when the result would be longer than 10 MiB")
            .example("gate.regex.replace('\\\\d', 'a1b2', '#') --> 'a#b#'"),
    ],
    fields: &[],
    is_open: false,
};

fn compiled<'call>(call: &mut Call<'call, '_>, function: &str) -> Result<(Rc<Regex>, &'call str), Refused> {
    let (pattern, text) = (call.text(1, function)?, call.text(2, function)?);
    let Ok(pattern) = std::str::from_utf8(pattern) else {
        return Err(call.run.refuse(format_args!("{function}: the pattern is not UTF-8")));
    };
    if pattern.len() > PATTERN_BYTES_MAX || text.len() > SEARCHED_BYTES_MAX {
        return Err(call.run.refuse(format_args!(
            "{function}: a pattern has at most {PATTERN_BYTES_MAX} bytes, a text {SEARCHED_BYTES_MAX}"
        )));
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(call.run.refuse(format_args!("{function}: the text is not UTF-8")));
    };
    let regex = KEPT.with_borrow_mut(|kept| {
        if let Some(regex) = kept.get(pattern) {
            return Ok(Rc::clone(regex));
        }
        let built = RegexBuilder::new(pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(64)
            .build();
        let regex = Rc::new(built.map_err(|error| {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            call.run.refuse(format_args!("{function}: the pattern cannot be used: {last}"))
        })?);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(pattern.into(), Rc::clone(&regex));
        Ok(regex)
    })?;
    Ok((regex, text))
}

fn test<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let (regex, text) = compiled(&mut call, "gate.regex.test")?;
    Ok(Answer::Boolean(regex.is_match(text)))
}

fn find<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let (regex, text) = compiled(&mut call, "gate.regex.find")?;
    let Some(found) = regex.captures(text) else { return Ok(Answer::Nil) };
    let output = &mut call.run.buffers.output;
    output.clear();
    let write = |text: Option<&str>, output: &mut Vec<u8>| match text {
        Some(text) => write_string(text.as_bytes(), output).expect("a match is no longer than the text"),
        None => output.extend_from_slice(b"null"),
    };
    output.extend_from_slice(b"{\"match\":");
    write(found.get(0).map(|all| all.as_str()), output);
    output.extend_from_slice(b",\"groups\":[");
    for (place, group) in found.iter().skip(1).enumerate() {
        if place > 0 {
            output.push(b',');
        }
        write(group.map(|group| group.as_str()), output);
    }
    output.extend_from_slice(b"],\"named\":{");
    for (place, name) in regex.capture_names().flatten().enumerate() {
        if place > 0 {
            output.push(b',');
        }
        write(Some(name), output);
        output.push(b':');
        write(found.name(name).map(|group| group.as_str()), output);
    }
    output.extend_from_slice(b"}}");
    Ok(Answer::OutputJson)
}

fn replace<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.regex.replace";
    let (regex, text) = compiled(&mut call, FUNCTION)?;
    let replacement = String::from_utf8_lossy(call.text(3, FUNCTION)?).into_owned();
    let run = call.run;
    let mut out = String::new();
    let mut at = 0;
    for found in regex.captures_iter(text) {
        let Some(all) = found.get(0) else { continue };
        out.push_str(&text[at..all.start()]);
        found.expand(&replacement, &mut out);
        at = all.end();
        if out.len() > TEXT_BYTES_MAX || run.ticket.is_due() {
            return Err(run.refuse(format_args!("{FUNCTION}: the result would be too long")));
        }
    }
    out.push_str(&text[at..]);
    run.buffers.output = out.into_bytes();
    Ok(Answer::Output)
}
