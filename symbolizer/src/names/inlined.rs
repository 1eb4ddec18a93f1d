//! What was inlined into a function.

use super::span::Span;
use gimli::{AttributeValue, Dwarf, Reader, Unit, UnitOffset};

/// A stretch of code that was inlined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inlined {
    begin: u64,
    end: u64,
    /// How deep its entry stands below others.
    depth: isize,
    /// Its entry.
    pub entry: UnitOffset,
    /// The file that called it, by its number in the unit's line program.
    pub call_file: u64,
    /// The line that called it; 0 where that is not told.
    pub call_line: u32,
}

/// All that was inlined into the function at `function`, each before what was
/// inlined into it.
pub(super) fn inlined_into<R: Reader<Offset = usize>>(
    dwarf: &Dwarf<R>,
    unit: &Unit<R>,
    function: UnitOffset,
) -> Result<Vec<Inlined>, gimli::Error> {
    let mut found = Vec::new();
    let mut entries = unit.entries_raw(Some(function))?;
    let outermost = entries.next_depth();
    if let Some(abbreviation) = entries.read_abbreviation()? {
        entries.skip_attributes(abbreviation.attributes())?;
    }
    // A function that is defined inside has code, and inlined code, of its own.
    let mut inside: Option<isize> = None;
    while !entries.is_empty() {
        let (entry, depth) = (entries.next_offset(), entries.next_depth());
        if depth <= outermost {
            break;
        }
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        inside = inside.filter(|other| depth > *other);
        if abbreviation.tag() == gimli::DW_TAG_subprogram {
            inside = inside.or(Some(depth));
        }
        if inside.is_some() || abbreviation.tag() != gimli::DW_TAG_inlined_subroutine {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let (mut span, mut call_file, mut call_line) = (Span::default(), 0, 0);
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            match (attribute.name(), attribute.value()) {
                (gimli::DW_AT_call_file, AttributeValue::FileIndex(index)) => call_file = index,
                (gimli::DW_AT_call_line, value) => {
                    let line = value.udata_value().unwrap_or(0);
                    call_line = u32::try_from(line).unwrap_or(0);
                }
                _ => span.note(dwarf, unit, &attribute)?,
            }
        }
        span.each(dwarf, unit, |range| {
            found.push(Inlined {
                begin: range.begin,
                end: range.end,
                depth,
                entry,
                call_file,
                call_line,
            });
        })?;
    }
    Ok(found)
}

/// Those of `all` that hold `svma`, the outermost first.
pub(super) fn inlined_at(all: &[Inlined], svma: u64) -> Vec<Inlined> {
    let mut chain: Vec<Inlined> = Vec::new();
    let holding = all
        .iter()
        .filter(|inlined| inlined.begin <= svma && svma < inlined.end);
    for inlined in holding {
        if chain.last().is_none_or(|outer| inlined.depth > outer.depth) {
            chain.push(*inlined);
        }
    }
    chain
}
