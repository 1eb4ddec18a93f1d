//! Is async-executor in the process, where, and which version.

use super::layout::Layout;
use crate::frame::Origin;
use crate::module::{AddressSpace, Module, ModuleId, Svma};
use crate::runtime::rust::version::version_in;
use crate::types::{TypeCache, Types};
use std::collections::HashSet;

/// What was found of async-executor.
#[derive(Debug)]
pub(super) struct Detected {
    /// The module that holds it.
    pub module: ModuleId,
    /// `1.14.1`, where it can be told.
    pub version: Option<String>,
    /// The functions that run a task, by their first addresses: `RawTask::<F, T, S, M>::run`
    /// (async-task 4, `raw.rs`), one for each type of future. Each is in a vtable, so it
    /// stands for itself in an optimized build, too.
    pub runs: HashSet<Svma>,
    /// Where things stand in its tasks; `None` where there are no types.
    pub layout: Option<Layout>,
}

impl Detected {
    pub fn find(space: &AddressSpace) -> Option<Self> {
        space.modules().find_map(|(id, module)| {
            let runs = runs(module);
            // Others use async-task, too: the blocking pool of smol, for one.
            let executes = || {
                let mut symbols = module.symbols().functions();
                symbols.any(|symbol| symbol.name.contains("14async_executor"))
            };
            (!runs.is_empty() && executes()).then(|| Self {
                module: id,
                version: version_in(module, "/async-executor-"),
                runs,
                layout: layout_of(module),
            })
        })
    }
}

/// Its generic types are made where they are used: in any package.
fn layout_of(module: &Module) -> Option<Layout> {
    let cache = TypeCache::of_user();
    let mut types = Types::of_module(module, Origin::User, cache.as_ref())?;
    Layout::find(&mut types)
}

fn runs(module: &Module) -> HashSet<Svma> {
    let symbols = module.symbols().functions();
    symbols
        .filter(|symbol| symbol.name.contains("10async_task3raw") && is_run(symbol.name))
        .map(|symbol| symbol.svma)
        .collect()
}

fn is_run(symbol: &str) -> bool {
    // What the linker was told to keep apart ends in `.llvm.…`.
    rustc_demangle::try_demangle(symbol).is_ok_and(|name| {
        let name = format!("{name:#}");
        name.ends_with("::run") || name.contains("::run.llvm.")
    })
}

#[cfg(test)]
mod tests {
    use super::is_run;

    #[test]
    fn a_run_function_is_known_in_each_mangling() {
        assert!(is_run(
            "_ZN10async_task3raw28RawTask$LT$F$C$T$C$S$C$M$GT$3run17h0892a734f161c40bE"
        ));
        assert!(is_run(
            "_ZN10async_task3raw28RawTask$LT$F$C$T$C$S$C$M$GT$3run17h0892a734f161c40bE.llvm.128077"
        ));
        assert!(!is_run(
            "_ZN10async_task3raw28RawTask$LT$F$C$T$C$S$C$M$GT$8schedule17h0892a734f161c40bE"
        ));
    }
}
