//! `gate.url`: the pieces of URLs (RFC 3986) and queries.

use std::borrow::Cow;

use moongate_exchange::query;

use crate::host::function::{PhaseSet, function, table, text};
use crate::host::options::BadOption;
use crate::host::{Answer, Answered, Call, Noun};
use crate::json::TEXT_BYTES_MAX;
use crate::json::encode::write_string;
use crate::stack::{Table, Value};

/// Longest URL or query that is taken apart, in bytes.
const URL_BYTES_MAX: usize = 64 * 1024;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.url",
    about: "The pieces of URLs (RFC 3986) and of queries.",
    functions: &[
        function("encode", PhaseSet::ALL, encode)
            .about("Percent-encodes everything but letters, digits and `-._~`.")
            .takes(&[text("text", "at most 3 MiB")])
            .gives("string")
            .example("gate.url.encode('a b/ü') --> 'a%20b%2F%C3%BC'"),
        function("decode", PhaseSet::ALL, decode)
            .about("The reverse of `encode`. A `+` stays what it is.")
            .takes(&[text("text", "percent-encoded text")])
            .gives("(string?, string?)")
            .fails("returns nil and a reason when a `%` is not followed by two hexadecimal digits")
            .example("gate.url.decode('a%20b+c') --> 'a b+c'\ngate.url.decode('%') --> nil"),
        function("parse", PhaseSet::ALL, parse)
            .about("Takes an `http` or `https` URL apart. The port is the scheme's where the URL names none.")
            .takes(&[text("url", "at most 64 KiB")])
            .gives("({ scheme: string, host: string, port: number, path: string, query: string? }?, string?)")
            .fails("returns nil and a reason for anything else, also for URLs with a user name")
            .example(
                "gate.url.parse('https://shop.example/a?b=c').host --> 'shop.example'\n\
                      gate.url.parse('https://shop.example/a').port --> 443",
            ),
        function("parse_query", PhaseSet::ALL, parse_query)
            .about("The parameters of a query, decoded; of several with one name the last one counts.")
            .takes(&[text("query", "without `?`, at most 64 KiB")])
            .gives("{ [string]: string }")
            .fails("raises on longer queries")
            .example("gate.url.parse_query('a=1&b=x+y').b --> 'x y'"),
        function("build_query", PhaseSet::ALL, build_query)
            .about("The query that a table of texts, numbers and booleans makes, sorted by name.")
            .takes(&[table("parameters", "names and values")])
            .gives("string")
            .fails("raises on other values")
            .example("gate.url.build_query({ b = 'x y', a = 1 }) --> 'a=1&b=x%20y'"),
    ],
    fields: &[],
    is_open: false,
};

fn percent_encode(text: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

fn encode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.url.encode")?;
    if text.len() > TEXT_BYTES_MAX / 3 {
        return Err(call.run.refuse(format_args!("gate.url.encode: the text is too long")));
    }
    let output = &mut call.run.buffers.output;
    output.clear();
    percent_encode(text, output);
    Ok(Answer::Output)
}

fn decode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.url.decode")?;
    let run = call.run;
    let output = &mut run.buffers.output;
    output.clear();
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'%' {
            output.push(byte);
            at += 1;
            continue;
        }
        match (digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (Some(high), Some(low)) => output.push((high * 16 + low) as u8),
            _ => return Ok(run.fail(format_args!("a `%` is not followed by two hexadecimal digits"))),
        }
        at += 3;
    }
    Ok(Answer::Output)
}

fn parse<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.url.parse")?;
    let run = call.run;
    let url = std::str::from_utf8(text).ok().filter(|url| url.len() <= URL_BYTES_MAX).and_then(|url| url.parse().ok());
    let Some(url): Option<http::Uri> = url else { return Ok(run.fail(format_args!("the text is not a URL"))) };
    let (scheme, port) = match url.scheme_str() {
        Some("http") => ("http", 80),
        Some("https") => ("https", 443),
        _ => return Ok(run.fail(format_args!("the URL needs `http://` or `https://`"))),
    };
    let Some(authority) = url.authority().filter(|authority| !authority.as_str().contains('@')) else {
        return Ok(run.fail(format_args!("the URL needs a host, and no user name")));
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let parts = serde_json::json!({
        "scheme": scheme, "host": host, "port": authority.port_u16().unwrap_or(port),
        "path": url.path(), "query": url.query(),
    });
    run.buffers.output = without_null(parts);
    Ok(Answer::OutputJson)
}

/// The JSON text of an object without the members that are null: Lua's nil is no member either.
pub(super) fn without_null(mut object: serde_json::Value) -> Vec<u8> {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object.to_string().into_bytes()
}

fn parse_query<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.url.parse_query";
    let text = call.text(1, FUNCTION)?;
    if text.len() > URL_BYTES_MAX {
        return Err(call.run.refuse(format_args!("{FUNCTION}: the query is longer than {URL_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8_lossy(text);
    let output = &mut call.run.buffers.output;
    output.clear();
    output.push(b'{');
    for (place, (name, value)) in query::parameters(&text).enumerate() {
        if place > 0 {
            output.push(b',');
        }
        for (text, end) in [(name, &b":"[..]), (value, b"")] {
            let text: Cow<'_, str> = text;
            write_string(text.as_bytes(), output).expect("a query is far smaller than the limit");
            output.extend_from_slice(end);
        }
    }
    output.push(b'}');
    Ok(Answer::OutputJson)
}

fn build_query<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let Value::Table(parameters) = call.arguments.get(1) else { return Ok(Answer::Nil) };
    let run = call.run;
    match query_of(parameters) {
        Ok(query) => {
            run.buffers.output = query.into_bytes();
            Ok(Answer::Output)
        }
        Err(BadOption(why)) => Err(run.refuse(format_args!("gate.url.build_query: {why}"))),
    }
}

/// The query that a table makes, sorted by name.
pub(super) fn query_of(parameters: Table<'_>) -> Result<String, BadOption> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut length = 0;
    parameters.for_each(|key, value| {
        let mut text = Vec::new();
        let Value::Text(key) = key else { return Err(BadOption("parameters have names".to_owned())) };
        if !super::request::push_plain(value, &mut text) {
            return Err(BadOption(format!("a value must be a string, not {}", value.type_name())));
        }
        length += key.len() + text.len();
        if length > URL_BYTES_MAX {
            return Err(BadOption(format!("the query would be longer than {URL_BYTES_MAX} bytes")));
        }
        pairs.push((key.to_vec(), text));
        Ok(())
    })?;
    pairs.sort();
    let mut query = Vec::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push(b'&');
        }
        percent_encode(&name, &mut query);
        query.push(b'=');
        percent_encode(&value, &mut query);
    }
    Ok(String::from_utf8(query).unwrap_or_default())
}
