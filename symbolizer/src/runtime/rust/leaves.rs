//! What the types of libraries wait for, as tables.

use crate::futures::{Knowledge, Known, Rule};
use crate::names::SourceFile;
use crate::snapshot::WaitsOn;

/// What is known of the libraries of a runtime.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Leaves {
    /// Types that wait by themselves. What for is `None` where that depends on who awaits
    /// them.
    pub types: &'static [(&'static str, Option<WaitsOn>, Rule)],
    /// What an async function of a library waits for, by the beginning of its path. The
    /// first that fits counts.
    pub functions: &'static [(&'static str, WaitsOn)],
    /// The same by words in a type's name.
    pub words: &'static [(&'static [&'static str], WaitsOn)],
    /// The same by the beginning of a type's path, where no word tells.
    pub packages: &'static [(&'static str, WaitsOn)],
    /// Guards: the member that leads to the lock, and the type that stands for the lock.
    pub guards: &'static [(&'static str, &'static str, &'static str)],
    /// Whether an async function in a file is the runtime's machinery.
    pub is_glue: fn(&SourceFile) -> bool,
    /// Whether an async body, by the path of its type, only runs tasks of others.
    pub only_works: fn(&str) -> bool,
}

impl Knowledge for Leaves {
    fn leaf(&self, path: &str) -> Option<Known> {
        let found = self.types.iter().find(|(own, ..)| *own == path);
        found.map(|(_, what, detail)| Known {
            what: *what,
            detail: *detail,
        })
    }

    fn classify(&self, type_path: &str, library: Option<&str>) -> WaitsOn {
        let by_words = || {
            let mut found = self.words.iter();
            let found = found.find(|(words, _)| words.iter().any(|word| type_path.contains(word)));
            found.map(|(_, what)| *what)
        };
        library
            .and_then(|path| by_beginning(self.functions, path))
            .or_else(by_words)
            .or_else(|| by_beginning(self.packages, type_path))
            .unwrap_or(WaitsOn::Other)
    }

    fn guard(&self, path: &str) -> Option<(&'static str, &'static str)> {
        let found = self.guards.iter().find(|(own, ..)| *own == path);
        found.map(|(_, member, lock)| (*member, *lock))
    }

    fn is_glue(&self, file: &SourceFile) -> bool {
        (self.is_glue)(file)
    }

    fn only_works(&self, path: &str) -> bool {
        (self.only_works)(path)
    }
}

fn by_beginning(table: &[(&str, WaitsOn)], path: &str) -> Option<WaitsOn> {
    let found = table.iter().find(|(start, _)| path.starts_with(start));
    found.map(|(_, what)| *what)
}
