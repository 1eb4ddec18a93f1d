//! Source files as people know them, and whose code they hold.

use crate::frame::Origin;

/// A source file's shortened path and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// `src/main.rs`, `tokio-1.54.1/src/time/sleep.rs`,
    /// `std/src/thread/mod.rs`.
    pub short: String,
    /// Whose code it holds.
    pub origin: Origin,
}

/// Shortens `path` as it stands in a line table. `compilation_dir` is the
/// directory its unit was compiled in, `own` whose code it is if neither the
/// standard library's nor a dependency's.
#[must_use]
pub fn source_file(path: &str, compilation_dir: Option<&str>, own: Origin) -> SourceFile {
    if let Some(short) = standard_library(path) {
        return SourceFile {
            short,
            origin: Origin::Std,
        };
    }
    if let Some(short) = dependency(path) {
        return SourceFile {
            short,
            origin: Origin::Library,
        };
    }
    let inside = compilation_dir.and_then(|dir| {
        let rest = path.strip_prefix(dir)?;
        rest.strip_prefix('/').or((dir.is_empty()).then_some(rest))
    });
    SourceFile {
        short: inside.unwrap_or(path).trim_start_matches("./").to_owned(),
        origin: if path.is_empty() {
            Origin::Unknown
        } else {
            own
        },
    }
}

/// `/rustc/<commit>/library/std/src/…`, or the same in an installed toolchain.
fn standard_library(path: &str) -> Option<String> {
    for mark in ["/lib/rustlib/src/rust/library/", "/rust/deps/"] {
        if let Some(at) = path.find(mark) {
            return Some(path[at + mark.len()..].to_owned());
        }
    }
    let rest = path.strip_prefix("/rustc/")?;
    let (_, rest) = rest.split_once('/')?;
    Some(rest.strip_prefix("library/").unwrap_or(rest).to_owned())
}

/// Cargo's registry, its git checkouts, and vendored packages.
fn dependency(path: &str) -> Option<String> {
    if let Some(at) = path.find("/registry/src/") {
        let rest = &path[at + "/registry/src/".len()..];
        return rest.split_once('/').map(|(_, rest)| rest.to_owned());
    }
    if let Some(at) = path.find("/git/checkouts/") {
        let rest = &path[at + "/git/checkouts/".len()..];
        let (package, rest) = rest.split_once('/')?;
        let (_, rest) = rest.split_once('/')?;
        let package = package.rsplit_once('-').map_or(package, |(name, _)| name);
        return Some(format!("{package}/{rest}"));
    }
    let at = path.find("/vendor/")?;
    Some(path[at + "/vendor/".len()..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_files_are_short() {
        let file = source_file("/srv/app/src/main.rs", Some("/srv/app"), Origin::User);
        assert_eq!(file.short, "src/main.rs");
        assert_eq!(file.origin, Origin::User);
    }

    #[test]
    fn dependencies_carry_their_version() {
        let file = source_file(
            "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/time/sleep.rs",
            Some("/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1"),
            Origin::User,
        );
        assert_eq!(file.short, "tokio-1.54.1/src/time/sleep.rs");
        assert_eq!(file.origin, Origin::Library);
        let git = source_file(
            "/h/.cargo/git/checkouts/axum-0f1e2d/abc123/axum/src/lib.rs",
            None,
            Origin::User,
        );
        assert_eq!(git.short, "axum/axum/src/lib.rs");
        assert_eq!(git.origin, Origin::Library);
    }

    #[test]
    fn the_standard_library_is_known_by_its_remapped_path() {
        let file = source_file(
            "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/thread/mod.rs",
            None,
            Origin::User,
        );
        assert_eq!(file.short, "std/src/thread/mod.rs");
        assert_eq!(file.origin, Origin::Std);
    }
}
