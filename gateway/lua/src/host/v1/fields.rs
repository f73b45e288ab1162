//! Header fields that scripts write.
//!
//! What a script writes goes on a wire: names and values are checked as RFC 9110 section 5 has them, so that a value taken
//! from a request cannot begin another field or another message.

use std::fmt;

use http::{HeaderName, HeaderValue};
use moongate_exchange::Headers;

use crate::json::encode;
use crate::stack::Value;

/// Most fields a message may have when a script adds one.
const FIELDS_MAX: usize = 200;

/// Longest value, in bytes (source: API Gateway quotas, total size of header values 10,240 bytes; here per value).
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Fields that say how the message is framed or that concern one connection. The gateway writes them itself.
const MANAGED: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Why a field cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Name,
    Managed(&'static str),
    Value(String),
    ValueType(&'static str),
    ValueLength,
    Many,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the name is not a header name"),
            Self::Managed(name) => write!(f, "`{name}` is written by the gateway itself"),
            Self::Value(name) => write!(f, "the value of `{name}` holds a line break or another control character"),
            Self::ValueType(name) => write!(f, "the value must be a string, not {name}"),
            Self::ValueLength => write!(f, "the value is longer than {VALUE_BYTES_MAX} bytes"),
            Self::Many => write!(f, "the message has {FIELDS_MAX} fields already"),
        }
    }
}

/// A name that scripts may write.
pub(crate) fn name(bytes: &[u8]) -> Result<HeaderName, Fault> {
    let name = HeaderName::from_bytes(bytes).map_err(|_| Fault::Name)?;
    match MANAGED.iter().find(|managed| name == **managed) {
        Some(managed) => Err(Fault::Managed(managed)),
        None => Ok(name),
    }
}

/// A value that scripts may write: a string, or a number or boolean as text.
pub(crate) fn value(name: &HeaderName, value: Value<'_>) -> Result<HeaderValue, Fault> {
    let parsed = match value {
        Value::Text(text) if text.len() > VALUE_BYTES_MAX => return Err(Fault::ValueLength),
        Value::Text(text) => HeaderValue::from_bytes(text),
        Value::Number(number) => HeaderValue::try_from(number.to_string()),
        Value::Boolean(truth) => Ok(HeaderValue::from_static(if truth { "true" } else { "false" })),
        other => return Err(Fault::ValueType(other.type_name())),
    };
    parsed.map_err(|_| Fault::Value(name.as_str().to_owned()))
}

/// Sets a field to one value.
pub(crate) fn set(headers: &mut Headers, name: HeaderName, value: HeaderValue) -> Result<(), Fault> {
    if headers.len() >= FIELDS_MAX && !headers.contains(&name) {
        return Err(Fault::Many);
    }
    headers.set(name, value);
    Ok(())
}

/// Adds a value to a field.
pub(crate) fn add(headers: &mut Headers, name: HeaderName, value: HeaderValue) -> Result<(), Fault> {
    if headers.len() >= FIELDS_MAX {
        return Err(Fault::Many);
    }
    headers.append(name, value);
    Ok(())
}

/// Appends all fields as a JSON object: a text for a field that is there once, else a list.
pub(crate) fn write_all(headers: &Headers, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, name) in headers.names().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_text(name.as_str().as_bytes(), out);
        out.push(b':');
        let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        match &values[..] {
            [one] => write_text(one.as_bytes(), out),
            several => {
                out.push(b'[');
                for (place, value) in several.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    write_text(value.as_bytes(), out);
                }
                out.push(b']');
            }
        }
    }
    out.push(b'}');
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(text);
    encode::write_string(text.as_bytes(), out).expect("heads of messages are far smaller than the limit");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(name(b"X-Tenant").map(|name| name.to_string()), Ok("x-tenant".to_owned()));
        for bytes in [&b""[..], b"a b", b"a:", b"a\r\nb", b"a\0", b"\xff", "\u{e9}".as_bytes()] {
            assert_eq!(name(bytes), Err(Fault::Name), "{bytes:?}");
        }
        for managed in MANAGED {
            assert_eq!(name(managed.to_uppercase().as_bytes()), Err(Fault::Managed(managed)));
        }
    }

    #[test]
    fn values_cannot_end_the_field() {
        let x = HeaderName::from_static("x");
        let long = vec![b'a'; VALUE_BYTES_MAX + 1];
        for text in [&b"a\r\nb: c"[..], b"a\nb", b"a\rb", b"\0", b"\x7f", b"\x1b"] {
            assert_eq!(value(&x, Value::Text(text)), Err(Fault::Value("x".to_owned())), "{text:?}");
        }
        assert_eq!(value(&x, Value::Text(&long)), Err(Fault::ValueLength));
        assert_eq!(value(&x, Value::Nil), Err(Fault::ValueType("nil")));
        for (good, want) in [
            (Value::Text(b"a\tb \xe9"), &b"a\tb \xe9"[..]),
            (Value::Text(b""), b""),
            (Value::Number(1.5), b"1.5"),
            (Value::Boolean(true), b"true"),
        ] {
            assert_eq!(value(&x, good).map(|value| value.as_bytes().to_vec()), Ok(want.to_vec()));
        }
    }

    #[test]
    fn messages_do_not_grow_without_end() {
        let mut headers = Headers::new();
        let (x, one) = (HeaderName::from_static("x"), HeaderValue::from_static("1"));
        for _ in 0..FIELDS_MAX {
            add(&mut headers, x.clone(), one.clone()).expect("below the limit");
        }
        assert_eq!(add(&mut headers, x.clone(), one.clone()), Err(Fault::Many));
        assert_eq!(set(&mut headers, HeaderName::from_static("y"), one.clone()), Err(Fault::Many));
        set(&mut headers, x, one).expect("replaces");
        assert_eq!(headers.len(), 1);
    }
}
