//! The source lines of a unit.

use gimli::{
    AttributeValue, CompleteLineProgram, Dwarf, LineProgramHeader, LineSequence, Reader, Unit,
};

/// A unit's line program. What it says of a function is worked out anew for each
/// address: addresses are asked for once, and all rows of a large unit would take a
/// hundred times the room of its program.
pub(super) struct Lines<R: Reader<Offset = usize>> {
    program: CompleteLineProgram<R>,
    /// By where they begin.
    sequences: Vec<LineSequence<R>>,
}

/// A line of a file, that by its number in the unit's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub file: u64,
    pub line: Option<u32>,
}

impl<R: Reader<Offset = usize>> Lines<R> {
    /// Those of `unit`.
    pub fn of(unit: &Unit<R>) -> Option<Self> {
        let (program, mut sequences) = unit.line_program.clone()?.sequences().ok()?;
        // What the linker left out stands at 0.
        sequences.retain(|sequence| sequence.start != 0 && sequence.start < sequence.end);
        sequences.sort_by_key(|sequence| sequence.start);
        Some(Self { program, sequences })
    }

    /// The line at `svma`.
    pub fn at(&self, svma: u64) -> Option<Line> {
        let after = self.sequences.partition_point(|s| s.start <= svma);
        let sequence = &self.sequences[after.checked_sub(1)?];
        if svma >= sequence.end {
            return None;
        }
        let mut rows = self.program.resume_from(sequence);
        let mut found = None;
        while let Ok(Some((_, row))) = rows.next_row() {
            if row.end_sequence() || row.address() > svma {
                break;
            }
            let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
            found = Some(Line {
                file: row.file_index(),
                line,
            });
        }
        found
    }

    /// The path of a file.
    pub fn file(&self, dwarf: &Dwarf<R>, unit: &Unit<R>, index: u64) -> Option<String> {
        file_path(dwarf, unit, self.program.header(), index)
    }
}

/// The path of a file, by its number in the line program of `unit`.
pub(super) fn file_path<R: Reader<Offset = usize>>(
    dwarf: &Dwarf<R>,
    unit: &Unit<R>,
    header: &LineProgramHeader<R>,
    index: u64,
) -> Option<String> {
    let file = header.file(index)?;
    let text = |value: AttributeValue<R>| {
        let text = dwarf.attr_string(unit, value).ok()?;
        text.to_string_lossy().ok().map(|text| text.into_owned())
    };
    let mut path = match &unit.comp_dir {
        Some(dir) => dir.to_string_lossy().ok()?.into_owned(),
        None => String::new(),
    };
    // Directory 0 is that of the compilation.
    if file.directory_index() != 0
        && let Some(directory) = file.directory(header)
    {
        push(&mut path, &text(directory)?);
    }
    push(&mut path, &text(file.path_name())?);
    Some(path)
}

/// An absolute path stands for itself, any other for one in `path`.
fn push(path: &mut String, part: &str) {
    if part.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(part);
}
