//! The three ways the gateway writes a time: access logs and events, header fields, and programs.
//!
//! All are UTC. Times before 1970 are written as its first moment and times after 9999 as that year's last second: both
//! come from a wrong clock only, and every form keeps its length. Days become dates by `civil_from_days` as Howard Hinnant
//! describes it in "chrono-Compatible Low-Level Date Algorithms" (2013), with a year that starts in March, so that the leap
//! day is its last; that is all a date library would be needed for.

use std::time::SystemTime;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const SECONDS_PER_DAY: u64 = 86_400;

/// 9999-12-31T23:59:59Z, the last second whose year has four digits, in seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

/// `09/Apr/2026:12:34:56 +0000`: the Common Log Format's time, AWS's `$context.requestTime`.
pub fn clf(time: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = Civil::of(time);
    format!("{day:02}/{}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000", MONTHS[month - 1])
}

/// `Thu, 09 Apr 2026 12:34:56 GMT`: the form of `Date`, `Expires` and `Last-Modified` (RFC 9110 section 5.6.7).
pub fn http_date(time: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second, weekday, .. } = Civil::of(time);
    let (weekday, month) = (WEEKDAYS[weekday], MONTHS[month - 1]);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// `2026-04-09T12:34:56.789Z`: RFC 3339 with milliseconds, which sorts as text.
pub fn rfc3339_ms(time: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second, millis, .. } = Civil::of(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// A moment as people write it.
struct Civil {
    year: u64,
    /// 1..=12.
    month: usize,
    /// 1..=31.
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millis: u32,
    /// 0..=6, where 0 is the weekday of 1970-01-01, a Thursday.
    weekday: usize,
}

impl Civil {
    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().min(LAST_SECOND);
        let (days, in_day) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        Self {
            year,
            month,
            day,
            hour: in_day / 3_600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
            millis: since.subsec_millis(),
            weekday: (days % 7) as usize,
        }
    }
}

/// Year, month (1..=12) and day (1..=31) of a day counted from 1970-01-01.
fn civil_from_days(days: u64) -> (u64, usize, u64) {
    const DAYS_PER_ERA: u64 = 146_097; // 400 years
    const DAYS_FROM_0000_03_01: u64 = 719_468; // to 1970-01-01
    let days = days + DAYS_FROM_0000_03_01;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = days / DAYS_PER_ERA * 400 + year_of_era + u64::from(month <= 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64, millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
    }

    #[test]
    fn times_are_written_in_all_three_forms() {
        let cases = [
            (0, 0, "01/Jan/1970:00:00:00 +0000", "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"),
            // The example of RFC 9110 section 5.6.7.
            (784_111_777, 5, "06/Nov/1994:08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.005Z"),
            (951_782_400, 0, "29/Feb/2000:00:00:00 +0000", "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000Z"),
            (
                951_868_799,
                999,
                "29/Feb/2000:23:59:59 +0000",
                "Tue, 29 Feb 2000 23:59:59 GMT",
                "2000-02-29T23:59:59.999Z",
            ),
            (951_868_800, 0, "01/Mar/2000:00:00:00 +0000", "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00.000Z"),
            (
                1_775_738_096,
                789,
                "09/Apr/2026:12:34:56 +0000",
                "Thu, 09 Apr 2026 12:34:56 GMT",
                "2026-04-09T12:34:56.789Z",
            ),
            (
                4_107_542_400,
                0,
                "01/Mar/2100:00:00:00 +0000",
                "Mon, 01 Mar 2100 00:00:00 GMT",
                "2100-03-01T00:00:00.000Z",
            ),
        ];
        for (seconds, millis, log, header, program) in cases {
            let time = at(seconds, millis);
            assert_eq!((&*clf(time), &*http_date(time), &*rfc3339_ms(time)), (log, header, program));
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let days_in = |year: u64, month: usize| match month {
            2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut want = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil_from_days(days), want, "day {days}");
            let (year, month, day) = want;
            want = match (day == days_in(year, month), month) {
                (false, _) => (year, month, day + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn times_of_a_wrong_clock_keep_the_form() {
        assert_eq!(rfc3339_ms(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339_ms(at(LAST_SECOND, 0)), "9999-12-31T23:59:59.000Z");
        assert_eq!(clf(at(LAST_SECOND + 1_000_000, 0)), "31/Dec/9999:23:59:59 +0000");
    }
}
