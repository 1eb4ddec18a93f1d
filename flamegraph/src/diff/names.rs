//! What a function is called in every build.
//!
//! Compilers number what has no name, and add hashes to what has one. Neither
//! says that the code is another: a closure that is put before another renumbers
//! it, and a changed dependency gives every generic function a new hash.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A name that both sides know, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NameId(pub(super) u32);

/// Names, each once.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, NameId>,
}

impl Names {
    /// The id of what `name` is called in every build.
    pub(super) fn id(&mut self, name: &str) -> NameId {
        let lasting = lasting(name);
        if let Some(&id) = self.ids.get(&*lasting) {
            return id;
        }
        let name: Arc<str> = Arc::from(&*lasting);
        // Far below 2³²: each profile has a million at most.
        let id = NameId(self.names.len() as u32);
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    pub(super) fn name(&self, id: NameId) -> &Arc<str> {
        &self.names[id.0 as usize]
    }
}

/// What a name would be in any build: without the numbers of closures, async
/// blocks and implementations, without hashes, and without addresses.
pub(super) fn lasting(name: &str) -> Cow<'_, str> {
    if let Some(nameless) = without_address(name) {
        return nameless;
    }
    let name = without_suffixes(name);
    if !name.contains(['#', '[']) {
        return Cow::Borrowed(name);
    }
    let mut lasting = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(['#', '[']) {
        lasting.push_str(&rest[..at]);
        rest = &rest[at..];
        // `{closure#0}`, and `app[0123456789abcdef]::main`.
        let skipped = numbered(rest).or_else(|| disambiguated(rest));
        match skipped {
            Some(length) => rest = &rest[length..],
            None => {
                lasting.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    lasting.push_str(rest);
    Cow::Owned(lasting)
}

/// The length of the number of what has no name, which ends with its brace.
fn numbered(rest: &str) -> Option<usize> {
    let digits = rest.strip_prefix('#')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    (length > 0 && digits[length..].starts_with('}')).then_some(length + 1)
}

/// The length of the hash that tells crates of the same name apart (RFC 2603).
fn disambiguated(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('[')?;
    let length = inside.bytes().take_while(u8::is_ascii_hexdigit).count();
    ((8..=16).contains(&length) && inside[length..].starts_with(']')).then_some(length + 2)
}

/// Without the hash of the `legacy` mangling, and what LLVM adds to clones.
fn without_suffixes(name: &str) -> &str {
    let name = match name.split_once(".llvm.") {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    match name.rsplit_once("::h") {
        Some((before, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            before
        }
        _ => name,
    }
}

/// Code without a name is told by its address (`0x1f00 in libz.so.1`), which is
/// another in every build.
fn without_address(name: &str) -> Option<Cow<'static, str>> {
    let digits = name.strip_prefix("0x")?;
    let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
    match &digits[length..] {
        _ if length == 0 => None,
        "" => Some(Cow::Borrowed("[code without a name]")),
        file => {
            let file = file.strip_prefix(" in ")?;
            Some(Cow::Owned(format!("[code without a name in {file}]")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_outlasts_the_numbers_and_hashes_of_a_build() {
        for (name, expected) in [
            ("app::handler", "app::handler"),
            ("app::main::{async block#0}", "app::main::{async block}"),
            (
                "app::run<app::main::{closure#3}>::{closure#12}",
                "app::run<app::main::{closure}>::{closure}",
            ),
            ("app::{impl#7}::poll", "app::{impl}::poll"),
            ("app::run::h0123456789abcdef", "app::run"),
            ("app[8d2a6e6c0f3b1a55]::run", "app::run"),
            ("app::sum::<[u8]>", "app::sum::<[u8]>"),
            ("app::sum::<[u8; 16]>", "app::sum::<[u8; 16]>"),
            ("memcpy.llvm.1234567890", "memcpy"),
            ("0x1f00 in libz.so.1", "[code without a name in libz.so.1]"),
            ("0xffff", "[code without a name]"),
            ("app::h264::hash", "app::h264::hash"),
            (
                "<app::Redis as app::Store>::get",
                "<app::Redis as app::Store>::get",
            ),
            ("operator[]", "operator[]"),
        ] {
            assert_eq!(lasting(name), expected);
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic_and_once_is_enough(name in "[a-f0-9{}#\\[\\]:é.x h]{0,40}") {
            let once = lasting(&name).into_owned();
            prop_assert!(once.len() <= name.len() + 30);
        }
    }
}
