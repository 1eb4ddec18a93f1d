//! The colours: one hue for each sort of frame, light enough for dark text.

use crate::fold::Sort;
use awaitscope_symbolizer::FrameKind;
use awaitscope_symbolizer::snapshot::WaitsOn;

/// A colour as hue (degrees), saturation and lightness (percent).
#[derive(Debug, Clone, Copy)]
struct Hsl(f64, f64, f64);

/// What the legend shows, in its order.
pub(super) const LEGEND: [(Sort, &str); 5] = [
    (Sort::Frame(FrameKind::Async), "async function"),
    (Sort::Frame(FrameKind::Sync), "ordinary function"),
    (Sort::Frame(FrameKind::Leaf), "waited for"),
    (Sort::Frame(FrameKind::Kernel), "kernel"),
    (Sort::Frame(FrameKind::Runtime), "runtime"),
];

/// The same, for what waits.
pub(super) const WAITS: [(Sort, &str); 11] = [
    (Sort::OnCpu, "on CPU"),
    (Sort::Frame(FrameKind::Kernel), "on CPU, kernel"),
    (Sort::Blocked, "blocks its worker"),
    (Sort::Ready, "ready, no worker"),
    (Sort::Waits(Some(WaitsOn::Timer)), "timer"),
    (Sort::Waits(Some(WaitsOn::Socket)), "socket"),
    (Sort::Waits(Some(WaitsOn::Lock)), "lock"),
    (Sort::Waits(Some(WaitsOn::Channel)), "channel"),
    (Sort::Waits(Some(WaitsOn::Task)), "task"),
    (Sort::Waits(Some(WaitsOn::Io)), "io"),
    (Sort::Waits(Some(WaitsOn::Other)), "other"),
];

/// The name of a sort in a legend.
pub(crate) fn legend(sort: Sort) -> &'static str {
    match sort {
        Sort::All => "everything",
        Sort::Group => "kind of task",
        Sort::Waits(None) => "not known",
        _ => {
            let mut known = LEGEND.iter().chain(&WAITS);
            known
                .find(|(known, _)| *known == sort)
                .map_or("", |(_, name)| name)
        }
    }
}

fn base(sort: Sort) -> Hsl {
    match sort {
        Sort::All => Hsl(220.0, 14.0, 90.0),
        Sort::Group => Hsl(222.0, 28.0, 30.0),
        Sort::Frame(FrameKind::Async) => Hsl(246.0, 82.0, 79.0),
        Sort::Frame(FrameKind::Sync) => Hsl(38.0, 92.0, 72.0),
        Sort::Frame(FrameKind::Leaf) => Hsl(168.0, 46.0, 67.0),
        Sort::Frame(FrameKind::Kernel) => Hsl(350.0, 78.0, 80.0),
        Sort::Frame(FrameKind::Runtime) => Hsl(214.0, 16.0, 82.0),
        Sort::OnCpu => Hsl(38.0, 92.0, 72.0),
        Sort::Blocked => Hsl(352.0, 62.0, 42.0),
        Sort::Ready => Hsl(54.0, 96.0, 68.0),
        Sort::Waits(Some(WaitsOn::Timer)) => Hsl(192.0, 58.0, 74.0),
        Sort::Waits(Some(WaitsOn::Socket)) => Hsl(150.0, 44.0, 66.0),
        Sort::Waits(Some(WaitsOn::Lock)) => Hsl(4.0, 84.0, 71.0),
        Sort::Waits(Some(WaitsOn::Channel)) => Hsl(84.0, 50.0, 67.0),
        Sort::Waits(Some(WaitsOn::Task)) => Hsl(304.0, 48.0, 77.0),
        Sort::Waits(Some(WaitsOn::Io)) => Hsl(26.0, 40.0, 66.0),
        Sort::Waits(Some(WaitsOn::Other)) => Hsl(210.0, 28.0, 74.0),
        Sort::Waits(None) => Hsl(220.0, 8.0, 76.0),
    }
}

/// The class of a box in the picture, for its style.
pub(crate) fn class(sort: Sort) -> &'static str {
    match sort {
        Sort::All => "all",
        Sort::Group => "group",
        Sort::Frame(FrameKind::Async) => "async",
        Sort::Frame(FrameKind::Sync) => "sync",
        Sort::Frame(FrameKind::Leaf) => "leaf",
        Sort::Frame(FrameKind::Kernel) => "kernel",
        Sort::Frame(FrameKind::Runtime) => "runtime",
        Sort::OnCpu => "on-cpu",
        Sort::Blocked => "blocked",
        Sort::Ready => "ready",
        Sort::Waits(_) => "waits",
    }
}

/// The pure colour of a sort.
pub(super) fn pure(sort: Sort) -> String {
    hex(base(sort))
}

/// By how many degrees of hue and percent of lightness boxes of a sort may differ.
fn variation(sort: Sort) -> [f64; 2] {
    let (turn, lift) = match sort {
        Sort::All => (0.0, 0.0),
        Sort::Group => (4.0, 2.5),
        Sort::Frame(FrameKind::Runtime) => (6.0, 2.5),
        Sort::OnCpu | Sort::Ready => (0.0, 0.0),
        Sort::Blocked => (3.0, 3.0),
        // Their hue says what they are.
        Sort::Waits(_) => (4.0, 3.0),
        Sort::Frame(_) => (9.0, 3.5),
    };
    [turn, lift]
}

/// The colour of a box: that of its sort, a little varied by its name, so that
/// neighbours can be told apart and a function looks the same everywhere.
pub(super) fn color(sort: Sort, name: &str) -> String {
    let Hsl(hue, saturation, lightness) = base(sort);
    let [turn, lift] = variation(sort);
    let spread = |byte: u8| f64::from(byte) / 127.5 - 1.0;
    let [low, high] = shade(name);
    hex(Hsl(
        hue + turn * spread(low),
        saturation,
        lightness + lift * spread(high),
    ))
}

/// Which shade of its sort's colour a name has: how far its hue is turned, and how light
/// it is, both from 0 to 255.
pub(crate) fn shade(name: &str) -> [u8; 2] {
    let [low, high, ..] = fnv(name).to_le_bytes();
    [low, high]
}

/// Hue (degrees), saturation and lightness (percent) of a sort, and by how much names may
/// turn the first and lift the last.
pub(crate) fn ink(sort: Sort) -> [f64; 5] {
    let Hsl(hue, saturation, lightness) = base(sort);
    let [turn, lift] = variation(sort);
    [hue, saturation, lightness, turn, lift]
}

/// FNV-1a, folded: the same on every machine and in every release.
fn fnv(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32) ^ (hash >> 16)
}

/// The usual conversion (CSS Color 4, section 7.1).
fn hex(Hsl(hue, saturation, lightness): Hsl) -> String {
    let (saturation, lightness) = (saturation / 100.0, lightness / 100.0);
    let amplitude = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let k = (offset + hue / 30.0).rem_euclid(12.0);
        let value = lightness - amplitude * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    format!(
        "#{:02x}{:02x}{:02x}",
        channel(0.0),
        channel(8.0),
        channel(4.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_convert_as_css_says() {
        assert_eq!(hex(Hsl(0.0, 100.0, 50.0)), "#ff0000");
        assert_eq!(hex(Hsl(210.0, 50.0, 40.0)), "#336699");
    }

    #[test]
    fn a_function_has_its_colour_everywhere() {
        let sort = Sort::Frame(FrameKind::Async);
        assert_eq!(color(sort, "app::a"), color(sort, "app::a"));
        assert_ne!(color(sort, "app::a"), color(sort, "app::b"));
    }
}
