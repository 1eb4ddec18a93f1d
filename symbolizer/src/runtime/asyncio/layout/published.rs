//! What an interpreter says itself of its layout.

use super::{FrameRoot, GeneratorFrame, GeneratorState, InstructionPlace, Instructions};
use super::{Layout, LineTable, StackEnd, TaskLayout, Variables, Version};
use awaitscope_sampler::{Avma, ReadMemory};

/// The beginning of `_PyRuntime` from 3.13 on (`_Py_Debug_Cookie`, `pycore_debug_offsets.h`).
const COOKIE: &[u8; 8] = b"xdebugpy";

/// An offset larger than any there is.
const LARGEST: u64 = 1 << 24;

/// What the published offsets tell of the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct Published {
    /// Its exact version.
    pub version: Version,
    /// Whether it was built without the lock.
    pub free_threaded: bool,
    words: [u64; WORDS],
}

/// Why the published offsets cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::runtime::asyncio) enum PublishedError {
    /// A number in them cannot be an offset.
    #[error("the offsets that it publishes hold {0:#x}, which can be none")]
    NoOffset(u64),
}

/// As many words as are read: all that we know of 3.14's.
const WORDS: usize = 89;

/// Reads the offsets at the beginning of `_PyRuntime`; `None` where there are none.
pub(in crate::runtime::asyncio) fn published(
    runtime: Avma,
    memory: &dyn ReadMemory,
) -> Option<Published> {
    let mut bytes = [0; WORDS * 8];
    if !memory.read(runtime, &mut bytes) || !bytes.starts_with(COOKIE) {
        return None;
    }
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().ok()?);
    }
    Some(Published {
        // The upper half of the word is not used.
        version: Version::of_hex(words[1] as u32),
        free_threaded: words[2] != 0,
        words,
    })
}

/// Where the groups of `struct _Py_DebugOffsets` begin, in words. Each begins with the size of
/// its structure; the members keep their order.
struct Groups {
    runtime: usize,
    interpreter: usize,
    thread: usize,
    frame: usize,
    code: usize,
}

/// 3.13 has no `threads_main`, `code_object_generation` and `tlbc_generation`.
const GROUPS_3_13: Groups = Groups {
    runtime: 3,
    interpreter: 6,
    thread: 19,
    frame: 28,
    code: 34,
};

const GROUPS_3_14: Groups = Groups {
    runtime: 3,
    interpreter: 6,
    thread: 22,
    frame: 31,
    code: 39,
};

impl Published {
    /// The row with what is published put in.
    ///
    /// # Errors
    /// What is published makes no sense.
    pub fn apply(&self, row: Layout) -> Result<Layout, PublishedError> {
        let mut layout = row;
        let newer = row.minor >= 14;
        let groups = if newer { GROUPS_3_14 } else { GROUPS_3_13 };
        // `threads_main` shifts what follows it by one.
        let after_head = usize::from(newer);
        let word = |group: usize, member: usize| {
            let value = self.words[group + member];
            match value < LARGEST {
                true => Ok(value),
                false => Err(PublishedError::NoOffset(value)),
            }
        };
        layout.runtime.interpreters_head = word(groups.runtime, 2)?;
        layout.interpreter.next = word(groups.interpreter, 2)?;
        layout.interpreter.threads_head = word(groups.interpreter, 3)?;
        layout.interpreter.modules = word(groups.interpreter, 5 + after_head)?;
        layout.interpreter.sysdict = word(groups.interpreter, 6 + after_head)?;
        layout.thread.next = word(groups.thread, 2)?;
        layout.thread.interp = word(groups.thread, 3)?;
        layout.thread.frame = FrameRoot::Here(word(groups.thread, 4)?);
        layout.thread.thread_id = word(groups.thread, 5)?;
        layout.thread.native_thread_id = Some(word(groups.thread, 6)?);
        layout.frame.previous = word(groups.frame, 1)?;
        layout.frame.code = word(groups.frame, 2)?;
        layout.frame.instruction = InstructionPlace::Pointer(word(groups.frame, 3)?);
        layout.frame.localsplus = word(groups.frame, 4)?;
        layout.frame.owner = Some(word(groups.frame, 5)?);
        layout.code.filename = word(groups.code, 1)?;
        layout.code.name = word(groups.code, 2)?;
        layout.code.qualname = Some(word(groups.code, 3)?);
        layout.code.lines = LineTable::Locations(word(groups.code, 4)?);
        layout.code.firstlineno = word(groups.code, 5)?;
        layout.code.argcount = word(groups.code, 6)?;
        layout.code.variables = Variables::One(word(groups.code, 7)?);
        layout.code.instructions = Instructions::Inside(word(groups.code, 9)?);
        if newer {
            self.apply_newer(&mut layout, word)?;
        }
        Ok(layout)
    }

    /// What only 3.14 tells.
    fn apply_newer(
        &self,
        layout: &mut Layout,
        word: impl Fn(usize, usize) -> Result<u64, PublishedError>,
    ) -> Result<(), PublishedError> {
        layout.frame.stack = StackEnd::Pointer(word(GROUPS_3_14.frame, 6)?);
        layout.objects.tuple_items = word(56, 1)?;
        layout.objects.ascii = word(77, 3)?;
        layout.generator.name = word(83, 1)?;
        layout.generator.frame = GeneratorFrame::Inside(word(83, 2)?);
        layout.generator.state = GeneratorState::New(word(83, 3)?);
        Ok(())
    }
}

/// Takes over `struct _Py_AsyncioModuleDebugOffsets`, the contents of the section
/// `.AsyncioDebug` of the module that holds `_asyncio` (from 3.14,
/// `Modules/_asynciomodule.c`).
pub(in crate::runtime::asyncio) fn asyncio_published(
    layout: &Layout,
    section: &[u8],
) -> Option<Layout> {
    let words: Vec<u64> = section
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
        .collect();
    // Task: size, name, awaited_by, is_task, awaited_by_is_set, coro, node; interpreter:
    // size, tasks_head; thread: size, running_loop, running_task, tasks_head.
    let &[
        size,
        name,
        _,
        is_task,
        _,
        coro,
        node,
        _,
        of_interpreter,
        _,
        running_loop,
        running_task,
        of_thread,
        ..,
    ] = words.as_slice()
    else {
        return None;
    };
    if words.iter().any(|word| *word >= LARGEST) {
        return None;
    }
    let mut layout = *layout;
    layout.task = TaskLayout {
        // `task_state` is the `int` before `task_is_task`, and `task_fut_waiter` the pointer
        // before `task_coro`.
        state: is_task.checked_sub(4)?,
        fut_waiter: coro.checked_sub(8)?,
        coro,
        name,
        size,
        node: Some(node),
    };
    layout.interpreter.tasks_head = Some(of_interpreter);
    layout.thread.running_loop = Some(running_loop);
    layout.thread.running_task = Some(running_task);
    layout.thread.tasks_head = Some(of_thread);
    Some(layout)
}

#[cfg(test)]
mod tests {
    use super::super::layout_of;
    use super::*;

    /// `.AsyncioDebug` of Debian's 3.14.10 for x86-64.
    const DEBIAN_3_14: [u64; 13] = [
        168, 136, 96, 108, 109, 128, 152, 225_864, 10_880, 936, 864, 872, 880,
    ];

    #[test]
    fn what_debians_3_14_publishes_of_tasks_is_the_row() {
        let row = layout_of(14).expect("a row");
        let section: Vec<u8> = DEBIAN_3_14.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(asyncio_published(&row, &section), Some(row));
        assert_eq!(asyncio_published(&row, &section[..90]), None);
        let wild = [u64::MAX; 13];
        let wild: Vec<u8> = wild.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(asyncio_published(&row, &wild), None);
    }
}
