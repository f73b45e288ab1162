//! What a plain YAML scalar means: the core schema (YAML 1.2.2 section 10.3.2).

use crate::source::Value;

/// A plain scalar that has no value we can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotFinite;

/// The value of a plain (unquoted) scalar.
///
/// Whole numbers beyond `i64` become the nearest float.
///
/// # Errors
///
/// [`NotFinite`] for `.inf`, `.nan` and numbers such as `1e999`: JSON and TOML cannot carry them, and no setting means them.
pub(super) fn resolve(text: &str) -> Result<Value, NotFinite> {
    // Nearly all scalars are names and sentences: one look at the first byte sorts them out.
    let Some(first) = text.as_bytes().first() else { return Ok(Value::Null) };
    match first {
        b'~' | b'n' | b'N' if matches!(text, "~" | "null" | "Null" | "NULL") => Ok(Value::Null),
        b't' | b'T' if matches!(text, "true" | "True" | "TRUE") => Ok(Value::Bool(true)),
        b'f' | b'F' if matches!(text, "false" | "False" | "FALSE") => Ok(Value::Bool(false)),
        b'0'..=b'9' | b'-' | b'+' | b'.' => number(text),
        _ => Ok(Value::String(text.into())),
    }
}

fn number(text: &str) -> Result<Value, NotFinite> {
    if let Some(value) = radix(text) {
        return Ok(value);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(NotFinite);
    }
    if !is_decimal(unsigned) {
        return Ok(Value::String(text.into()));
    }
    if let Ok(value) = text.parse::<i64>() {
        return Ok(Value::Integer(value));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float(value)),
        Ok(_) => Err(NotFinite),
        Err(_) => Ok(Value::String(text.into())),
    }
}

/// `0o17` and `0xff`.
fn radix(text: &str) -> Option<Value> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'o', ..] => (&text[2..], 8),
        [b'0', b'x', ..] => (&text[2..], 16),
        _ => return None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| char::from(b).is_digit(radix));
    i64::from_str_radix(digits, radix).ok().filter(|_| is_number).map(Value::Integer)
}

/// `[0-9]+`, `[0-9]+.[0-9]*` or `.[0-9]+`, then perhaps `e`, a sign and digits.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_ok = exponent.is_none_or(|part| {
        let digits = part.strip_prefix(['-', '+']).unwrap_or(part);
        !digits.is_empty() && all_digits(digits)
    });
    all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let text = |text: &str| Ok(Value::String(text.into()));
        let cases = [
            ("", Ok(Value::Null)),
            ("~", Ok(Value::Null)),
            ("NULL", Ok(Value::Null)),
            ("nULL", text("nULL")),
            ("True", Ok(Value::Bool(true))),
            ("no", text("no")),
            ("on", text("on")),
            ("0", Ok(Value::Integer(0))),
            ("017", Ok(Value::Integer(17))),
            ("0o17", Ok(Value::Integer(15))),
            ("0o18", text("0o18")),
            ("0xFF", Ok(Value::Integer(255))),
            ("0x", text("0x")),
            ("0x-1", text("0x-1")),
            ("+12", Ok(Value::Integer(12))),
            ("-9223372036854775808", Ok(Value::Integer(i64::MIN))),
            ("9223372036854775808", Ok(Value::Float(9_223_372_036_854_775_808.0))),
            ("1.5", Ok(Value::Float(1.5))),
            ("1.", Ok(Value::Float(1.0))),
            (".5", Ok(Value::Float(0.5))),
            ("1e3", Ok(Value::Float(1000.0))),
            (".", text(".")),
            ("-", text("-")),
            ("1e", text("1e")),
            ("1_000", text("1_000")),
            ("1.2.3", text("1.2.3")),
            ("12:30", text("12:30")),
            ("1e999", Err(NotFinite)),
            (".inf", Err(NotFinite)),
            ("-.INF", Err(NotFinite)),
            (".nan", Err(NotFinite)),
            ("-.nan", text("-.nan")),
            ("infinity", text("infinity")),
        ];
        for (written, want) in cases {
            assert_eq!(resolve(written), want, "{written}");
        }
    }
}
