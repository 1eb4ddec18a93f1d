//! Is Tokio in the process, where, and which version.

use crate::module::{AddressSpace, Module, ModuleId, Svma};
use crate::names::function_path;
use crate::runtime::rust::version::version_in;
use std::collections::{HashMap, HashSet};

/// Where the version stands.
const MARK: &str = "/tokio-";

/// What was found of Tokio.
#[derive(Debug)]
pub(super) struct Detected {
    /// The module that holds it.
    pub module: ModuleId,
    /// `1.54.1`, where it can be told.
    pub version: Option<String>,
    /// For every function whose frame is a poll frame, by its first address:
    /// the `raw::poll` functions that run it.
    pub poll_entries: HashMap<Svma, Vec<Svma>>,
    /// The functions of a worker's loop, by their first addresses.
    pub worker_loops: HashSet<Svma>,
}

impl Detected {
    pub fn find(space: &AddressSpace) -> Option<Self> {
        space.modules().find_map(|(id, module)| {
            let poll_entries = poll_entries(module);
            (!poll_entries.is_empty()).then(|| Self {
                module: id,
                version: version_in(module, MARK),
                poll_entries,
                worker_loops: worker_loops(module),
            })
        })
    }
}

/// A task's vtable holds `raw::poll::<T, S>`. In an optimized build that is a
/// jump to `Harness::<T, S>::poll`, which then has the frame, or that is inlined
/// and `raw::poll` has the frame itself.
fn poll_entries(module: &Module) -> HashMap<Svma, Vec<Svma>> {
    let mut raw = Vec::new();
    let mut harness = HashSet::new();
    for symbol in module.symbols().functions() {
        if !symbol.name.contains("7runtime4task") {
            continue;
        }
        if symbol.name.contains("5tokio7runtime4task3raw4poll") {
            raw.push((symbol.svma, symbol.size));
        } else if symbol.name.contains("5tokio7runtime4task7harness") && is_poll(symbol.name) {
            harness.insert(symbol.svma);
        }
    }
    let mut entries: HashMap<Svma, Vec<Svma>> = HashMap::new();
    for (start, size) in raw {
        entries.entry(start).or_default().push(start);
        for target in branches(module, start, size) {
            if harness.contains(&target) {
                entries.entry(target).or_default().push(start);
            }
        }
    }
    entries
}

fn worker_loops(module: &Module) -> HashSet<Svma> {
    let symbols = module.symbols().functions();
    symbols
        .filter(|symbol| symbol.name.contains("12multi_thread6worker"))
        .filter(|symbol| {
            let path = function_path(Some(symbol.name), &[]);
            super::running::is_worker_loop(&path.readable)
        })
        .map(|symbol| symbol.svma)
        .collect()
}

fn is_poll(symbol: &str) -> bool {
    rustc_demangle::try_demangle(symbol).is_ok_and(|name| format!("{name:#}").ends_with("::poll"))
}

/// The targets of the direct calls and jumps of a small function (`e8` and `e9`
/// with a 32-bit displacement; Intel SDM volume 2, CALL and JMP). What looks
/// like one inside another instruction gives a target that is no poll function.
fn branches(module: &Module, start: Svma, size: u64) -> Vec<Svma> {
    let Some(code) = module
        .image()
        .ok()
        .and_then(|image| image.loaded_at(start.0))
    else {
        return Vec::new();
    };
    let size = usize::try_from(size).unwrap_or(0).min(512);
    let code = &code[..size.min(code.len())];
    let mut targets = Vec::new();
    for (at, window) in code.windows(5).enumerate() {
        if !matches!(window[0], 0xe8 | 0xe9) {
            continue;
        }
        let displacement = i32::from_le_bytes([window[1], window[2], window[3], window[4]]);
        let next = start.0.wrapping_add(at as u64 + 5);
        targets.push(Svma(next.wrapping_add_signed(i64::from(displacement))));
    }
    targets
}

/// Tokio in a program without symbols.
pub(in crate::runtime) fn stripped(space: &AddressSpace) -> Option<String> {
    // The program comes first; libraries are not searched for panic messages.
    let (_, program) = space.modules().next()?;
    version_in(program, MARK).map(|version| format!("tokio {version}"))
}
