//! Which release of a package is in a program.

use crate::module::Module;

/// The longest number of a version.
const LONGEST: usize = 32;

/// The version behind `mark` in the constants of a module: panic messages carry the path
/// of their source, and with it the version, `…/tokio-1.54.1/src/…`.
pub(in crate::runtime) fn version_in(module: &Module, mark: &str) -> Option<String> {
    let text = module.image().ok()?.section_bytes(".rodata")?;
    let mut rest: &[u8] = &text;
    while let Some(at) = find(rest, mark.as_bytes()) {
        rest = &rest[at + mark.len()..];
        let end = rest.iter().position(|byte| *byte == b'/')?;
        let number = std::str::from_utf8(&rest[..end.min(LONGEST)]).ok();
        let number = number.filter(|text| {
            text.starts_with(|first: char| first.is_ascii_digit())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
        });
        if let Some(number) = number {
            return Some(number.to_owned());
        }
    }
    None
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
