//! Times as the management API shows and takes them: RFC 3339 in UTC, or how long ago.

use std::time::{Duration, SystemTime};

use moongate_exchange::time::rfc3339_ms;

/// A moment, given in milliseconds since 1970, as text: `2026-04-09T12:34:56.789Z`.
pub fn text(epoch_ms: i64) -> String {
    rfc3339_ms(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(epoch_ms).unwrap_or(0)))
}

/// Reads a moment: `2026-04-09T12:34:56Z`, `2026-04-09T14:34+02:00`, or `-90m` before `now_ms` (`s`, `m`, `h`, `d`). Milliseconds since
/// 1970.
pub fn parse(text: &str, now_ms: i64) -> Option<i64> {
    if let Some(ago) = text.strip_prefix('-') {
        return now_ms.checked_sub(duration_ms(ago)?);
    }
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (time, offset_minutes) = offset(time)?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (number(time.next()?)?, number(time.next()?)?);
    let seconds = time.next().unwrap_or("0");
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let second = number(second)?;
    let millis: i64 = fraction
        .bytes()
        .chain(*b"000")
        .take(3)
        .try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let minutes = days_from_civil(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
    Some((minutes * 60 + second) * 1000 + millis)
}

/// Reads a duration: `90d`, `24h`, `30m`, `10s`. Milliseconds.
pub fn duration_ms(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let count = number(text.strip_suffix(unit)?)?;
    let unit_ms = match unit {
        's' => 1000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    count.checked_mul(unit_ms)
}

fn offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (time, offset) = time.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let minutes = number(hours)? * 60 + number(minutes)?;
    Some((time, if offset.starts_with('-') { -minutes } else { minutes }))
}

fn number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Days since 1970-01-01, after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for ms in [0, 951_782_400_000, 1_775_738_096_789, 4_107_542_400_000] {
            assert_eq!(parse(&text(ms), 0), Some(ms), "{}", text(ms));
        }
        assert_eq!(parse("2026-04-09T14:34:56.789+02:00", 0), Some(1_775_738_096_789));
        assert_eq!(parse("-90m", 6_000_000), Some(600_000));
        for wrong in
            ["", "now", "-", "-5", "2026-04-09", "2026-13-01T00:00Z", "2026-04-09T25:00Z", "2026-04-09T12:00", "é"]
        {
            assert_eq!(parse(wrong, 0), None, "{wrong}");
        }
    }
}
