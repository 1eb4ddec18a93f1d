//! framehop, the unwinder we are measured by.

use super::Moment;
use awaitscope_sampler::{Avma, Mapped, Mapping, Register};
use awaitscope_symbolizer::{AddressSpace, Svma};
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, Module, Unwinder};
use object::{Object, ObjectSection};

pub struct Oracle {
    unwinder: UnwinderX86_64<Vec<u8>>,
    cache: CacheX86_64,
}

impl Oracle {
    /// Knows the files that are mapped. (Not the vDSO.)
    pub fn new(space: &AddressSpace, mappings: &[Mapping]) -> Self {
        let mut unwinder = UnwinderX86_64::new();
        for (id, module) in space.modules() {
            let Ok(bytes) = std::fs::read(module.path()) else {
                continue;
            };
            let ranges = mappings.iter().filter(|mapping| {
                matches!(&mapping.what, Mapped::File { path, .. } if path == module.path())
            });
            let start = ranges.clone().map(|mapping| mapping.start.0).min();
            let end = ranges.map(|mapping| mapping.end.0).max();
            let (Some(start), Some(end)) = (start, end) else {
                continue;
            };
            let file = object::File::parse(&*bytes).expect("it runs, so it is an ELF file");
            let data = |name| Some(file.section_by_name(name)?.data().ok()?.to_vec());
            let range = |name| {
                let section = file.section_by_name(name)?;
                Some(section.address()..section.address() + section.size())
            };
            let base = space.avma(id, Svma(0)).expect("it is mapped").0;
            unwinder.add_module(Module::new(
                module.name().to_owned(),
                start..end,
                base,
                ExplicitModuleSectionInfo {
                    base_svma: 0,
                    text_svma: range(".text"),
                    text: data(".text"),
                    got_svma: range(".got"),
                    eh_frame_svma: range(".eh_frame"),
                    eh_frame: data(".eh_frame"),
                    eh_frame_hdr_svma: range(".eh_frame_hdr"),
                    eh_frame_hdr: data(".eh_frame_hdr"),
                    ..Default::default()
                },
            ));
        }
        Self {
            unwinder,
            cache: CacheX86_64::new(),
        }
    }

    /// The return addresses of a stack, from the innermost on, and whether it
    /// came to the end.
    pub fn unwind(&mut self, moment: &Moment, chain: &mut Vec<u64>) -> bool {
        chain.clear();
        let registers = &moment.registers;
        let value = |register| registers.get(register).unwrap_or(0);
        let start = UnwindRegsX86_64::new(registers.ip().0, registers.sp().0, value(Register::RBP));
        let mut read = |address| moment.stack.word(Avma(address)).ok_or(());
        let mut frames =
            self.unwinder
                .iter_frames(registers.ip().0, start, &mut self.cache, &mut read);
        while chain.len() < 4096 {
            match frames.next() {
                Ok(Some(frame)) => chain.push(frame.address()),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    }
}
