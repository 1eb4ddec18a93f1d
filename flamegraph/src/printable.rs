//! Strings of the target, made safe to show.
//!
//! Names come out of a binary that nobody vouches for. A control character
//! could drive the terminal they are printed on, a bidirectional one could make
//! a line read as another, and XML forbids most of both.

use std::borrow::Cow;
use std::fmt::Write;

/// The string with everything that is not plainly visible written out, as in
/// `\u{1b}`.
#[must_use]
pub fn printable(string: &str) -> Cow<'_, str> {
    if !string.chars().any(is_hidden) {
        return Cow::Borrowed(string);
    }
    let mut shown = String::with_capacity(string.len() + 16);
    for character in string.chars() {
        if is_hidden(character) {
            // Writing to a string does not fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character is not plainly visible.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Line and paragraph separators, marks and overrides of direction,
            // zero width, and the two that XML 1.0 excludes.
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A length of time with three digits and the unit that suits it.
pub fn duration(ns: u64) -> String {
    if ns == 0 {
        return "0".to_owned();
    }
    let ns = ns as f64;
    let (value, unit) = if ns >= 59.95e9 {
        let seconds = (ns / 1e9).round();
        let (minutes, rest) = ((seconds / 60.0).floor(), seconds % 60.0);
        return if minutes >= 60.0 {
            format!(
                "{:.0} h {:02.0} min",
                (minutes / 60.0).floor(),
                minutes % 60.0
            )
        } else {
            format!("{minutes:.0} min {rest:02.0} s")
        };
    } else if ns >= 999.5e6 {
        (ns / 1e9, "s")
    } else if ns >= 999.5e3 {
        (ns / 1e6, "ms")
    } else {
        (ns / 1e3, "µs")
    };
    let digits = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// Tasks × time, as people count it.
#[must_use]
pub fn task_seconds(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    if seconds >= 999.5 {
        return format!("{} task-seconds", count(seconds.round() as u64));
    }
    let digits = match seconds {
        _ if seconds >= 99.95 => 0,
        _ if seconds >= 9.995 => 1,
        _ if seconds >= 0.9995 => 2,
        _ => 3,
    };
    format!("{seconds:.digits$} task-seconds")
}

/// A mean number of tasks.
pub(crate) fn tasks(mean: f64) -> String {
    format!("{} tasks", number(mean))
}

/// A mean, with as many digits as it is worth.
pub fn number(mean: f64) -> String {
    match mean {
        _ if mean >= 99.95 => count(mean.round() as u64),
        _ if mean >= 9.995 => format!("{mean:.1}"),
        _ => format!("{mean:.2}"),
    }
}

/// A sampling rate; zero where there are several, in a merged profile.
pub(crate) fn rate(hz: u32) -> String {
    match hz {
        0 => "at several rates".to_owned(),
        hz => format!("at {hz} Hz"),
    }
}

/// A share as a percentage.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = usize::from(percent < 99.95);
    format!("{percent:.digits$} %")
}

/// A count with its thousands set apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_drive_the_terminal_or_turn_the_line_around() {
        assert_eq!(printable("a\x1b[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(printable("größe::<T>"), "größe::<T>");
    }

    #[test]
    fn durations_have_three_digits() {
        let shown = [
            0,
            999,
            1_500_000,
            31_240_000,
            999_400_000,
            999_600_000,
            12_340_000_000,
        ];
        let shown = shown.map(duration);
        assert_eq!(
            shown,
            [
                "0", "1.00 µs", "1.50 ms", "31.2 ms", "999 ms", "1.00 s", "12.3 s"
            ]
        );
        assert_eq!(duration(59_960_000_000), "1 min 00 s");
        assert_eq!(duration(3_661_000_000_000), "1 h 01 min");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
