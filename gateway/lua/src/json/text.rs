//! Lua values as the templates of API Gateway print them.
//!
//! There nothing prints as nothing, strings print as they are, a list prints as JSON, and a map prints as Java's maps do:
//! `{a=1, b=[2,3]}` (source: recorded behaviour of API Gateway).

use crate::stack::Value;

use super::encode::{self, Error};
use super::{DEPTH_MAX, Stop, TEXT_BYTES_MAX};

/// Appends `value` to `out`. Strings need not be UTF-8, except in lists.
pub(crate) fn write(value: Value<'_>, out: &mut Vec<u8>, stop: &impl Stop) -> Result<(), Error> {
    write_at(value, out, stop, 0)
}

fn write_at(value: Value<'_>, out: &mut Vec<u8>, stop: &impl Stop, depth: usize) -> Result<(), Error> {
    match value {
        Value::Absent | Value::Nil | Value::Null => {}
        Value::Text(text) => out.extend_from_slice(text),
        Value::Table(table) if table.len() == 0 && !table.is_marked_list() => {
            if depth == DEPTH_MAX {
                return Err(Error::TooDeep);
            }
            if stop.is_due() {
                return Err(Error::Stopped);
            }
            out.push(b'{');
            let mut is_first = true;
            table.for_each(|key, value| {
                if !std::mem::take(&mut is_first) {
                    out.extend_from_slice(b", ");
                }
                write_key(key, out)?;
                out.push(b'=');
                write_at(value, out, stop, depth + 1)
            })?;
            out.push(b'}');
        }
        Value::Number(number) if !number.is_finite() => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Boolean(_) | Value::Number(_) | Value::Table(_) => encode::write(value, out, stop)?,
        Value::Other(name) => return Err(Error::ValueType(name)),
    }
    if out.len() > TEXT_BYTES_MAX { Err(Error::TooLarge) } else { Ok(()) }
}

fn write_key(key: Value<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    match key {
        Value::Text(name) => out.extend_from_slice(name),
        Value::Number(number) => encode::write_number(number, out)?,
        Value::Boolean(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        other => return Err(Error::KeyType(other.type_name())),
    }
    Ok(())
}
