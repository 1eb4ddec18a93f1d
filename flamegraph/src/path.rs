//! The paths of functions, taken apart.

/// Paths within paths that are followed: `<<A as B>::C as D>::e`.
const NESTING: u32 = 8;

/// The segments of a path, with what is in brackets left whole.
pub(crate) fn segments(path: &str) -> Vec<&str> {
    let bytes = path.as_bytes();
    let (mut depth, mut start, mut segments) = (0_usize, 0, Vec::new());
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            // The arrow of a function type closes nothing.
            b'>' if index > 0 && bytes[index - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && index > start && bytes[index - 1] == b':' => {
                segments.push(&path[start..index - 1]);
                start = index + 1;
            }
            _ => {}
        }
    }
    segments.push(&path[start..]);
    segments
}

/// The path by names alone: without type arguments, closures and the numbers of
/// `impl` blocks, and with a type in place of its trait.
///
/// `std::fs::File::read` for `<std::fs::File as std::io::Read>::read`,
/// `std::fs::read` for `std::fs::read::<&str>::{closure#0}`.
pub(crate) fn plain(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    append_plain(path, &mut names, NESTING);
    names
}

fn append_plain<'a>(path: &'a str, names: &mut Vec<&'a str>, nesting: u32) {
    for (index, segment) in segments(path).into_iter().enumerate() {
        if let Some(inner) = segment.strip_prefix('<') {
            // The type of an implementation stands first; later on, these are
            // type arguments.
            if index == 0 && nesting > 0 {
                append_plain(implementor(inner), names, nesting - 1);
            }
        } else if !segment.starts_with('{') {
            let name = segment.split('<').next().unwrap_or("").trim();
            if !name.is_empty() {
                names.push(name);
            }
        }
    }
}

/// The type in `T as Trait>`, `impl Trait for T>` or `T>`.
fn implementor(inner: &str) -> &str {
    let inner = inner.strip_suffix('>').unwrap_or(inner);
    let of = match inner.strip_prefix("impl ") {
        Some(rest) => rest.split_once(" for ").map_or(rest, |(_, of)| of),
        None => split_as(inner),
    };
    let of = of.trim_start_matches(['&', '*']);
    ["mut ", "const ", "dyn "]
        .iter()
        .fold(of, |of, word| of.strip_prefix(word).unwrap_or(of))
}

/// What stands before an ` as ` that is in no brackets.
fn split_as(inner: &str) -> &str {
    let mut depth = 0_usize;
    for (index, byte) in inner.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 && inner[index..].starts_with(" as ") => return &inner[..index],
            _ => {}
        }
    }
    inner
}

/// Whether the names of a path fit a pattern, where `*` stands for any one name
/// and `**` for any number of them.
pub(crate) fn fits(names: &[&str], pattern: &str) -> bool {
    // Whether the first `index` names fit the part of the pattern seen so far.
    let mut fitting = vec![false; names.len() + 1];
    fitting[0] = true;
    for part in pattern.split("::") {
        if part == "**" {
            let from = fitting.iter().position(|&fits| fits);
            let from = from.unwrap_or(fitting.len());
            fitting[from..].fill(true);
        } else {
            for index in (0..names.len()).rev() {
                fitting[index + 1] = fitting[index] && (part == "*" || part == names[index]);
            }
            fitting[0] = false;
        }
    }
    fitting[names.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(path: &str) -> String {
        plain(path).join("::")
    }

    #[test]
    fn a_plain_path_is_names_alone() {
        for (path, expected) in [
            ("app::handler", "app::handler"),
            ("std::fs::read::<&str>", "std::fs::read"),
            (
                "std::fs::read<&std::path::Path>::{closure#0}",
                "std::fs::read",
            ),
            (
                "<std::fs::File as std::io::Read>::read",
                "std::fs::File::read",
            ),
            (
                "<&mut std::fs::File as std::io::Read>::read",
                "std::fs::File::read",
            ),
            (
                "<impl std::io::Read for &std::fs::File>::read",
                "std::fs::File::read",
            ),
            ("std::fs::{impl#5}::read", "std::fs::read"),
            (
                "<alloc::vec::Vec<T> as core::ops::Index<I>>::index",
                "alloc::vec::Vec::index",
            ),
            ("<<A as B>::C as D>::e", "A::C::e"),
            (
                "std::sync::mutex::Mutex<app::Table<u8>>::lock",
                "std::sync::mutex::Mutex::lock",
            ),
            ("clock_nanosleep", "clock_nanosleep"),
            ("", ""),
        ] {
            assert_eq!(joined(path), expected, "{path}");
        }
    }

    #[test]
    fn patterns_leave_room_where_paths_moved() {
        let fits = |path, pattern| fits(&plain(path), pattern);
        assert!(fits("std::thread::sleep", "std::thread::**::sleep"));
        assert!(fits(
            "std::thread::functions::sleep",
            "std::thread::**::sleep"
        ));
        assert!(!fits("tokio::time::sleep", "std::thread::**::sleep"));
        assert!(!fits("std::thread::sleep_ms", "std::thread::**::sleep"));
        assert!(fits("rusqlite::statement::Statement::step", "rusqlite::**"));
        assert!(!fits("rusqlite_async::step", "rusqlite::**"));
        assert!(fits("a::b::c", "**::c") && fits("a::b::c", "a::*::c"));
        assert!(!fits("a::b::b::c", "a::*::c"));
        assert!(fits("a::b::a::b::c", "**::a::**::c"));
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(path in "[<>(){}:\\[\\]aé &*-]{0,40}") {
            let names = plain(&path);
            fits(&names, "a::**::*");
            fits(&names, &path);
        }
    }
}
