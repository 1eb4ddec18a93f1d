//! Finding the call frame information of an address.
//!
//! `.eh_frame` holds, for each function, how to find its caller's registers at
//! every instruction (LSB Core, "Exception Frames"; DWARF 5, section 6.4).
//! `.eh_frame_hdr` is a table of it, sorted by address, that the linker makes;
//! where it is missing, or has a form no linker of today writes, we make an index
//! of our own.

use super::rule::{Rule, Slice};
use crate::module::{Image, SectionBytes};
use gimli::{
    BaseAddresses, CieOrFde, CommonInformationEntry, DebugFrame, EhFrame, EndianSlice,
    FrameDescriptionEntry, LittleEndian, UnwindContext, UnwindOffset, UnwindSection,
};
use std::collections::HashMap;
use std::sync::OnceLock;

/// Instructions of one function beyond this are not run: every cache miss would
/// run them again. Real functions have up to a few thousand bytes.
const LONGEST_PROGRAM: usize = 1 << 20;

/// An index over more functions than this is not made.
const MOST_FUNCTIONS: usize = 8 << 20;

/// The call frame information of a module.
#[derive(Debug)]
pub(crate) struct CallFrameInfo {
    /// `.eh_frame`, and its address.
    eh_frame: Option<(SectionBytes, u64)>,
    /// The sorted table of `.eh_frame_hdr`, and the address it counts from.
    table: Option<(SectionBytes, u64)>,
    debug_frame: Option<SectionBytes>,
    text: Option<u64>,
    got: Option<u64>,
    eh_index: OnceLock<Index>,
    debug_index: OnceLock<Index>,
}

/// Functions by their first address, with the offset of their entry.
type Index = Vec<(u64, u64)>;

/// What is known of the function at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) rule: Rule,
    /// Where its code begins and ends.
    pub(crate) function: std::ops::Range<u64>,
}

impl CallFrameInfo {
    /// What `image` itself brings, if anything.
    pub(crate) fn of(image: &Image) -> Option<Self> {
        let mut info = Self::of_debug_file(image).unwrap_or_else(Self::empty);
        let svma = |name| image.section(name).map(|section| section.svma);
        info.eh_frame = image
            .section_bytes(".eh_frame")
            .zip(svma(".eh_frame"))
            .or_else(|| eh_frame_by_header(image));
        info.table = header(image).and_then(|(bytes, address)| table(&bytes, address));
        info.text = svma(".text");
        info.got = svma(".got");
        (info.eh_frame.is_some() || info.debug_frame.is_some()).then_some(info)
    }

    /// What a separate debug file brings: `.debug_frame` only, its `.eh_frame` is
    /// empty.
    pub(crate) fn of_debug_file(image: &Image) -> Option<Self> {
        Some(Self {
            debug_frame: Some(image.section_bytes(".debug_frame")?),
            ..Self::empty()
        })
    }

    fn empty() -> Self {
        Self {
            eh_frame: None,
            table: None,
            debug_frame: None,
            text: None,
            got: None,
            eh_index: OnceLock::new(),
            debug_index: OnceLock::new(),
        }
    }

    /// The rule at `svma`.
    pub(crate) fn find(&self, svma: u64, context: &mut UnwindContext<usize>) -> Option<Found> {
        self.find_in_eh_frame(svma, context)
            .or_else(|| self.find_in_debug_frame(svma, context))
    }

    fn find_in_eh_frame(&self, svma: u64, context: &mut UnwindContext<usize>) -> Option<Found> {
        let (bytes, address) = self.eh_frame.as_ref()?;
        let section = EhFrame::from(EndianSlice::new(bytes, LittleEndian));
        let bases = self.bases(*address);
        if let Some((table, base)) = &self.table {
            let entry = entry_of_table(table, *base, svma)?;
            let offset = usize::try_from(entry.checked_sub(*address)?).ok()?;
            return evaluate(&section, &bases, offset.into(), svma, context);
        }
        let index = self.eh_index.get_or_init(|| index(&section, &bases));
        let offset = entry_of_index(index, svma)?;
        evaluate(&section, &bases, offset.into(), svma, context)
    }

    fn find_in_debug_frame(&self, svma: u64, context: &mut UnwindContext<usize>) -> Option<Found> {
        let bytes = self.debug_frame.as_ref()?;
        let section = DebugFrame::from(EndianSlice::new(bytes, LittleEndian));
        let bases = self.bases(0);
        let index = self.debug_index.get_or_init(|| index(&section, &bases));
        let offset = entry_of_index(index, svma)?;
        evaluate(&section, &bases, offset.into(), svma, context)
    }

    fn bases(&self, eh_frame: u64) -> BaseAddresses {
        let mut bases = BaseAddresses::default().set_eh_frame(eh_frame);
        if let Some(text) = self.text {
            bases = bases.set_text(text);
        }
        if let Some(got) = self.got {
            bases = bases.set_got(got);
        }
        bases
    }
}

/// `.eh_frame_hdr`, by its section or, in a file without sections, by its segment.
fn header(image: &Image) -> Option<(SectionBytes, u64)> {
    if let Some(section) = image.section(".eh_frame_hdr") {
        return image.raw(section).map(|bytes| (bytes, section.svma));
    }
    let range = image.eh_frame_hdr()?;
    Some((image.loaded_bytes_at(range.start)?, range.start))
}

/// `.eh_frame` of a file without sections: from where the header says, to the end
/// of the segment. A zero length ends it sooner.
fn eh_frame_by_header(image: &Image) -> Option<(SectionBytes, u64)> {
    let (header, address) = header(image)?;
    let svma = pointer_to_eh_frame(&header, address)?;
    Some((image.loaded_bytes_at(svma)?, svma))
}

/// The header as GNU ld, gold, lld and mold write it: version 1, a 4-byte offset to
/// `.eh_frame` (`DW_EH_PE_pcrel | DW_EH_PE_sdata4`), a 4-byte count, and a table of
/// pairs of 4-byte offsets from the header (`DW_EH_PE_datarel | DW_EH_PE_sdata4`).
const USUAL_HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];

fn pointer_to_eh_frame(header: &[u8], address: u64) -> Option<u64> {
    (header.get(..2)? == &USUAL_HEADER[..2])
        .then(|| offset_at(header, 4))?
        .map(|offset| address.wrapping_add(4).wrapping_add_signed(offset))
}

fn table(header: &SectionBytes, address: u64) -> Option<(SectionBytes, u64)> {
    if header.get(..4)? != USUAL_HEADER {
        return None;
    }
    let count = u32::from_le_bytes(header.get(8..12)?.try_into().ok()?);
    let end = 12 + usize::try_from(count).ok()?.checked_mul(8)?;
    (count > 0 && end <= header.len()).then(|| (header.part(12..end), address))
}

/// The address of the entry of the last function that begins at or below `svma`.
fn entry_of_table(table: &[u8], base: u64, svma: u64) -> Option<u64> {
    let target = svma.wrapping_sub(base).cast_signed();
    let (mut low, mut high) = (0, table.len() / 8);
    while low < high {
        let middle = low + (high - low) / 2;
        if offset_at(table, middle * 8)? <= target {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let offset = offset_at(table, low.checked_sub(1)? * 8 + 4)?;
    Some(base.wrapping_add_signed(offset))
}

fn offset_at(bytes: &[u8], at: usize) -> Option<i64> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(i32::from_le_bytes(bytes.try_into().ok()?).into())
}

fn entry_of_index(index: &Index, svma: u64) -> Option<usize> {
    let after = index.partition_point(|&(start, _)| start <= svma);
    usize::try_from(index.get(after.checked_sub(1)?)?.1).ok()
}

fn index<'a, S>(section: &S, bases: &BaseAddresses) -> Index
where
    S: UnwindSection<Slice<'a>>,
    S::Offset: UnwindOffset,
{
    let mut index = Vec::new();
    // An entry names its CIE by offset. Parsing that anew for each would be
    // quadratic in a file made for it.
    let mut cies: HashMap<usize, gimli::Result<CommonInformationEntry<Slice<'a>>>> = HashMap::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let fde = partial.parse(|section, bases, offset| {
            let key = UnwindOffset::into(offset);
            let parse = || section.cie_from_offset(bases, offset);
            cies.entry(key).or_insert_with(parse).clone()
        });
        // One damaged entry does not spoil the others.
        let Ok(fde) = fde else { continue };
        if index.len() == MOST_FUNCTIONS {
            break;
        }
        index.push((fde.initial_address(), fde.offset() as u64));
    }
    index.sort_unstable();
    index
}

fn evaluate<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    offset: S::Offset,
    svma: u64,
    context: &mut UnwindContext<usize>,
) -> Option<Found> {
    let fde = section.fde_from_offset(bases, offset, S::cie_from_offset);
    let fde = fde.ok().filter(|fde| fde.contains(svma))?;
    if program_length(&fde) > LONGEST_PROGRAM
        || fde.cie().return_address_register() != gimli::X86_64::RA
    {
        return None;
    }
    let row = fde
        .unwind_info_for_address(section, bases, context, svma)
        .ok()?;
    Some(Found {
        rule: Rule::of(row, fde.is_signal_trampoline(), section)?,
        function: fde.initial_address()..fde.end_address(),
    })
}

fn program_length(fde: &FrameDescriptionEntry<Slice<'_>>) -> usize {
    fde.entry_len().saturating_add(fde.cie().entry_len())
}
