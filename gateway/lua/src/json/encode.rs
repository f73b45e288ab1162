//! Lua values as JSON.
//!
//! A table is a list when its keys are 1 to n, or when it is empty and marked (`json.array`, or a list of a decoded text);
//! every other table has to have names only. Metamethods are not asked.

use std::io::Write as _;

use crate::stack::{StackFull, Table, Value};

use super::{DEPTH_MAX, Stop, TEXT_BYTES_MAX};

/// Largest whole number that doubles count to without gaps: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// How many values are written between two questions whether to stop.
const VALUES_PER_QUESTION: u32 = 256;

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("tables nested more than 64 deep, or a table that holds itself")]
    TooDeep,
    #[error("the text would be longer than 10 MiB")]
    TooLarge,
    #[error("a string that is not UTF-8; util.base64Encode makes text of any bytes")]
    NotUtf8,
    #[error("a number that is infinite or not a number")]
    NotFinite,
    #[error("a table with both numbers and names as keys, or with gaps between its numbers")]
    NeitherListNorMap,
    #[error("a table with a {0} as key")]
    KeyType(&'static str),
    #[error("a {0}")]
    ValueType(&'static str),
    #[error("the run was stopped")]
    Stopped,
    #[error("the Lua stack is full")]
    StackFull,
}

impl From<StackFull> for Error {
    fn from(StackFull: StackFull) -> Self {
        Self::StackFull
    }
}

/// Appends `value` to `out`.
pub(crate) fn write(value: Value<'_>, out: &mut Vec<u8>, stop: &impl Stop) -> Result<(), Error> {
    Writer { out, stop, values: 0 }.value(value, 0)
}

struct Writer<'out, S> {
    out: &'out mut Vec<u8>,
    stop: &'out S,
    values: u32,
}

impl<S: Stop> Writer<'_, S> {
    fn value(&mut self, value: Value<'_>, depth: usize) -> Result<(), Error> {
        self.values += 1;
        if self.values.is_multiple_of(VALUES_PER_QUESTION) && self.stop.is_due() {
            return Err(Error::Stopped);
        }
        match value {
            Value::Absent | Value::Nil | Value::Null => self.out.extend_from_slice(b"null"),
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Number(number) => write_number(number, self.out)?,
            Value::Text(text) => write_string(text, self.out)?,
            Value::Table(table) => self.table(table, depth + 1)?,
            Value::Other(name) => return Err(Error::ValueType(name)),
        }
        if self.out.len() > TEXT_BYTES_MAX { Err(Error::TooLarge) } else { Ok(()) }
    }

    fn table(&mut self, table: Table<'_>, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        let length = table.len();
        if length > 0 { self.list(table, length, depth) } else { self.map(table, depth) }
    }

    fn list(&mut self, table: Table<'_>, length: usize, depth: usize) -> Result<(), Error> {
        let mut pairs = 0;
        table.for_each(|_, _| {
            pairs += 1;
            if pairs > length { Err(Error::NeitherListNorMap) } else { Ok(()) }
        })?;
        if pairs < length {
            return Err(Error::NeitherListNorMap);
        }
        self.out.push(b'[');
        for place in 1..=length {
            if place > 1 {
                self.out.push(b',');
            }
            table.element(place, |value| match value {
                // With as many pairs as the length says, a gap means that there is a key besides 1 to n.
                Value::Nil => Err(Error::NeitherListNorMap),
                value => self.value(value, depth),
            })?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, table: Table<'_>, depth: usize) -> Result<(), Error> {
        let start = self.out.len();
        table.for_each(|key, value| {
            self.out.push(if self.out.len() == start { b'{' } else { b',' });
            match key {
                Value::Text(name) => write_string(name, self.out)?,
                Value::Number(_) => return Err(Error::NeitherListNorMap),
                other => return Err(Error::KeyType(other.type_name())),
            }
            self.out.push(b':');
            self.value(value, depth)
        })?;
        if self.out.len() > start {
            self.out.push(b'}');
        } else {
            self.out.extend_from_slice(if table.is_marked_list() { b"[]" } else { b"{}" });
        }
        Ok(())
    }
}

/// Appends a number: whole numbers up to 2^53 as digits only, others as short as they can be read back.
pub(crate) fn write_number(number: f64, out: &mut Vec<u8>) -> Result<(), Error> {
    if number.abs() <= WHOLE_MAX && number.trunc() == number {
        write_whole(number as i64, out);
        return Ok(());
    }
    if !number.is_finite() {
        return Err(Error::NotFinite);
    }
    // `Debug` uses an exponent where digits would be many.
    write!(out, "{number:?}").expect("writing to a vector does not fail");
    Ok(())
}

fn write_whole(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends a string in quotes.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    if out.len() + text.len() > TEXT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    if std::str::from_utf8(text).is_err() {
        return Err(Error::NotUtf8);
    }
    out.push(b'"');
    let mut written = 0;
    for (place, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[written..place]);
        write_escape(byte, out);
        written = place + 1;
    }
    out.extend_from_slice(&text[written..]);
    out.push(b'"');
    Ok(())
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            write!(out, "\\u{byte:04x}").expect("writing to a vector does not fail");
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Result<String, Error> {
        let mut out = Vec::new();
        write_number(value, &mut out).map(|()| String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn numbers_are_written_as_people_write_them_and_read_back_the_same() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-42.0, "-42"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (-9_007_199_254_740_992.0, "-9007199254740992"),
            (9_007_199_254_740_994.0, "9007199254740994.0"),
            (0.1, "0.1"),
            (1.5e-9, "1.5e-9"),
            (1e300, "1e300"),
            (123456.789, "123456.789"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ];
        for (value, want) in cases {
            let text = number(value).expect("finite");
            assert_eq!(text, want);
            assert_eq!(text.parse::<f64>().expect("a number"), value);
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(number(value), Err(Error::NotFinite));
        }
    }

    #[test]
    fn strings_are_escaped_where_json_demands_it() {
        let cases: [(&[u8], Result<&str, Error>); 5] = [
            (b"", Ok(r#""""#)),
            (b"a/b \x7f", Ok("\"a/b \x7f\"")),
            (b"\"\\\n\r\t\x08\x0c\x00\x1f", Ok(r#""\"\\\n\r\t\b\f\u0000\u001f""#)),
            ("caf\u{e9} \u{2028}".as_bytes(), Ok("\"caf\u{e9} \u{2028}\"")),
            (b"\xc3", Err(Error::NotUtf8)),
        ];
        for (text, want) in cases {
            let mut out = Vec::new();
            let got = write_string(text, &mut out).map(|()| std::str::from_utf8(&out).expect("text"));
            assert_eq!(got, want);
        }
    }

    #[test]
    fn strings_do_not_grow_the_text_beyond_its_limit() {
        let mut out = vec![b' '; TEXT_BYTES_MAX - 1];
        assert_eq!(write_string(b"ab", &mut out), Err(Error::TooLarge));
    }
}
