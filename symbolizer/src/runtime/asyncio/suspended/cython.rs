//! Coroutines that Cython made: their names, and what they await.

use super::look::Look;
use crate::frame::{Frame, FrameKind, Origin};
use awaitscope_sampler::Avma;

/// The words of a `__pyx_CoroutineObject` among which its names stand: behind its function
/// and closure come members whose number depends on the version of Cython
/// (`Cython/Utility/Coroutine.c`).
const WORDS: std::ops::Range<u64> = 4..16;

/// A coroutine of Cython.
#[derive(Debug, Clone)]
pub(super) struct Cython {
    pub frame: Frame,
    /// What it awaits: `yieldfrom`.
    pub awaits: Option<Avma>,
}

impl Look<'_> {
    /// The coroutine at an address, if it is one. `yieldfrom`, `gi_name`, `gi_qualname` and
    /// `gi_modulename` follow each other, and the last three are strings.
    pub fn cython(&mut self, object: Avma, class: &str) -> Option<Cython> {
        let kind = class.strip_prefix("_cython_")?.rsplit('.').next()?;
        if !matches!(kind, "coroutine" | "iterable_coroutine") {
            return None;
        }
        let mut texts = Vec::new();
        for word in WORDS {
            let text = self.heap.pointer(object, 8 * word).and_then(|value| {
                let class = self.class(value)?;
                (&*class.name == "str")
                    .then(|| self.heap.text(value))
                    .flatten()
            });
            match text {
                Some(text) => texts.push((word, text)),
                None if texts.len() >= 3 => break,
                None => texts.clear(),
            }
        }
        let [(first, _), (_, qualname), (_, module), ..] = texts.as_slice() else {
            return None;
        };
        Some(Cython {
            frame: Frame {
                function: format!("{module}.{qualname}").into(),
                file: None,
                line: None,
                kind: FrameKind::Async,
                origin: Origin::Library,
            },
            awaits: self.heap.pointer(object, 8 * (first - 1)),
        })
    }
}
