//! The profile in the formats of other tools: one file or folder for each, behind one trait.
//!
//! Every format gets the exact times of the profile, in nanoseconds where it can hold them.
//! What a profile does not know (the order of things within a second, above all) is not made
//! up: where a format wants it, what is written says so itself.

mod collapsed;
mod firefox;
mod pprof;
mod speedscope;
mod tree;

use crate::error::Error;
use crate::output;
use crate::profile::Profile;
use crate::view::{Grouping, RuntimeFrames, View, named};
use collapsed::Collapsed;
use firefox::Firefox;
use pprof::Pprof;
use speedscope::Speedscope;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

/// A format that other tools read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A line for each stack, as `flamegraph.pl` and its kin read them.
    Collapsed,
    /// The gzipped protobuf of Google's pprof.
    Pprof,
    /// The JSON of speedscope.
    Speedscope,
    /// The gzipped JSON of the Firefox Profiler.
    Firefox,
}

named!(
    Format,
    "format",
    Collapsed = "collapsed",
    Pprof = "pprof",
    Speedscope = "speedscope",
    Firefox = "firefox"
);

impl Format {
    /// How its files end, without the first dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Collapsed => "folded",
            Self::Pprof => "pb.gz",
            Self::Speedscope => "speedscope.json",
            Self::Firefox => "firefox.json.gz",
        }
    }

    /// Whether it is no text.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Pprof | Self::Firefox)
    }

    /// What opens it, in words.
    #[must_use]
    pub fn opened_by(self) -> &'static str {
        match self {
            Self::Collapsed => "inferno-flamegraph, flamelens and flamegraph.pl read it",
            Self::Pprof => "open it with `go tool pprof`",
            Self::Speedscope => "open it with `speedscope`, or drop it on www.speedscope.app",
            Self::Firefox => "open it at profiler.firefox.com, which keeps it in the browser",
        }
    }
}

/// What goes into an export. What is `None` is as the format has it best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportOptions {
    /// What is counted.
    pub view: Option<View>,
    /// What stands at the root.
    pub grouping: Option<Grouping>,
    /// What becomes of the runtime's frames.
    pub runtime_frames: RuntimeFrames,
}

/// A profile, ready to be written in a format.
trait Exporter {
    /// Writes all of it.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// A profile, ready to be written in a format of other tools.
pub struct Export<'a>(Box<dyn Exporter + 'a>);

impl fmt::Debug for Export<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").finish_non_exhaustive()
    }
}

impl<'a> Export<'a> {
    /// Prepares a profile for a format.
    ///
    /// # Errors
    /// The profile does not hold what is asked for, or the format has no place for it.
    pub fn of(
        profile: &'a Profile,
        format: Format,
        options: &ExportOptions,
    ) -> Result<Self, Error> {
        Ok(Self(match format {
            Format::Collapsed => Box::new(Collapsed::of(profile, options)?),
            Format::Pprof => Box::new(Pprof::of(profile, options)?),
            Format::Speedscope => Box::new(Speedscope::of(profile, options)?),
            Format::Firefox => Box::new(Firefox::of(profile, options)?),
        }))
    }

    /// Writes it to `out`.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        self.0.write(&mut out)
    }

    /// Writes it as a file, whole or not at all, readable by its owner only.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        output::save(path, |out| self.0.write(out))
    }
}

/// All that an export writes.
#[cfg(test)]
fn written(profile: &Profile, format: Format, options: &ExportOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    let export = Export::of(profile, format, options).unwrap();
    export.write(&mut bytes).unwrap();
    bytes
}
