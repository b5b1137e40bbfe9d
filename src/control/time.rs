//! Moments and spans as people and scripts read them.

use std::time::Duration;

use crate::types::time::{UnixMillis, UnixTime};

/// RFC 3339 in UTC, whole seconds: `2026-11-24T09:00:00Z`.
pub fn rfc3339(time: UnixTime) -> String {
    let (days, second) = (time.0 / 86_400, time.0 % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The same with milliseconds: `2026-11-24T09:00:00.250Z`.
pub fn rfc3339_millis(time: UnixMillis) -> String {
    let mut text = rfc3339(time.seconds());
    text.pop();
    format!("{text}.{:03}Z", time.0 % 1000)
}

/// Reads a moment in one of the two forms above, not before 1970.
pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    let rest = text.strip_suffix('Z')?;
    let (whole, millis) = match rest.split_once('.') {
        Some((whole, digits)) if digits.len() == 3 => (whole, number(digits)?),
        Some(_) => return None,
        None => (rest, 0),
    };
    let fits = |(place, byte): (usize, u8)| match place {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if whole.len() != 19 || !whole.bytes().enumerate().all(fits) {
        return None;
    }
    let part = |from: usize, to: usize| number(whole.get(from..to)?);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let is_date = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(UnixMillis(seconds * 1000 + millis))
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The inverse of [`civil`].
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // The year begins in March: see `civil`.
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let month_from_march = if month > 2 { month.saturating_sub(3) } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day.saturating_sub(1);
    (year * 365 + year / 4 - year / 100 + year / 400 + day_of_year).saturating_sub(719_468)
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year; 146 097 days make 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Seconds with three decimals.
pub fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A rate in a second with six decimals: one key a day has two figures then.
pub fn rate(per_second: f64) -> f64 {
    (per_second * 1e6).round() / 1e6
}

/// A rate with two figures: `3.9/s`, `0.017/s`, `120/s`.
pub fn per_second(rate: f64) -> String {
    if rate <= 0.0 {
        return "0/s".to_owned();
    }
    // The first figure's place; a rate below a millionth is none that matters.
    let first = rate.log10().floor().max(-6.0) as i32;
    let places = usize::try_from(1 - first).unwrap_or(0);
    format!("{rate:.places$}/s")
}

/// One rounded figure with its unit: `43 s`, `4 min`, `2 h`, `3 days`.
pub fn rough(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min", whole / 60),
        7200..172_800 => format!("{} h", whole / 3600),
        _ => format!("{} days", whole / 86_400),
    }
}

/// Bytes in the largest unit that leaves at least one: `18.42 GiB`.
pub fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64, "B");
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    format!("{value:.2} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_the_gregorian_calendar() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_510_800, "2026-11-24T09:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UnixTime(unix)), text);
            assert_eq!(parse_rfc3339(text), Some(UnixMillis(unix * 1000)));
            let millis = UnixMillis(unix * 1000 + 7);
            assert_eq!(rfc3339_millis(millis), text.replace('Z', ".007Z"));
            assert_eq!(parse_rfc3339(&rfc3339_millis(millis)), Some(millis));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "Z",
            "2026-11-24T09:00:00",
            "2026-11-24 09:00:00Z",
            "2026-11-24T09:00:00.25Z",
            "2026-11-24T09:00:00.2500Z",
            "2026-11-24T09:00:00.-50Z",
            "2026-13-24T09:00:00Z",
            "2026-00-24T09:00:00Z",
            "2026-11-32T09:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T09:60:00Z",
            "1969-12-31T23:59:59Z",
            "+026-11-24T09:00:00Z",
            "2026-11-24T09:00:00+01:00",
            "2026-11-2\u{e9}T09:00:0Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn rates_have_two_figures() {
        let words = [0.0, 3.9, 1.0 / 60.0, 0.5, 12.4, 123.4, 1.0 / 86_400.0, 1e-9].map(per_second);
        assert_eq!(words, ["0/s", "3.9/s", "0.017/s", "0.50/s", "12/s", "123/s", "0.000012/s", "0.0000000/s"]);
        assert_eq!([1.0 / 60.0, 0.0].map(rate), [0.016_667, 0.0]);
    }

    #[test]
    fn spans_and_bytes_are_short() {
        assert_eq!([0.9, 119.9, 240.0, 7200.0, 200_000.0].map(rough), ["0 s", "119 s", "4 min", "2 h", "2 days"]);
        assert_eq!([0, 1023, 1024, 1 << 30].map(bytes), ["0 B", "1023 B", "1.00 KiB", "1.00 GiB"]);
        assert_eq!(bytes(u64::MAX), "16384.00 PiB");
        assert_eq!(seconds(Duration::from_micros(43_100_499)), 43.1);
    }
}
