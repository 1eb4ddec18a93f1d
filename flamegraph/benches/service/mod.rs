//! A service that never was, for benches to record.

use awaitscope_flamegraph::{ProfileBuilder, StackId};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};

/// Stacks of thirty frames that part like those of a service: a few kinds, more
/// functions the deeper one looks.
pub fn stack(builder: &mut ProfileBuilder, seed: u64) -> StackId {
    let mut parent = None;
    for depth in 0..30_u64 {
        let choices = 1 + depth * depth / 40;
        let function = (seed >> (depth / 4)) % choices;
        let frame = builder.frame(&Frame {
            function: format!("app::module{depth}::function{function}").into(),
            file: Some(format!("src/module{depth}.rs").into()),
            line: Some(function as u32 + 1),
            kind: match depth {
                0..5 => FrameKind::Runtime,
                5..14 => FrameKind::Async,
                _ => FrameKind::Sync,
            },
            origin: Origin::User,
        });
        parent = Some(builder.stack(parent, frame));
    }
    parent.expect("thirty frames")
}
