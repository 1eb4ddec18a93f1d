//! Damaged files, stacks and mappings: whatever they hold, nothing panics and
//! everything ends.

use awaitscope_sampler::{
    Avma, Mapped, Mapping, Permissions, ReadMemory, ReadRequest, Register, Registers, StackCopy,
};
use awaitscope_symbolizer::{
    AddressSpace, Binaries, DebugFiles, StackReader, Svma, UnwindEnd, Unwinder,
};
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Memory that holds nothing.
struct Nothing;

impl ReadMemory for Nothing {
    fn read_many(&self, _: &mut [ReadRequest<'_>]) {}
}

const TEXT: u64 = 0x1000;
const BASE: u64 = 0x5555_0000_0000;
const STACK: u64 = 0x7fff_0000_0000;

/// A small ELF file as a linker lays it out, with these call frame sections.
fn elf(eh_frame: &[u8], eh_frame_hdr: Option<&[u8]>) -> Vec<u8> {
    let names = b"\0.text\0.eh_frame\0.eh_frame_hdr\0.shstrtab\0";
    let name_at = |name: &str| {
        let at = names.windows(name.len()).position(|w| w == name.as_bytes());
        u32::try_from(at.unwrap()).unwrap()
    };
    let header = eh_frame_hdr.unwrap_or_default();
    let text = vec![0x90; 0x1000];
    // Each at its own file offset, which is also its address.
    let eh_at = TEXT + text.len() as u64;
    let hdr_at = eh_at + (eh_frame.len() as u64).next_multiple_of(8);
    let names_at = hdr_at + (header.len() as u64).next_multiple_of(8);
    let sections_at = (names_at + names.len() as u64).next_multiple_of(8);
    let mut file = vec![0; usize::try_from(sections_at).unwrap()];
    let mut put = |at: u64, bytes: &[u8]| {
        let at = usize::try_from(at).unwrap();
        file[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &3u16.to_le_bytes()); // ET_DYN
    put(18, &62u16.to_le_bytes()); // EM_X86_64
    put(20, &1u32.to_le_bytes());
    put(32, &64u64.to_le_bytes()); // program headers
    put(40, &sections_at.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &1u16.to_le_bytes());
    put(58, &64u16.to_le_bytes());
    put(60, &5u16.to_le_bytes());
    put(62, &4u16.to_le_bytes());
    // One segment, readable and executable, that is the whole file.
    put(64, &1u32.to_le_bytes());
    put(68, &5u32.to_le_bytes());
    put(96, &names_at.to_le_bytes());
    put(104, &names_at.to_le_bytes());
    put(TEXT, &text);
    put(eh_at, eh_frame);
    put(hdr_at, header);
    put(names_at, names);
    let hdr_name = if eh_frame_hdr.is_some() {
        ".eh_frame_hdr"
    } else {
        "\0"
    };
    for (name, at, size) in [
        ("\0", 0, 0),
        (".text", TEXT, text.len()),
        (".eh_frame", eh_at, eh_frame.len()),
        (hdr_name, hdr_at, header.len()),
        (".shstrtab", names_at, names.len()),
    ] {
        let mut section = Vec::new();
        section.extend(name_at(name).to_le_bytes());
        section.extend(u32::from(size > 0).to_le_bytes());
        section.extend(2u64.to_le_bytes());
        section.extend(at.to_le_bytes());
        section.extend(at.to_le_bytes());
        section.extend((size as u64).to_le_bytes());
        section.extend([0; 8]);
        section.extend(1u64.to_le_bytes());
        section.extend(0u64.to_le_bytes());
        file.extend(section);
    }
    file
}

/// A process that has mapped `file` at [`BASE`], and nothing else.
fn space_of(file: &[u8]) -> (tempfile::TempDir, AddressSpace) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("program"), file).unwrap();
    let binaries = Binaries::OnDisk {
        root: folder.path().to_owned(),
        builds: HashMap::new(),
    };
    let mut space = AddressSpace::new(binaries, DebugFiles::none());
    space.update(&[mapping(BASE, 0x10_0000, 0, "/program")], &Nothing);
    (folder, space)
}

fn mapping(start: u64, size: u64, file_offset: u64, path: &str) -> Mapping {
    Mapping {
        start: Avma(start),
        end: Avma(start.saturating_add(size)),
        file_offset,
        permissions: Permissions {
            read: true,
            write: false,
            execute: true,
        },
        what: Mapped::File {
            path: PathBuf::from(path),
            device: 1,
            inode: path.len() as u64,
            deleted: false,
        },
    }
}

fn walk(space: &AddressSpace, registers: &Registers, stack: &StackCopy) -> (UnwindEnd, usize) {
    let mut frames = Vec::new();
    let mut reader = StackReader::continued(stack, &Nothing);
    let end = Unwinder::new().unwind(space, registers, &mut reader, &mut frames);
    assert!(!frames.is_empty() && frames.len() <= Unwinder::MOST_FRAMES);
    assert_eq!(frames[0].ip, registers.ip());
    (end, frames.len())
}

fn any_registers(ip: u64, values: &[u64]) -> Registers {
    let mut registers = Registers::from_ip_sp(Avma(ip), Avma(STACK));
    for (number, value) in values.iter().enumerate() {
        if number != usize::from(Register::RSP.0) {
            registers.set(Register(number as u16), *value);
        }
    }
    registers
}

/// Real call frame information, to be damaged: that of this test program.
fn real() -> &'static (Vec<u8>, Vec<u8>) {
    static REAL: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    REAL.get_or_init(|| {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        use object::{Object, ObjectSection};
        let section = file.section_by_name(".eh_frame").unwrap();
        let eh_frame = section.data().unwrap();
        (
            eh_frame[..eh_frame.len().min(4096)].to_vec(),
            bytes[..8192].to_vec(),
        )
    })
}

/// One CIE of the usual kind and one FDE over all of `.text` with `program`.
fn one_function(program: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut entry = |body: Vec<u8>| {
        bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        bytes.extend(body);
    };
    // Version 1, "zR", code alignment 1, data alignment -8, return address 16,
    // 8-byte absolute addresses; CFA = rsp + 8, return address at CFA - 8.
    let cie = [
        &[0, 0, 0, 0, 1][..],
        b"zR\0",
        &[1, 0x78, 16, 1, 0, 0x0c, 7, 8, 0x90, 1, 0, 0],
    ];
    entry(cie.concat());
    let fde = [
        &28u32.to_le_bytes()[..],
        &TEXT.to_le_bytes(),
        &0x1000u64.to_le_bytes(),
        &[0],
        program,
    ];
    entry(fde.concat());
    bytes
}

fn stack_of(words: &[u64]) -> StackCopy {
    StackCopy {
        start: Avma(STACK),
        bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect(),
    }
}

#[test]
fn a_made_up_function_unwinds_so_the_damage_below_hits_something() {
    let (_folder, space) = space_of(&elf(&one_function(&[]), None));
    let inside = BASE + TEXT + 0x10;
    let stack = stack_of(&[inside, inside, inside, 0]);
    let registers = any_registers(inside, &[]);
    assert_eq!(walk(&space, &registers, &stack), (UnwindEnd::Complete, 4));
}

#[test]
fn a_stack_that_goes_in_circles_ends() {
    // CFA = rbp, return address at rbp - 8: the same frame again and again.
    let (_folder, space) = space_of(&elf(&one_function(&[0x0c, 6, 0]), None));
    let inside = BASE + TEXT + 0x10;
    let stack = stack_of(&[inside; 16]);
    let registers = any_registers(inside, &[0, 0, 0, 0, 0, 0, STACK + 0x40]);
    let (end, frames) = walk(&space, &registers, &stack);
    assert_eq!(end, UnwindEnd::Loop);
    assert!(frames <= 2);
}

#[test]
fn an_endless_expression_ends() {
    // CFA = expression { DW_OP_skip -3 }
    let (_folder, space) = space_of(&elf(&one_function(&[0x0f, 3, 0x2f, 0xfd, 0xff]), None));
    let inside = BASE + TEXT + 0x10;
    let (end, _) = walk(&space, &any_registers(inside, &[]), &stack_of(&[0; 16]));
    assert_eq!(end, UnwindEnd::NoRule { ip: Avma(inside) });
}

#[test]
fn recursion_without_end_is_followed_only_so_far() {
    let (_folder, space) = space_of(&elf(&one_function(&[]), None));
    let inside = BASE + TEXT + 0x10;
    let stack = stack_of(&vec![inside; 10_000]);
    let (end, frames) = walk(&space, &any_registers(inside, &[]), &stack);
    assert_eq!((end, frames), (UnwindEnd::TooDeep, Unwinder::MOST_FRAMES));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_as_call_frame_information_are_survived(
        eh_frame in proptest::collection::vec(any::<u8>(), 0..600),
        header in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100)),
        words in proptest::collection::vec(any::<u64>(), 0..64),
    ) {
        let (_folder, space) = space_of(&elf(&eh_frame, header.as_deref()));
        walk(&space, &any_registers(BASE + TEXT + 4, &words), &stack_of(&words));
    }

    #[test]
    fn any_instructions_for_a_function_are_survived(
        program in proptest::collection::vec(any::<u8>(), 0..64),
        near in proptest::collection::vec(0..0x1000u64, 0..64),
    ) {
        let (_folder, space) = space_of(&elf(&one_function(&program), None));
        let words: Vec<u64> = near
            .iter()
            .map(|&word| if word % 2 == 0 { BASE + TEXT + word } else { STACK + (word & !7) })
            .collect();
        walk(&space, &any_registers(BASE + TEXT + 4, &words), &stack_of(&words));
    }

    #[test]
    fn any_expression_for_the_frame_is_survived(
        expression in proptest::collection::vec(any::<u8>(), 1..60),
        words in proptest::collection::vec(any::<u64>(), 0..32),
    ) {
        let mut program = vec![0x0f, u8::try_from(expression.len()).unwrap()];
        program.extend(&expression);
        let (_folder, space) = space_of(&elf(&one_function(&program), None));
        walk(&space, &any_registers(BASE + TEXT + 4, &words), &stack_of(&words));
    }

    #[test]
    fn damaged_real_call_frame_information_is_survived(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        at in 0..0x1000u64,
        words in proptest::collection::vec(any::<u64>(), 0..32),
    ) {
        let mut eh_frame = real().0.clone();
        for (index, byte) in damage {
            let index = index.index(eh_frame.len());
            eh_frame[index] = byte;
        }
        let (_folder, space) = space_of(&elf(&eh_frame, None));
        walk(&space, &any_registers(BASE + TEXT + at, &words), &stack_of(&words));
    }

    #[test]
    fn a_header_that_lies_about_its_table_is_survived(
        count in any::<u32>(),
        pairs in proptest::collection::vec(any::<(i32, i32)>(), 0..40),
        pointer in any::<i32>(),
    ) {
        let mut header = vec![1, 0x1b, 0x03, 0x3b];
        header.extend(pointer.to_le_bytes());
        header.extend((count % 64).to_le_bytes());
        for (function, entry) in pairs {
            header.extend(function.to_le_bytes());
            header.extend(entry.to_le_bytes());
        }
        let (_folder, space) = space_of(&elf(&one_function(&[]), Some(&header)));
        walk(&space, &any_registers(BASE + TEXT + 4, &[]), &stack_of(&[7; 16]));
    }

    #[test]
    fn damaged_headers_and_cut_off_files_are_survived(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        length in any::<prop::sample::Index>(),
    ) {
        let mut file = real().1.clone();
        for (index, byte) in damage {
            // Most of what matters stands in the headers.
            let index = index.index(file.len().min(1024));
            file[index] = byte;
        }
        file.truncate(length.index(file.len()));
        let (_folder, space) = space_of(&file);
        let (_, module) = space.modules().next().unwrap();
        let _ = (module.image(), module.build_id(), module.tls(), module.debug_tier());
        let _ = (module.dwarf(), module.symbols().function_at(Svma(0x1000)));
        let names = module.symbols().functions().chain(module.symbols().variables());
        prop_assert!(names.map(|symbol| symbol.name.len()).max().unwrap_or(0) <= file.len());
        let _ = space.lookup(Avma(BASE + 0x100));
    }

    #[test]
    fn any_mappings_give_an_address_space_that_answers(
        maps in proptest::collection::vec(
            (any::<u64>(), any::<u64>(), any::<u64>(), 0..4usize), 0..30),
        probes in proptest::collection::vec(any::<u64>(), 0..20),
    ) {
        let paths = ["/a", "/bb", "/ccc", "/dddd"];
        let mappings: Vec<Mapping> = maps
            .iter()
            .map(|&(start, size, offset, path)| mapping(start, size, offset, paths[path]))
            .collect();
        let binaries = Binaries::OnDisk {
            root: Path::new("/nonexistent").to_owned(),
            builds: HashMap::new(),
        };
        let mut space = AddressSpace::new(binaries, DebugFiles::none());
        space.update(&mappings, &Nothing);
        let ends = mappings.iter().flat_map(|m| [m.start.0, m.end.0, m.end.0.wrapping_sub(1)]);
        for probe in probes.into_iter().chain(ends) {
            if space.lookup(Avma(probe)).is_some() {
                prop_assert!(mappings.iter().any(|m| m.start.0 <= probe && probe < m.end.0));
            }
        }
        let generation = space.generation();
        space.update(&mappings, &Nothing);
        prop_assert_eq!(space.generation(), generation);
    }
}
