//! `gate.time`: the clock, and times as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moongate_exchange::time;

use crate::host::function::{PhaseSet, function, number, text};
use crate::host::{Answer, Answered, Call, Noun};
use crate::stack::Value;

/// Seconds from 1970 to the end of the year 9999.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.time",
    about: "The clock, and times as text. Times are seconds since 1970 in UTC, with fractions.",
    functions: &[
        function("now", PhaseSet::ALL, now)
            .about("Now, with milliseconds.")
            .gives("number")
            .example("gate.time.now() > 1700000000 --> true"),
        function("format", PhaseSet::ALL, format)
            .about("A time as text: `rfc3339` (`2026-04-09T12:34:56.789Z`), `http` (`Thu, 09 Apr 2026 12:34:56 GMT`) or `clf` \
                    (`09/Apr/2026:12:34:56 +0000`).")
            .takes(&[
                number("seconds", "since 1970, up to the end of the year 9999"),
                text("form", "default `rfc3339`").optional(),
            ])
            .gives("string")
            .fails("raises on other forms and times")
            .example("gate.time.format(784111777, 'http') --> 'Sun, 06 Nov 1994 08:49:37 GMT'"),
        function("parse", PhaseSet::ALL, parse)
            .about("The seconds that an RFC 3339 time stands for.")
            .takes(&[text("text", "`2026-04-09T12:34:56Z`, with or without a fraction, `Z` or an offset")])
            .gives("(number?, string?)")
            .fails("returns nil and a reason for anything else")
            .example("gate.time.parse('1994-11-06T09:49:37.5+01:00') --> 784111777.5\ngate.time.parse('soon') --> nil"),
    ],
    fields: &[],
    is_open: false,
};

/// Seconds since 1970 of the run's clock, in milliseconds' steps.
pub(super) fn seconds(now: SystemTime) -> f64 {
    now.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64 / 1000.0)
}

fn now<'call>(call: Call<'call, '_>) -> Answered<'call> {
    Ok(Answer::Number(seconds(call.run.services.clock.now())))
}

fn format<'call>(call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.time.format";
    let run = call.run;
    let Value::Number(seconds @ 0.0..=SECONDS_MAX) = call.arguments.get(1) else {
        return Err(run.refuse(format_args!("{FUNCTION}: the time must be from 0 to {SECONDS_MAX} seconds")));
    };
    let moment = UNIX_EPOCH + Duration::from_millis((seconds * 1000.0).round() as u64);
    let written = match call.arguments.get(2) {
        Value::Text(b"http") => time::http_date(moment),
        Value::Text(b"clf") => time::clf(moment),
        Value::Text(b"rfc3339") | Value::Absent | Value::Nil => time::rfc3339_ms(moment),
        _ => return Err(run.refuse(format_args!("{FUNCTION}: the form is `rfc3339`, `http` or `clf`"))),
    };
    run.buffers.output = written.into_bytes();
    Ok(Answer::Output)
}

fn parse<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let text = call.text(1, "gate.time.parse")?;
    match std::str::from_utf8(text).ok().and_then(rfc3339) {
        Some(seconds) => Ok(Answer::Number(seconds)),
        None => Ok(call.run.fail(format_args!("the text is not a time of RFC 3339"))),
    }
}

/// Reads a time (RFC 3339 section 5.6).
fn rfc3339(text: &str) -> Option<f64> {
    let digits = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let bytes = text.as_bytes();
    let separators = [(4, &b"-"[..]), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")];
    if !separators.iter().all(|(place, known)| bytes.get(*place).is_some_and(|byte| known.contains(byte))) {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    let mut at = 19;
    let mut fraction = 0.0;
    if bytes.get(at) == Some(&b'.') {
        let length = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 || length > 9 {
            return None;
        }
        fraction = text.get(at..=at + length)?.parse().ok()?;
        at += 1 + length;
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && bytes[at + 3] == b':' => {
            let (hours, minutes) = (digits(at + 1..at + 3)?, digits(at + 4..at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'+' { 1 } else { -1 }
        }
        _ => return None,
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *month_days.get(usize::try_from(month - 1).ok()?)?;
    if year < 1970 || day < 1 || day > length || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let years = year - 1;
    let before_year = years * 365 + years / 4 - years / 100 + years / 400 - 719_162;
    let before_month: i64 = month_days[..(month - 1) as usize].iter().sum();
    let seconds = (before_year + before_month + day - 1) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(seconds as f64 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_has_them() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2000-02-29T00:00:00Z", Some(951_782_400.0)),
            ("2026-04-09T12:34:56.789Z", Some(1_775_738_096.789)),
            ("2026-04-09t14:34:56+02:00", Some(1_775_738_096.0)),
            ("2026-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01T00:00:00+0100", None),
            ("+026-01-01T00:00:00Z", None),
            ("", None),
            ("é", None),
        ];
        for (text, want) in cases {
            assert_eq!(rfc3339(text), want, "{text}");
        }
    }
}
