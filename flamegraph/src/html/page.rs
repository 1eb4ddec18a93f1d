//! One file: markup, style, numbers and script, and nothing from elsewhere.

use super::escape;
use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A page of its own.
#[derive(Debug)]
pub(crate) struct Page<'a, T> {
    /// Its title, as text.
    pub(crate) title: String,
    /// Style sheets, one after the other.
    pub(crate) style: &'a [&'a str],
    /// The markup that the script fills: ours, not the target's.
    pub(crate) body: &'a str,
    /// What the script reads out of `#data`.
    pub(crate) data: &'a T,
    /// The script's parts, which share one scope.
    pub(crate) script: &'a [&'a str],
}

impl<T: Serialize> Page<'_, T> {
    /// The file.
    ///
    /// # Errors
    /// The data does not serialize.
    pub(crate) fn write(&self) -> Result<String, Error> {
        let style = self.style.concat();
        let script = format!(
            "(() => {{\n\"use strict\";\n{}}})();\n",
            self.script.concat()
        );
        let data = escape::json(self.data)?;
        let title = escape::text(&self.title);
        let body = self.body;
        // The names in the data come from a binary that nobody vouches for: what is no text
        // of ours does not run, and nothing is loaded from anywhere.
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
            hash(&script),
            hash(&style)
        );
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\
             <script id=\"data\" type=\"application/json\">{data}</script>\n\
             <script>{script}</script>\n</body>\n</html>\n"
        ))
    }
}

/// How a policy names an inline script or style (CSP level 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // The example of the policy's own documentation.
        assert_eq!(
            hash("alert('Hello, world.');"),
            "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
    }
}
