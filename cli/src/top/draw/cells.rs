//! Numbers and names in a few letters.

use awaitscope_flamegraph::fitting;
use awaitscope_flamegraph::printable::{duration, number, printable};

/// Heights of a letter, from nothing to all of it.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A trend, one letter for each value; a dot where nothing is known. The highest is as high as
/// `top`, or as the highest value.
pub fn trend(values: &[Option<f64>], top: f64) -> String {
    let highest = values
        .iter()
        .flatten()
        .fold(top, |high, value| high.max(*value));
    let letter = |value: &Option<f64>| match value {
        None => '·',
        Some(value) if *value <= 0.0 || highest <= 0.0 => HEIGHTS[0],
        // What is there is to be seen.
        Some(value) => HEIGHTS[((value / highest * 8.0).round() as usize).clamp(1, 8)],
    };
    values.iter().map(letter).collect()
}

/// How many letters of a bar so long are filled by a share.
pub fn filled(share: f64, width: usize) -> usize {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    (share * width as f64).round() as usize
}

/// Milliseconds with their unit.
pub fn ms(milliseconds: f64) -> String {
    duration((milliseconds.max(0.0) * 1e6).round() as u64)
}

/// A mean number of tasks: nothing where it is not known.
pub fn mean(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 9.995 => format!("{value:.0}"),
        Some(value) => number(value),
    }
}

/// A name in so many letters; its end says most.
pub fn name(name: &str, room: usize) -> String {
    fitting(name, room)
}

/// A place in the source in so many letters: the end of the path says most.
pub fn place(place: &str, room: usize) -> String {
    printable_tail(place, room)
}

/// The end of a text, in so many letters.
pub fn printable_tail(text: &str, room: usize) -> String {
    let text = printable(text);
    let length = text.chars().count();
    if length <= room {
        return text.into_owned();
    }
    let tail = text.chars().skip(length - room.saturating_sub(1));
    std::iter::once('…').chain(tail).take(room).collect()
}

/// The beginning of a text, in so many letters.
pub fn beginning(text: &str, room: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= room {
        return text.into_owned();
    }
    let head = text.chars().take(room.saturating_sub(1));
    head.chain(std::iter::once('…')).take(room).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_shows_what_is_there_and_what_is_not_known() {
        assert_eq!(
            trend(&[Some(0.0), None, Some(0.01), Some(8.0)], 0.0),
            " ·▁█"
        );
        assert_eq!(trend(&[Some(1.0)], 8.0), "▁");
        assert_eq!(trend(&[], 0.0), "");
    }

    #[test]
    fn texts_fit_whatever_room_there_is() {
        for room in 0..12 {
            assert!(printable_tail("src/main.rs:21", room).chars().count() <= room);
            assert!(beginning("use tokio::time::sleep", room).chars().count() <= room);
        }
        assert_eq!(printable_tail("src/main.rs:21", 8), "…n.rs:21");
        assert_eq!(printable_tail("\x1b[2J", 40), "\\u{1b}[2J");
    }

    #[test]
    fn a_share_that_is_no_number_fills_nothing() {
        assert_eq!(filled(f64::NAN, 10), 0);
        assert_eq!((filled(7.0, 10), filled(0.25, 8)), (10, 2));
    }
}
