//! The ways people build what they deploy.

/// How a service is built. All are optimized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// `debug = 2`: everything a debugger wants.
    Full,
    /// `debug = "line-tables-only"`: functions and lines, no types.
    LineTables,
    /// The binary stripped, its debug information in a file beside it that
    /// `.gnu_debuglink` names.
    DebugLink,
    /// The binary stripped, its debug information in a folder of build-ids.
    BuildId,
    /// Debug sections compressed with zlib.
    Compressed,
    /// Symbols and no debug information, as cargo's release builds are by
    /// themselves.
    Symbols,
    /// Nothing but `.eh_frame`: stripped, and no debug information anywhere.
    Stripped,
    /// Thin link-time optimization.
    ThinLto,
    /// Fat link-time optimization, one codegen unit, `panic = "abort"`.
    FatLto,
    /// `-Csymbol-mangling-version=v0`, as rustc does it by itself since 1.97.
    V0,
}

impl Flavour {
    /// Every flavour.
    pub const ALL: [Self; 10] = [
        Self::Full,
        Self::LineTables,
        Self::DebugLink,
        Self::BuildId,
        Self::Compressed,
        Self::Symbols,
        Self::Stripped,
        Self::ThinLto,
        Self::FatLto,
        Self::V0,
    ];

    /// A short name, for folders and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::LineTables => "line-tables",
            Self::DebugLink => "debuglink",
            Self::BuildId => "build-id",
            Self::Compressed => "compressed",
            Self::Symbols => "symbols",
            Self::Stripped => "stripped",
            Self::ThinLto => "thin-lto",
            Self::FatLto => "fat-lto",
            Self::V0 => "v0",
        }
    }

    /// The flavour that the compiler makes: some differ only in what is done to
    /// the binary afterwards.
    pub(crate) fn compiled_as(self) -> Self {
        match self {
            Self::DebugLink | Self::BuildId | Self::Compressed | Self::Symbols | Self::Stripped => {
                Self::Full
            }
            other => other,
        }
    }

    /// The lines of `[profile.release]`.
    pub(crate) fn profile(self) -> &'static str {
        match self.compiled_as() {
            Self::LineTables => "debug = \"line-tables-only\"\n",
            Self::ThinLto => "debug = 2\nlto = \"thin\"\n",
            Self::FatLto => "debug = 2\nlto = \"fat\"\ncodegen-units = 1\npanic = \"abort\"\n",
            _ => "debug = 2\n",
        }
    }

    /// Flags for every rustc run. A build-id is what Debian's and Fedora's own
    /// builds have, and what finds a separate debug file. Names are mangled as
    /// the compiler does it by itself: `legacy` before 1.97.
    pub(crate) fn rustflags(self) -> &'static str {
        match self {
            Self::V0 => "-Clink-arg=-Wl,--build-id -Csymbol-mangling-version=v0",
            _ => "-Clink-arg=-Wl,--build-id",
        }
    }
}
