//! Function names as a person would write them.
//!
//! Two sources tell what a function is called. The *linkage name* (the symbol)
//! has the readable path, with `<T as Trait>` for an impl block, but calls every
//! async body a closure (rust-lang/rust#104830). The *chain* of names around the
//! function's entry in the debug information tells async functions, async
//! blocks and closures apart, but calls an impl block `{impl#3}`
//! (rustc_codegen_ssa/src/debuginfo/type_names.rs). Together they give both.

/// What a function's name says of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionPath {
    /// The source path: `app::handler`, `app::main::{async block#0}`,
    /// `<app::Session as app::Store>::load`.
    pub readable: String,
    /// It is the body of an async function, block or closure.
    pub is_async: bool,
}

/// A name given by the compiler to something that has none in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unnamed<'a> {
    AsyncFn,
    AsyncBlock(&'a str),
    AsyncClosure(&'a str),
    Closure(&'a str),
}

impl<'a> Unnamed<'a> {
    /// Reads `{async_fn#0}`, `{async_block_env#1}<u64>`, `{{closure}}` and the
    /// like.
    fn parse(segment: &'a str) -> Option<Self> {
        if segment == "{{closure}}" {
            return Some(Self::Closure("0"));
        }
        let inner = segment.strip_prefix('{')?;
        let (inner, _) = inner.split_once('}')?;
        let (what, number) = inner.split_once('#').unwrap_or((inner, "0"));
        match what.strip_suffix("_env").unwrap_or(what) {
            "async_fn" => Some(Self::AsyncFn),
            "async_block" => Some(Self::AsyncBlock(number)),
            "async_closure" => Some(Self::AsyncClosure(number)),
            "closure" => Some(Self::Closure(number)),
            _ => None,
        }
    }

    fn is_async(self) -> bool {
        !matches!(self, Self::Closure(_))
    }

    /// The segment as shown, nothing for an async function: it carries its
    /// parent's name.
    fn shown(self) -> Option<String> {
        match self {
            Self::AsyncFn => None,
            Self::AsyncBlock(number) => Some(format!("{{async block#{number}}}")),
            Self::AsyncClosure(number) => Some(format!("{{async closure#{number}}}")),
            Self::Closure(number) => Some(format!("{{closure#{number}}}")),
        }
    }
}

/// The readable path of a function.
///
/// `linkage` is its symbol, if known; `chain` the names of the entries around
/// it in the debug information, outermost first and its own last.
#[must_use]
pub fn function_path(linkage: Option<&str>, chain: &[String]) -> FunctionPath {
    let chain: Vec<String> = chain.iter().map(|s| without_generics(s)).collect();
    let path = match (linkage.and_then(demangled), linkage) {
        (Some(name), _) => public_path(&merge(&split_path(&name), &chain)),
        // Another language's: C names a function by its symbol.
        (None, Some(symbol)) if chain.is_empty() => symbol.to_owned(),
        (None, _) => public_path(&merge(&chain, &chain)),
    };
    FunctionPath {
        is_async: chain
            .last()
            .and_then(|last| Unnamed::parse(last))
            .is_some_and(Unnamed::is_async),
        readable: path,
    }
}

/// Where the standard library defines what people know by another path.
const REEXPORTED: &[(&str, &str)] = &[
    ("std::sync::poison::condvar::", "std::sync::"),
    ("std::sync::poison::mutex::", "std::sync::"),
    ("std::sync::poison::once::", "std::sync::"),
    ("std::sync::poison::rwlock::", "std::sync::"),
    ("std::thread::functions::", "std::thread::"),
    ("std::thread::join_handle::", "std::thread::"),
];

/// The path by which people call a function of the standard library.
fn public_path(path: &str) -> String {
    for (defined, public) in REEXPORTED {
        if let Some(rest) = path.strip_prefix(defined) {
            return format!("{public}{rest}");
        }
    }
    path.to_owned()
}

/// The coroutines that a type's name holds, from the left: `app::handler` for
/// `Instrumented<app::handler::{async_fn_env#0}>`, each as the path of its type, with its
/// arguments. [`body_chain`] makes its body's names of it.
#[must_use]
pub fn coroutines_in_type(type_name: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = type_name[from..].find("{async_").map(|at| from + at) {
        let Some(length) = type_name[at..].find('}') else {
            break;
        };
        let end = at + length + 1;
        from = end;
        // A coroutine inside another's body names the outer one's first.
        let goes_on = type_name[end..].starts_with("::");
        if type_name[at..end].contains("_env#") && !goes_on {
            let start = path_start(&type_name[..at]);
            let end = end + arguments_length(&type_name[end..]);
            found.push(&type_name[start..end]);
        }
    }
    found
}

/// The chain of names of the body that belongs to an environment type:
/// `app::handler::{async_fn_env#0}` becomes `app`, `handler`, `{async_fn#0}`.
#[must_use]
pub fn body_chain(type_path: &str) -> Vec<String> {
    split_path(type_path)
        .iter()
        .map(|segment| without_generics(segment).replace("_env#", "#"))
        .collect()
}

/// How long the arguments are that `text` begins with.
fn arguments_length(text: &str) -> usize {
    if !text.starts_with('<') {
        return 0;
    }
    let mut depth = 0usize;
    let mut before = ' ';
    for (index, character) in text.char_indices() {
        match character {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
        before = character;
    }
    0
}

/// Where the path that ends at the end of `text` begins.
fn path_start(text: &str) -> usize {
    let mut depth = 0usize;
    for (index, character) in text.char_indices().rev() {
        match character {
            '>' => depth += 1,
            '<' if depth > 0 => depth -= 1,
            '<' | ',' | ' ' | '(' | '&' | '*' | '[' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    0
}

/// The template arguments of `poll<A, B<C, D>>`: `A` and `B<C, D>`.
#[must_use]
pub fn template_arguments(name: &str) -> Vec<&str> {
    let Some(open) = name.find('<') else {
        return Vec::new();
    };
    let Some(inner) = name[open + 1..].strip_suffix('>') else {
        return Vec::new();
    };
    split_at_depth_zero(inner, ", ")
}

fn demangled(linkage: &str) -> Option<String> {
    rustc_demangle::try_demangle(linkage)
        .ok()
        .map(|name| format!("{name:#}"))
}

/// Joins `segments`, taking what unnamed ones are from `chain`, aligned at the
/// end, and leaving generics out.
fn merge(segments: &[impl AsRef<str>], chain: &[String]) -> String {
    let mut shown: Vec<String> = Vec::with_capacity(segments.len());
    // A turbofish is a segment of its own, and none in the chain.
    let segments = segments.iter().map(AsRef::as_ref).enumerate();
    let segments: Vec<&str> = segments
        .filter(|(index, segment)| *index == 0 || !is_turbofish(segment))
        .map(|(_, segment)| segment)
        .collect();
    for (from_end, segment) in segments.iter().rev().enumerate() {
        let Some(unnamed) = Unnamed::parse(segment) else {
            let plain = plain_segment(segment);
            if !plain.is_empty() {
                shown.push(plain);
            }
            // What implements something is a path of its own.
            if segment.starts_with("<impl ") {
                break;
            }
            continue;
        };
        let in_chain = chain
            .len()
            .checked_sub(from_end + 1)
            .and_then(|index| Unnamed::parse(&chain[index]));
        shown.extend(in_chain.unwrap_or(unnamed).shown());
    }
    if shown.is_empty() {
        return segments
            .last()
            .map_or_else(String::new, |last| last.replace("async_fn", "async fn"));
    }
    shown.reverse();
    shown.join("::")
}

/// `<u64>` in `work::<u64>::{closure#0}`; not the `<impl u64>` in
/// `core::num::<impl u64>::pow`.
fn is_turbofish(segment: &str) -> bool {
    segment.starts_with('<') && !segment.starts_with("<impl ")
}

/// A segment without its generics. An inherent impl's `<app::Cache<u64>>`
/// becomes `app::Cache`, a trait's stays `<app::Cache as app::Store>`.
fn plain_segment(segment: &str) -> String {
    let Some(inner) = segment
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
    else {
        return without_generics(segment);
    };
    if let Some(inner) = inner.strip_prefix("impl ") {
        return match split_at_depth_zero(inner, " for ").as_slice() {
            [of, one] => format!("<{} as {}>", plain_type(one), plain_type(of)),
            _ => plain_type(inner),
        };
    }
    let parts = split_at_depth_zero(inner, " as ");
    match parts.as_slice() {
        [one] => plain_type(one),
        [one, of] => format!("<{} as {}>", plain_type(one), plain_type(of)),
        _ => segment.to_owned(),
    }
}

/// A type without generics and without unnamed parts.
fn plain_type(name: &str) -> String {
    let segments = split_path(name);
    if segments.len() > 1 && segments.iter().any(|s| Unnamed::parse(s).is_some()) {
        return merge(&segments, &[]);
    }
    without_generics(name)
}

/// `name` without what stands in angle brackets after a name. Brackets that
/// begin a segment (`<T as Trait>`) stay.
fn without_generics(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut depth = 0usize;
    let mut previous = ' ';
    for character in name.chars() {
        match character {
            '<' if depth > 0 || previous.is_alphanumeric() || "_}:".contains(previous) => {
                depth += 1;
            }
            '>' if depth > 0 && previous != '-' => depth -= 1,
            _ if depth == 0 => out.push(character),
            _ => {}
        }
        previous = character;
    }
    // A turbofish leaves its colons behind.
    out.trim_end_matches("::").replace("::::", "::")
}

/// Splits at `::` outside of brackets of any kind.
fn split_path(name: &str) -> Vec<&str> {
    split_at_depth_zero(name, "::")
}

fn split_at_depth_zero<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut depth = 0i32;
    let mut start = 0;
    let mut index = 0;
    let bytes = text.as_bytes();
    while index < bytes.len() {
        match bytes[index] {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if index > 0 && bytes[index - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            _ if depth == 0 && bytes[index..].starts_with(separator.as_bytes()) => {
                parts.push(&text[start..index]);
                index += separator.len();
                start = index;
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(linkage: Option<&str>, chain: &[&str]) -> FunctionPath {
        let chain: Vec<String> = chain.iter().map(|s| (*s).to_owned()).collect();
        function_path(linkage, &chain)
    }

    #[test]
    fn an_async_function_carries_its_own_name() {
        let found = path(
            Some("_ZN3app7handler28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE"),
            &["app", "handler", "{async_fn#0}"],
        );
        assert_eq!(found.readable, "app::handler");
        assert!(found.is_async);
    }

    #[test]
    fn an_async_block_is_told_from_a_closure() {
        let linkage = "_ZN3app4main28_$u7b$$u7b$closure$u7d$$u7d$28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE";
        let block = path(
            Some(linkage),
            &["app", "main", "{async_fn#0}", "{async_block#2}"],
        );
        assert_eq!(block.readable, "app::main::{async block#2}");
        assert!(block.is_async);
        let closure = path(
            Some(linkage),
            &["app", "main", "{async_block#0}", "{closure#1}"],
        );
        assert_eq!(closure.readable, "app::main::{async block#0}::{closure#1}");
        assert!(!closure.is_async);
    }

    #[test]
    fn both_manglings_give_the_same_name() {
        let legacy = path(
            Some("_ZN43_$LT$app..Session$u20$as$u20$app..Store$GT$4load17h0123456789abcdefE"),
            &["app", "{impl#0}", "load"],
        );
        assert_eq!(legacy.readable, "<app::Session as app::Store>::load");
        let v0 = path(
            Some("_RNvXCs123_3appNtB2_7SessionNtB2_5Store4load"),
            &["app", "{impl#0}", "load"],
        );
        assert_eq!(v0.readable, "<app::Session as app::Store>::load");
        let generic = path(
            Some(
                "_ZN5tokio4sync5mutex14Mutex$LT$T$GT$4lock28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
            ),
            &["tokio", "sync", "mutex", "{impl#8}", "lock", "{async_fn#0}"],
        );
        assert_eq!(generic.readable, "tokio::sync::mutex::Mutex::lock");
    }

    #[test]
    fn a_turbofish_is_left_out() {
        let chain: Vec<String> = ["app", "work<app::Small>", "{async_fn#0}"]
            .map(str::to_owned)
            .to_vec();
        let segments = split_path("app::work::<app::Small>::{closure#0}");
        assert_eq!(merge(&segments, &chain), "app::work");
    }

    #[test]
    fn an_impl_inside_a_module_stands_for_itself() {
        let segments = split_path("app::_::<impl serde::Serialize for app::Item<T>>::serialize");
        let none: [String; 0] = [];
        assert_eq!(
            merge(&segments, &none),
            "<app::Item as serde::Serialize>::serialize"
        );
        let segments = split_path("core::num::<impl u64>::pow");
        assert_eq!(merge(&segments, &none), "u64::pow");
    }

    #[test]
    fn the_users_coroutine_is_found_behind_a_librarys() {
        let name = "tokio::task::local::{impl#4}::run_until::{async_fn_env#0}<app::main::{async_fn_env#0}>";
        let own = coroutines_in_type(name);
        assert_eq!(own.len(), 2);
        assert_eq!(body_chain(own[1]), ["app", "main", "{async_fn#0}"]);
    }

    #[test]
    fn functions_go_by_their_public_paths() {
        let sleep = path(None, &["std", "thread", "functions", "sleep"]);
        assert_eq!(sleep.readable, "std::thread::sleep");
    }

    #[test]
    fn a_c_function_goes_by_its_symbol() {
        assert_eq!(path(Some("__vdso_time"), &[]).readable, "__vdso_time");
        assert_eq!(
            path(Some("memcpy"), &["__memcpy_avx"]).readable,
            "__memcpy_avx"
        );
    }

    #[test]
    fn without_a_symbol_the_chain_is_the_name() {
        assert_eq!(
            path(None, &["app", "work<u64>", "{async_fn#0}"]).readable,
            "app::work"
        );
        assert_eq!(path(None, &["{async_fn#0}"]).readable, "{async fn#0}");
    }

    #[test]
    fn a_wrapper_does_not_hide_its_coroutine() {
        assert_eq!(
            coroutines_in_type(
                "tracing::instrument::Instrumented<app::api::{impl#1}::call<u8>::{async_fn_env#0}<u8>>"
            ),
            ["app::api::{impl#1}::call<u8>::{async_fn_env#0}<u8>"]
        );
        assert!(coroutines_in_type("core::pin::Pin<alloc::boxed::Box<u8>>").is_empty());
    }

    #[test]
    fn template_arguments_nest() {
        assert_eq!(
            template_arguments("poll<a::B<c, d>, alloc::sync::Arc<e, f>>"),
            ["a::B<c, d>", "alloc::sync::Arc<e, f>"]
        );
        assert!(template_arguments("poll").is_empty());
    }

    #[test]
    fn generics_go_and_arrows_stay_balanced() {
        assert_eq!(
            without_generics("call_once<fn(u8) -> u8, (u8)>"),
            "call_once"
        );
        assert_eq!(without_generics("app::run::<u64>"), "app::run");
    }
}
