//! The names of functions and files, each once.

use crate::printable::printable;
use crate::svg::{palette, shorter};
use serde::Serialize;
use std::collections::HashMap;

/// Letters of a name: generic code makes names of many thousands, whose middle says
/// nothing.
const LETTERS: usize = 600;

/// Names, with what boxes show of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Names {
    full: Vec<String>,
    /// What boxes show that have no room for all, the longer first.
    shorter: Vec<[Short; 2]>,
    /// Which shade of its colour a box has.
    shade: Vec<[u8; 2]>,
    files: Vec<String>,
    #[serde(skip)]
    known: HashMap<String, usize>,
    #[serde(skip)]
    known_files: HashMap<String, usize>,
}

/// A shorter name: so many last letters (in UTF-16) of the full one, or another.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Short {
    End(usize),
    Other(String),
}

impl Names {
    /// The number of a function's name.
    pub(super) fn function(&mut self, name: &str) -> usize {
        if let Some(&number) = self.known.get(name) {
            return number;
        }
        let shown = cut(&printable(name));
        let short = shorter(&shown).map(|short| match shown.ends_with(&short) {
            true => Short::End(short.encode_utf16().count()),
            false => Short::Other(short),
        });
        self.shade.push(palette::shade(name));
        self.full.push(shown);
        self.shorter.push(short);
        self.known.insert(name.to_owned(), self.full.len() - 1);
        self.full.len() - 1
    }

    /// The number of a file.
    pub(super) fn file(&mut self, name: &str) -> usize {
        if let Some(&number) = self.known_files.get(name) {
            return number;
        }
        self.files.push(cut(&printable(name)));
        self.known_files
            .insert(name.to_owned(), self.files.len() - 1);
        self.files.len() - 1
    }
}

/// A name without its middle, where it is too long.
fn cut(name: &str) -> String {
    let letters = name.chars().count();
    if letters <= LETTERS {
        return name.to_owned();
    }
    let begin = name.chars().take(LETTERS / 2);
    let end = name.chars().skip(letters - LETTERS / 2);
    begin.chain(['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_with_its_ends() {
        let mut names = Names::default();
        assert_eq!(names.function("app::Redis::get"), 0);
        assert_eq!(names.function("<app::Redis as app::Store>::get"), 1);
        assert_eq!(names.function("app::Redis::get"), 0);
        let json = serde_json::to_value(&names).unwrap();
        assert_eq!(json["shorter"][0], serde_json::json!([10, 3]));
        assert_eq!(json["shorter"][1], serde_json::json!(["Redis::get", 3]));
    }

    #[test]
    fn a_name_without_end_is_cut_in_its_middle() {
        let mut names = Names::default();
        names.function(&format!("app::{}::last", "x".repeat(5000)));
        assert!(names.full[0].chars().count() <= LETTERS + 1);
        assert!(names.full[0].ends_with("::last"));
    }
}
