//! The rows: one for each minor version.
//!
//! Taken from the DWARF of 3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.12.1 and 3.13.0, and from the
//! debug offsets of 3.14.10. Patch releases of one minor version keep them.

use super::{
    AttributesLayout, CodeLayout, FrameLayout, FrameRoot, GeneratorFrame, GeneratorLayout,
    GeneratorState, InstructionPlace, Instructions, IntLayout, InterpreterLayout, KeysLayout,
    Layout, LineTable, ObjectLayout, RuntimeLayout, StackEnd, TaskLayout, ThreadLayout, Variables,
};

/// The row of a minor version of Python 3.
pub(in crate::runtime::asyncio) fn layout_of(minor: u8) -> Option<Layout> {
    ROWS.iter().find(|row| row.minor == minor).copied()
}

static ROWS: &[Layout] = &[V3_8, V3_9, V3_10, V3_11, V3_12, V3_13, V3_14];

const V3_8: Layout = Layout {
    minor: 8,
    runtime: RuntimeLayout {
        interpreters_head: 32,
    },
    interpreter: InterpreterLayout {
        next: 0,
        threads_head: 8,
        modules: 56,
        sysdict: 72,
        tasks_head: None,
    },
    thread: ThreadLayout {
        next: 8,
        interp: 16,
        frame: FrameRoot::Here(24),
        thread_id: 176,
        native_thread_id: None,
        dict: 152,
        datastack_chunk: None,
        datastack_top: None,
        running_loop: None,
        running_task: None,
        tasks_head: None,
    },
    frame: FrameLayout {
        code: 32,
        previous: 24,
        globals: 48,
        generator: Some(96),
        instruction: InstructionPlace::Bytes(104),
        localsplus: 360,
        stack: StackEnd::Pointer(72),
        owner: None,
        is_entry: None,
    },
    code: CodeLayout {
        argcount: 16,
        flags: 36,
        firstlineno: 40,
        filename: 104,
        name: 112,
        qualname: None,
        lines: LineTable::Lnotab(120),
        instructions: Instructions::Bytes(48),
        variables: Variables::Three {
            locals: 72,
            cells: 88,
            free: 80,
        },
    },
    generator: GeneratorLayout {
        frame: GeneratorFrame::Pointer(16),
        name: 48,
        qualname: 56,
        state: GeneratorState::Running(24),
    },
    objects: ObjectLayout {
        ascii: 48,
        compact: 72,
        kind_shift: 2,
        int: IntLayout::Size,
        keys: KeysLayout::Size,
        attributes: AttributesLayout::DictOffset,
        cached_keys: 872,
        func_closure: 48,
        tuple_items: 24,
    },
    task: TaskLayout {
        state: 72,
        fut_waiter: 104,
        coro: 112,
        name: 120,
        size: 144,
        node: None,
    },
};

const V3_9: Layout = Layout {
    minor: 9,
    runtime: RuntimeLayout {
        interpreters_head: 32,
    },
    interpreter: InterpreterLayout {
        modules: 856,
        sysdict: 872,
        ..V3_8.interpreter
    },
    objects: ObjectLayout {
        cached_keys: 864,
        ..V3_8.objects
    },
    task: TaskLayout {
        state: 80,
        fut_waiter: 144,
        coro: 152,
        name: 160,
        size: 184,
        node: None,
    },
    ..V3_8
};

const V3_10: Layout = Layout {
    minor: 10,
    frame: FrameLayout {
        generator: Some(88),
        instruction: InstructionPlace::Units(96),
        localsplus: 352,
        stack: StackEnd::Depth {
            depth: 80,
            base: 64,
        },
        ..V3_9.frame
    },
    code: CodeLayout {
        lines: LineTable::Lines(120),
        ..V3_9.code
    },
    generator: GeneratorLayout {
        frame: GeneratorFrame::Pointer(16),
        name: 40,
        qualname: 48,
        state: GeneratorState::OfFrame(108),
    },
    objects: ObjectLayout {
        cached_keys: 872,
        func_closure: 72,
        ..V3_9.objects
    },
    task: TaskLayout {
        state: 88,
        fut_waiter: 152,
        coro: 160,
        name: 168,
        size: 192,
        node: None,
    },
    ..V3_9
};

const V3_11: Layout = Layout {
    minor: 11,
    runtime: RuntimeLayout {
        interpreters_head: 40,
    },
    interpreter: InterpreterLayout {
        threads_head: 16,
        modules: 888,
        sysdict: 904,
        ..V3_10.interpreter
    },
    thread: ThreadLayout {
        frame: FrameRoot::CFrame(56, 8),
        thread_id: 152,
        native_thread_id: Some(160),
        dict: 128,
        datastack_chunk: Some(296),
        datastack_top: Some(304),
        ..V3_10.thread
    },
    frame: FrameLayout {
        code: 32,
        previous: 48,
        globals: 8,
        generator: None,
        instruction: InstructionPlace::Pointer(56),
        localsplus: 72,
        stack: StackEnd::Words(64),
        owner: Some(69),
        is_entry: Some(68),
    },
    code: CodeLayout {
        argcount: 56,
        flags: 48,
        firstlineno: 72,
        filename: 112,
        name: 120,
        qualname: Some(128),
        lines: LineTable::Locations(136),
        instructions: Instructions::Inside(184),
        variables: Variables::One(96),
    },
    generator: GeneratorLayout {
        frame: GeneratorFrame::Inside(80),
        name: 32,
        qualname: 40,
        state: GeneratorState::Old(75),
    },
    objects: ObjectLayout {
        keys: KeysLayout::Log2,
        attributes: AttributesLayout::Before,
        ..V3_10.objects
    },
    task: TaskLayout {
        state: 88,
        fut_waiter: 128,
        coro: 136,
        name: 144,
        size: 176,
        node: None,
    },
};

const V3_12: Layout = Layout {
    minor: 12,
    runtime: RuntimeLayout {
        interpreters_head: 40,
    },
    interpreter: InterpreterLayout {
        next: 0,
        threads_head: 72,
        modules: 944,
        sysdict: 352,
        tasks_head: None,
    },
    thread: ThreadLayout {
        frame: FrameRoot::CFrame(56, 0),
        thread_id: 136,
        native_thread_id: Some(144),
        dict: 112,
        datastack_chunk: Some(232),
        datastack_top: Some(240),
        ..V3_11.thread
    },
    frame: FrameLayout {
        code: 0,
        previous: 8,
        globals: 24,
        owner: Some(70),
        is_entry: None,
        ..V3_11.frame
    },
    code: CodeLayout {
        argcount: 52,
        firstlineno: 68,
        instructions: Instructions::Inside(192),
        ..V3_11.code
    },
    generator: GeneratorLayout {
        frame: GeneratorFrame::Inside(72),
        name: 24,
        qualname: 32,
        state: GeneratorState::Old(67),
    },
    objects: ObjectLayout {
        ascii: 40,
        compact: 56,
        int: IntLayout::Tag,
        attributes: AttributesLayout::Tagged,
        cached_keys: 880,
        ..V3_11.objects
    },
    ..V3_11
};

const V3_13: Layout = Layout {
    minor: 13,
    runtime: RuntimeLayout {
        interpreters_head: 632,
    },
    interpreter: InterpreterLayout {
        next: 7264,
        threads_head: 7344,
        modules: 7656,
        sysdict: 7640,
        tasks_head: None,
    },
    thread: ThreadLayout {
        frame: FrameRoot::Here(72),
        thread_id: 152,
        native_thread_id: Some(160),
        dict: 128,
        running_loop: Some(304),
        ..V3_12.thread
    },
    code: CodeLayout {
        instructions: Instructions::Inside(200),
        ..V3_12.code
    },
    generator: GeneratorLayout {
        state: GeneratorState::New(67),
        ..V3_12.generator
    },
    objects: ObjectLayout {
        attributes: AttributesLayout::Inline,
        ..V3_12.objects
    },
    task: TaskLayout {
        state: 96,
        fut_waiter: 112,
        coro: 120,
        name: 128,
        size: 144,
        node: None,
    },
    ..V3_12
};

const V3_14: Layout = Layout {
    minor: 14,
    runtime: RuntimeLayout {
        interpreters_head: 808,
    },
    interpreter: InterpreterLayout {
        next: 7272,
        threads_head: 7344,
        modules: 7688,
        sysdict: 7672,
        tasks_head: Some(10880),
    },
    thread: ThreadLayout {
        running_loop: Some(864),
        running_task: Some(872),
        tasks_head: Some(880),
        ..V3_13.thread
    },
    frame: FrameLayout {
        localsplus: 80,
        stack: StackEnd::Pointer(64),
        owner: Some(74),
        ..V3_13.frame
    },
    code: CodeLayout {
        instructions: Instructions::Inside(208),
        ..V3_13.code
    },
    objects: ObjectLayout {
        tuple_items: 32,
        ..V3_13.objects
    },
    task: TaskLayout {
        state: 104,
        fut_waiter: 120,
        coro: 128,
        name: 136,
        size: 168,
        node: Some(152),
    },
    ..V3_13
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_from_3_8_to_3_14_has_a_row_and_no_other() {
        let known: Vec<u8> = (0..=255)
            .filter(|minor| layout_of(*minor).is_some())
            .collect();
        assert_eq!(known, [8, 9, 10, 11, 12, 13, 14]);
    }
}
