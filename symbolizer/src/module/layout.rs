//! Which mappings belong together, told from `/proc/PID/maps` alone.

use super::origin::MappedFile;
use awaitscope_sampler::{Mapped, Mapping};
use std::collections::HashMap;

/// Segments of one load keep their distances in memory and in the file, but for
/// the alignment that the linker puts between them (`max-page-size`: 4 KiB to
/// 2 MiB a segment).
const LARGEST_SHIFT: u64 = 16 << 20;

/// The mappings of a process, those of one file at one place as a group.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// By address.
    pub(crate) ranges: Vec<Range>,
    pub(crate) groups: Vec<Group>,
}

/// One mapping.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) executable: bool,
    /// The group it belongs to.
    pub(crate) group: Option<usize>,
}

/// A file mapped in one go: what `mmap`ping a library leaves.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) what: GroupFile,
    /// The mappings of the file itself, by address.
    pub(crate) pieces: Vec<Piece>,
}

/// What a group is mapped from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum GroupFile {
    File(MappedFile),
    Vdso,
}

/// One mapping of a group's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) file_offset: u64,
    pub(crate) executable: bool,
}

impl Piece {
    /// How far its addresses are from its file offsets.
    fn shift(&self) -> u64 {
        self.start.wrapping_sub(self.file_offset)
    }
}

impl Layout {
    pub(crate) fn of(mappings: &[Mapping]) -> Self {
        let mut layout = Self::default();
        let mut open = HashMap::new();
        let mut sorted: Vec<&Mapping> = mappings.iter().collect();
        sorted.sort_by_key(|mapping| mapping.start);
        for mapping in sorted {
            let previous = layout.ranges.last().map_or(0, |range| range.end);
            if mapping.start < mapping.end && previous <= mapping.start.0 {
                layout.add(mapping, &mut open);
            }
        }
        layout.fill_gaps();
        layout
    }

    fn add(&mut self, mapping: &Mapping, open: &mut HashMap<GroupFile, usize>) {
        let what = match &mapping.what {
            Mapped::File {
                path,
                device,
                inode,
                deleted,
            } => Some(GroupFile::File(MappedFile {
                path: path.clone(),
                device: *device,
                inode: *inode,
                deleted: *deleted,
            })),
            Mapped::Anonymous { name } if name.as_deref() == Some("[vdso]") => {
                Some(GroupFile::Vdso)
            }
            Mapped::Anonymous { .. } => None,
        };
        let group = what.map(|what| self.group_for(what, mapping, open));
        self.ranges.push(Range {
            start: mapping.start.0,
            end: mapping.end.0,
            executable: mapping.permissions.execute,
            group,
        });
    }

    /// The group that `mapping` continues, or a new one. A loader maps a file's
    /// segments in rising order and near each other; where the offset falls back,
    /// the file is mapped a second time (`dlmopen`, or a program that reads its own
    /// libraries).
    fn group_for(
        &mut self,
        what: GroupFile,
        mapping: &Mapping,
        open: &mut HashMap<GroupFile, usize>,
    ) -> usize {
        let piece = Piece {
            start: mapping.start.0,
            end: mapping.end.0,
            file_offset: mapping.file_offset,
            executable: mapping.permissions.execute,
        };
        let index = open.entry(what.clone()).or_insert(usize::MAX);
        if let Some(group) = self.groups.get_mut(*index)
            && let Some(last) = group.pieces.last()
            && last.file_offset <= piece.file_offset
            && piece.shift().wrapping_sub(last.shift()) <= LARGEST_SHIFT
        {
            group.pieces.push(piece);
            return *index;
        }
        *index = self.groups.len();
        self.groups.push(Group {
            what,
            pieces: vec![piece],
        });
        *index
    }

    /// Anonymous memory between two mappings of one group is part of it: text that
    /// was moved to huge pages (Node's `--use-largepages`, for one).
    fn fill_gaps(&mut self) {
        let mut filled = 0;
        for index in 1..self.ranges.len() {
            let Some(group) = self.ranges[index].group else {
                continue;
            };
            let before = self.ranges[filled..index].iter();
            if let Some(back) = before.rev().position(|range| range.group.is_some()) {
                let last = index - 1 - back;
                if self.ranges[last].group == Some(group) {
                    for range in &mut self.ranges[last + 1..index] {
                        range.group = Some(group);
                    }
                }
            }
            filled = index;
        }
    }
}
