//! Guards of Luau's own functions.
//!
//! Luau asks whether a run is over at loops, calls and steps of pattern matching. Some library functions work for long
//! between two such questions, because the work is the product of two arguments. Guards refuse what would take longer than
//! the CPU budget, or do the work in a way that is not a product. (Source: Luau's `lstrlib.cpp` and `ltablib.cpp`.)

use mlua::{Function, Lua, Table};

use crate::host::raw::{self, HostFunction};
use crate::host::{Answer, Answered, Call, Refused};
use crate::stack::Value;

/// Most comparisons of a byte with a member of a set (`[...]`) in one step of matching: one step may go through the whole
/// text, and compare each byte with the whole set. About 40 ms.
const SET_COMPARISONS_MAX: usize = 1 << 24;

/// Most bytes compared by `string.split`, which compares the separator anew at every place. About 30 ms.
const COMPARISONS_MAX: usize = 1 << 28;

/// Most `%` in the replacement of `string.gsub`, which are all looked at for every match.
const REPLACEMENT_ESCAPES_MAX: usize = 4096;

/// Most elements `table.move` moves: it goes through the whole range, be there elements or not. About 10 ms.
const MOVED_ELEMENTS_MAX: f64 = 100_000.0;

/// Largest place that `table.move` moves to and from: Luau counts with 31 bits.
const PLACE_MAX: f64 = 2_147_000_000.0;

/// Puts guards before the functions of the libraries `string` and `table` that need them.
pub(crate) fn guard_libraries(lua: &Lua, string: &Table, table: &Table) -> mlua::Result<()> {
    guard(lua, string, "find", find)?;
    guard(lua, string, "match", match_pattern)?;
    guard(lua, string, "gmatch", match_pattern)?;
    guard(lua, string, "gsub", gsub)?;
    guard(lua, string, "split", split)?;
    guard(lua, table, "move", move_elements)?;
    let less = lua.load("return function(a, b) return a < b end").set_name("=[gateway]").eval()?;
    let wrap = "return function(less) return function(a, b) return less(a, b) end end";
    let wrap = lua.load(wrap).set_name("=[gateway]").eval()?;
    table.raw_set("sort", raw::sort(lua, table.raw_get("sort")?, less, wrap)?)
}

fn guard(lua: &Lua, library: &Table, name: &str, check: impl HostFunction) -> mlua::Result<()> {
    let original: Function = library.raw_get(name)?;
    library.raw_set(name, raw::guard(lua, name, original, check)?)
}

/// The longest set in a pattern, in bytes.
fn longest_set(pattern: &[u8]) -> usize {
    let mut longest = 0;
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'[', pattern.get(at..).unwrap_or_default()) {
        let start = at + open;
        // The first byte belongs to the set whatever it is, and so does one behind a `%`.
        let mut end = start + 1;
        if pattern.get(end) == Some(&b'^') {
            end += 1;
        }
        loop {
            end += if pattern.get(end) == Some(&b'%') { 2 } else { 1 };
            if end >= pattern.len() || pattern[end] == b']' {
                break;
            }
        }
        longest = longest.max(end - start);
        at = end;
    }
    longest
}

/// Checks subject and pattern of a matching function. Other arguments than strings are left to the function.
fn check_pattern(call: &mut Call<'_, '_>) -> Result<(), Refused> {
    let (Value::Text(subject), Value::Text(pattern)) = (call.arguments.get(1), call.arguments.get(2)) else {
        return Ok(());
    };
    let work = subject.len().saturating_mul(longest_set(pattern));
    if work > SET_COMPARISONS_MAX {
        return Err(call.run.refuse(format_args!("the text is too long for a pattern with so large a set")));
    }
    Ok(())
}

fn match_pattern<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    check_pattern(&mut call)?;
    Ok(Answer::Guarded)
}

fn gsub<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    check_pattern(&mut call)?;
    if let Value::Text(replacement) = call.arguments.get(3)
        && memchr::memchr_iter(b'%', replacement).nth(REPLACEMENT_ESCAPES_MAX).is_some()
    {
        return Err(call.run.refuse(format_args!("the replacement has more than {REPLACEMENT_ESCAPES_MAX} `%`")));
    }
    Ok(Answer::Guarded)
}

/// `string.find`: a search for plain text is done here, in time that grows with the sum of the lengths and not the product.
fn find<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let arguments = call.arguments;
    let (Value::Text(subject), Value::Text(wanted)) = (arguments.get(1), arguments.get(2)) else {
        return Ok(Answer::Guarded);
    };
    let start = match arguments.get(3) {
        Value::Absent | Value::Nil => 1.0,
        Value::Number(start) => start.trunc(),
        // A number written as a string: rare, and left to the function as long as that is no work.
        _ => {
            check_product(&mut call, subject, wanted)?;
            check_pattern(&mut call)?;
            return Ok(Answer::Guarded);
        }
    };
    let is_plain = match arguments.get(4) {
        Value::Absent | Value::Nil | Value::Boolean(false) => !wanted.iter().any(|byte| b"^$*+?.([%-".contains(byte)),
        _ => true,
    };
    if !is_plain {
        check_pattern(&mut call)?;
        return Ok(Answer::Guarded);
    }
    let from = if start > 0.0 { start - 1.0 } else { (subject.len() as f64 + start).max(0.0) };
    let from = if start == 0.0 { 0 } else { from as usize };
    let Some(rest) = subject.get(from..) else { return Ok(Answer::Nil) };
    Ok(match memchr::memmem::find(rest, wanted) {
        Some(place) => {
            let first = from + place + 1;
            Answer::Span(first as f64, (first + wanted.len()) as f64 - 1.0)
        }
        None => Answer::Nil,
    })
}

fn split<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    if let (Value::Text(text), Value::Text(separator)) = (call.arguments.get(1), call.arguments.get(2)) {
        check_product(&mut call, text, separator)?;
    }
    Ok(Answer::Guarded)
}

/// Checks a text and what is compared anew with every place of it.
fn check_product(call: &mut Call<'_, '_>, text: &[u8], wanted: &[u8]) -> Result<(), Refused> {
    if text.len().saturating_mul(wanted.len()) > COMPARISONS_MAX {
        return Err(call.run.refuse(format_args!("the text is too long to look for so long a text in it")));
    }
    Ok(())
}

fn move_elements<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let mut places = [0.0; 3];
    for (argument, place) in (2..=4).zip(&mut places) {
        let given = call.arguments.get(argument.into());
        let Value::Number(number) = given else { return Err(call.wrong(argument, "table.move", "a number", given)) };
        *place = number;
    }
    let [first, last, to] = places;
    // Asked this way round, what is no number is refused.
    let is_small = last - first < MOVED_ELEMENTS_MAX && [first, last, to].iter().all(|place| place.abs() < PLACE_MAX);
    if !is_small {
        let most = MOVED_ELEMENTS_MAX;
        return Err(call
            .run
            .refuse(format_args!("table.move: moves {most} elements at most, to places below {PLACE_MAX}")));
    }
    Ok(Answer::Guarded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_set_of_a_pattern_is_found() {
        let cases = [
            ("", 0),
            ("abc", 0),
            ("[abc]", 4),
            ("[^abc]x[a]", 5),
            ("[]]", 2),
            ("[%]a]", 4),
            ("%[abc", 4),
            ("[", 2),
            ("[%", 3),
            ("[a][bcd]", 4),
            ("%f[%w]", 3),
        ];
        for (pattern, want) in cases {
            assert_eq!(longest_set(pattern.as_bytes()), want, "{pattern}");
        }
    }
}
