//! JSON that can stand in an HTML page, whatever is in it.
//!
//! A browser looks for the end of a script in its text, not in its meaning: a function
//! called `</script>` would end it. So no angle bracket, no ampersand and no separator of
//! lines is written as it is, and what drives terminals or turns lines around is written out
//! (see [`printable`](crate::printable)), so that what a reader copies out of the page is harmless
//! too. Very long strings are cut.

use crate::error::Error;
use crate::printable::is_hidden;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, Formatter};
use std::io::{self, Write};

/// Letters of one string.
const LETTERS: usize = 4000;

/// The JSON of a value, for a `<script type="application/json">`.
pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    let mut json = Vec::with_capacity(1 << 20);
    let failed = |why: &dyn std::fmt::Display| Error::Drawing(why.to_string());
    let mut serializer = Serializer::with_formatter(&mut json, InPage { letters: 0 });
    value
        .serialize(&mut serializer)
        .map_err(|why| failed(&why))?;
    String::from_utf8(json).map_err(|why| failed(&why))
}

/// A text for the page's markup.
pub(super) fn text(text: &str) -> String {
    let text = crate::printable::printable(text);
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

struct InPage {
    /// Of the string that is written just now.
    letters: usize,
}

impl Formatter for InPage {
    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.letters = 0;
        writer.write_all(b"\"")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, character) in fragment.char_indices() {
            self.letters += 1;
            if self.letters > LETTERS {
                writer.write_all(&fragment.as_bytes()[plain..at])?;
                return self.end(writer);
            }
            let is_markup = matches!(character, '<' | '>' | '&');
            if !is_markup && !is_hidden(character) {
                continue;
            }
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            plain = at + character.len_utf8();
            let code = u32::from(character);
            match is_markup {
                true => write!(writer, "\\u{code:04x}")?,
                // As `printable` writes it; the backslash is text here.
                false => write!(writer, "\\\\u{{{code:x}}}")?,
            }
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.letters += 1;
        if self.letters > LETTERS {
            return self.end(writer);
        }
        let control = match escape {
            CharEscape::Quote => return writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => return writer.write_all(b"\\\\"),
            CharEscape::Solidus => return writer.write_all(b"/"),
            CharEscape::Backspace => 8,
            CharEscape::FormFeed => 12,
            CharEscape::LineFeed => 10,
            CharEscape::CarriageReturn => 13,
            CharEscape::Tab => 9,
            CharEscape::AsciiControl(byte) => byte,
        };
        write!(writer, "\\\\u{{{control:x}}}")
    }
}

impl InPage {
    /// Ends a string that is too long; what comes after that says nothing any more.
    fn end<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let is_first = self.letters == LETTERS + 1;
        self.letters = LETTERS + 2;
        match is_first {
            true => writer.write_all("…".as_bytes()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn written(string: &str) -> (String, String) {
        let json = json(&[string]).unwrap();
        let Value::Array(read) = serde_json::from_str(&json).unwrap() else {
            panic!("{json}");
        };
        (json.clone(), read[0].as_str().unwrap().to_owned())
    }

    #[test]
    fn nothing_in_a_string_can_end_the_script() {
        for hostile in [
            "</script><script>alert(1)</script>",
            "<!--",
            "]]>",
            "a&lt;b",
        ] {
            let (json, read) = written(hostile);
            assert!(!json.contains(['<', '>', '&']), "{json}");
            assert_eq!(read, hostile);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        let (_, read) = written("a\u{1b}[2Jb\u{202e}c\u{2028}d\ne\u{7f}f\0");
        assert_eq!(
            read,
            "a\\u{1b}[2Jb\\u{202e}c\\u{2028}d\\u{a}e\\u{7f}f\\u{0}"
        );
    }

    #[test]
    fn what_is_plain_stays_as_it_is() {
        for plain in ["app::naïve::日本語", "\"quoted\" \\ and /slashed/", ""] {
            assert_eq!(written(plain).1, plain);
        }
    }

    #[test]
    fn a_string_without_end_is_cut() {
        let (_, read) = written(&"\"<x".repeat(3000));
        assert_eq!(read.chars().count(), LETTERS + 1);
        assert!(read.ends_with('…'));
    }
}
