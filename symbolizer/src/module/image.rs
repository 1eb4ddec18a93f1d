//! One ELF file: its headers parsed once, its contents left where they are.

use super::bytes::{FileBytes, SectionBytes};
use super::ids::{BuildId, Svma};
use object::LittleEndian;
use object::elf::{
    EM_X86_64, FileHeader64, NT_GNU_BUILD_ID, PF_X, PT_GNU_EH_FRAME, PT_LOAD, PT_NOTE, PT_TLS,
    SHT_NOBITS, SHT_NOTE,
};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader, SectionHeader};
use std::ops::Range;
use std::sync::Arc;

/// A section may decompress to at most this much. DWARF of the largest programs
/// is a few gigabytes in all.
const LARGEST_DECOMPRESSED: u64 = 8 << 30;
/// zlib and zstd reach factors of a thousand on zeroes, DWARF less than twenty.
const LARGEST_RATIO: u64 = 1100;

/// Real section names are short; a damaged table can point all of them at one
/// endless string.
const LONGEST_NAME: usize = 256;

/// A part of the file that is mapped into memory (`PT_LOAD`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) svma: u64,
    pub(crate) memory_size: u64,
    pub(crate) file: Range<u64>,
    pub(crate) executable: bool,
}

/// The thread-local storage a module brings (`PT_TLS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsSegment {
    /// Where its initial contents stand.
    pub svma: Svma,
    /// How many bytes each thread gets.
    pub memory_size: u64,
    /// The alignment of the block.
    pub align: u64,
}

/// A section, by its header.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) svma: u64,
    /// Where it stands in the file; `None` when it takes no room there.
    file: Option<Range<usize>>,
    header: object::elf::SectionHeader64<LittleEndian>,
}

/// One ELF file.
#[derive(Debug)]
pub struct Image {
    bytes: Arc<FileBytes>,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    tls: Option<TlsSegment>,
    build_id: Option<BuildId>,
    eh_frame_hdr: Option<Range<u64>>,
}

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBytes({} bytes)", self.len())
    }
}

impl Image {
    /// Parses the headers of an ELF file.
    ///
    /// # Errors
    /// What is wrong with the file, in words.
    pub(crate) fn parse(bytes: FileBytes) -> Result<Self, String> {
        let bytes = Arc::new(bytes);
        let data: &[u8] = &bytes;
        let header = FileHeader64::<LittleEndian>::parse(data).map_err(|e| e.to_string())?;
        if header.e_machine(LittleEndian) != EM_X86_64 || header.is_big_endian() {
            return Err("it is for another processor".into());
        }
        let programs = header
            .program_headers(LittleEndian, data)
            .map_err(|e| e.to_string())?;
        let mut image = Self {
            bytes: Arc::clone(&bytes),
            segments: Vec::new(),
            sections: sections(header, data),
            tls: None,
            build_id: None,
            eh_frame_hdr: None,
        };
        for program in programs {
            image.add_program_header(program, data);
        }
        image.segments.sort_by_key(|segment| segment.svma);
        image.build_id = image
            .build_id
            .or_else(|| build_id_of_sections(header, data));
        Ok(image)
    }

    fn add_program_header(
        &mut self,
        program: &object::elf::ProgramHeader64<LittleEndian>,
        data: &[u8],
    ) {
        let svma = program.p_vaddr(LittleEndian);
        let memory_size = program.p_memsz(LittleEndian);
        let (start, size) = program.file_range(LittleEndian);
        match program.p_type(LittleEndian) {
            PT_LOAD => self.segments.push(Segment {
                svma,
                memory_size,
                file: start..start.saturating_add(size),
                executable: program.p_flags(LittleEndian).contains(PF_X),
            }),
            PT_TLS => {
                self.tls = Some(TlsSegment {
                    svma: Svma(svma),
                    memory_size,
                    align: program.p_align(LittleEndian).max(1),
                });
            }
            PT_GNU_EH_FRAME => self.eh_frame_hdr = Some(svma..svma.saturating_add(memory_size)),
            PT_NOTE if self.build_id.is_none() => {
                self.build_id = program
                    .notes(LittleEndian, data)
                    .ok()
                    .flatten()
                    .and_then(build_id_of_notes);
            }
            _ => {}
        }
    }

    /// The build-id, if the linker wrote one.
    #[must_use]
    pub fn build_id(&self) -> Option<&BuildId> {
        self.build_id.as_ref()
    }

    /// The thread-local storage it brings.
    #[must_use]
    pub fn tls(&self) -> Option<TlsSegment> {
        self.tls
    }

    /// The mapped parts, by address.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Where `.eh_frame_hdr` is loaded, by the program headers.
    pub(crate) fn eh_frame_hdr(&self) -> Option<Range<u64>> {
        self.eh_frame_hdr.clone()
    }

    /// The section of this name that has contents.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.name == name && section.file.is_some())
    }

    /// The file range of a section as it stands, compressed or not.
    pub(crate) fn raw(&self, section: &Section) -> Option<SectionBytes> {
        SectionBytes::new(&self.bytes, section.file.clone()?)
    }

    /// All bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The contents of the section of this name, decompressed if need be;
    /// nothing when there is no such section or it is damaged.
    #[must_use]
    pub fn section_bytes(&self, name: &str) -> Option<SectionBytes> {
        let section = self.section(name)?;
        let data: &[u8] = &self.bytes;
        let Ok(Some((compression, offset, size))) = section.header.compression(LittleEndian, data)
        else {
            return self.raw(section);
        };
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let packed = data.get(start..end)?;
        let full_size = object::read::elf::CompressionHeader::ch_size(compression, LittleEndian);
        if full_size > LARGEST_DECOMPRESSED || full_size / LARGEST_RATIO > size {
            return None;
        }
        let format = match object::read::elf::CompressionHeader::ch_type(compression, LittleEndian)
        {
            object::elf::ELFCOMPRESS_ZLIB => object::CompressionFormat::Zlib,
            object::elf::ELFCOMPRESS_ZSTD => object::CompressionFormat::Zstandard,
            _ => return None,
        };
        let compressed = object::CompressedData {
            format,
            data: packed,
            uncompressed_size: full_size,
        };
        Some(SectionBytes::owned(
            compressed.decompress().ok()?.into_owned(),
        ))
    }

    /// The bytes loaded at `svma`, from the file, to the end of their segment.
    pub(crate) fn loaded_at(&self, svma: u64) -> Option<&[u8]> {
        let (start, end) = self.file_range_at(svma)?;
        self.bytes.get(start..end)
    }

    /// Like [`loaded_at`](Self::loaded_at), but keeping the file alive.
    pub(crate) fn loaded_bytes_at(&self, svma: u64) -> Option<SectionBytes> {
        let (start, end) = self.file_range_at(svma)?;
        SectionBytes::new(&self.bytes, start..end)
    }

    fn file_range_at(&self, svma: u64) -> Option<(usize, usize)> {
        let segment = self.segments.iter().find(|segment| {
            svma >= segment.svma && svma - segment.svma < segment.file.end - segment.file.start
        })?;
        let start = segment.file.start.checked_add(svma - segment.svma)?;
        let end = usize::try_from(segment.file.end).ok()?;
        Some((usize::try_from(start).ok()?, end.min(self.bytes.len())))
    }
}

fn sections(header: &FileHeader64<LittleEndian>, data: &[u8]) -> Vec<Section> {
    // A damaged or cut off section table costs names and debug information; the
    // program headers still say how to load and unwind.
    let Ok(table) = header.sections(LittleEndian, data) else {
        return Vec::new();
    };
    table
        .iter()
        .map(|section| {
            let name = table
                .section_name(LittleEndian, section)
                .unwrap_or_default();
            let name = &name[..name.len().min(LONGEST_NAME)];
            let kind = section.sh_type(LittleEndian);
            let range = |(offset, size): (u64, u64)| {
                let start = usize::try_from(offset).ok()?;
                let end = start.checked_add(usize::try_from(size).ok()?)?;
                (end <= data.len()).then_some(start..end)
            };
            Section {
                name: String::from_utf8_lossy(name).into_owned(),
                svma: section.sh_addr(LittleEndian),
                file: (kind != SHT_NOBITS)
                    .then(|| section.file_range(LittleEndian).and_then(range))
                    .flatten(),
                header: *section,
            }
        })
        .collect()
}

fn build_id_of_sections(header: &FileHeader64<LittleEndian>, data: &[u8]) -> Option<BuildId> {
    let table = header.sections(LittleEndian, data).ok()?;
    table
        .iter()
        .filter(|section| section.sh_type(LittleEndian) == SHT_NOTE)
        .find_map(|section| build_id_of_notes(section.notes(LittleEndian, data).ok()??))
}

fn build_id_of_notes(mut notes: NoteIterator<'_, FileHeader64<LittleEndian>>) -> Option<BuildId> {
    while let Ok(Some(note)) = notes.next() {
        if note.name() == object::elf::ELF_NOTE_GNU && note.n_type(LittleEndian) == NT_GNU_BUILD_ID
        {
            return BuildId::new(note.desc());
        }
    }
    None
}
