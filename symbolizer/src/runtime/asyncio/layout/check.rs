//! Whether a layout fits what the memory of a process shows.

use super::super::objects::Heap;
use super::super::threads::{interpreters, threads};
use awaitscope_sampler::{Avma, Process};

/// No program imports more modules.
pub(in crate::runtime::asyncio) const MOST_MODULES: usize = 1 << 16;

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::runtime::asyncio) enum Misfit {
    /// The first interpreter has no thread that belongs to it.
    #[error("its first interpreter has no thread where threads are to be")]
    NoThread,
    /// None of the threads is one of the process.
    #[error("none of its threads is one of the process")]
    StrangeThreads,
    /// `sys.modules` is no dict.
    #[error("sys.modules is no dict where it is to be")]
    NoModules,
    /// Classes are no objects of `type`.
    #[error("its classes do not look like classes")]
    NoTypes,
    /// `sys` is not among the modules.
    #[error("the module sys is not where modules are to be")]
    NoSys,
    /// `_asyncio.Task` has another size.
    #[error("its tasks have {found} bytes, not {expected}")]
    TaskSize {
        /// What the class says.
        found: u64,
        /// What the layout says.
        expected: u64,
    },
}

/// Checks a layout. While the interpreter starts there is nothing to check it with: then
/// it is not known to fit, and `false` is returned.
///
/// # Errors
/// What does not fit.
pub(in crate::runtime::asyncio) fn check(
    heap: &Heap<'_>,
    runtime: Avma,
    process: &dyn Process,
) -> Result<bool, Misfit> {
    let Some(interpreter) = interpreters(heap, runtime).first().copied() else {
        return Ok(false);
    };
    let Some(modules) = heap.pointer(interpreter, heap.layout.interpreter.modules) else {
        return Ok(false);
    };
    check_threads(heap, interpreter, process)?;
    let class = heap.type_of(modules).ok_or(Misfit::NoModules)?;
    if heap.type_name(class).as_deref() != Some("dict") {
        return Err(Misfit::NoModules);
    }
    let metatype = heap.type_of(class).ok_or(Misfit::NoTypes)?;
    let named = heap.type_name(metatype).as_deref() == Some("type");
    if !named || heap.type_of(metatype) != Some(metatype) {
        return Err(Misfit::NoTypes);
    }
    match heap.dict(modules, MOST_MODULES) {
        // It grows while the program starts.
        Some(entries) if entries.is_empty() => return Ok(false),
        Some(entries) if entries.iter().any(|(key, _)| heap.is_text(*key, "sys")) => {}
        _ => return Err(Misfit::NoSys),
    }
    check_tasks(heap, modules)
}

fn check_threads(heap: &Heap<'_>, interpreter: Avma, process: &dyn Process) -> Result<(), Misfit> {
    let states = threads(heap, interpreter);
    if states.is_empty() {
        return Err(Misfit::NoThread);
    }
    let Ok(tids) = process.threads() else {
        return Ok(());
    };
    let own: Vec<u64> = tids
        .iter()
        .filter_map(|tid| process.own_number(*tid).map(u64::from))
        .collect();
    let real = |id: Option<u64>| id.is_none_or(|id| own.contains(&id));
    match own.is_empty() || states.iter().any(|state| real(state.native_id)) {
        true => Ok(()),
        false => Err(Misfit::StrangeThreads),
    }
}

/// Whether tasks look as they should, if anybody imported asyncio yet.
fn check_tasks(heap: &Heap<'_>, modules: Avma) -> Result<bool, Misfit> {
    /// `PyModuleObject.md_dict`, `PyTypeObject.tp_basicsize`.
    const MD_DICT: u64 = 16;
    const TP_BASICSIZE: u64 = 32;
    let task = heap
        .dict_get(modules, "_asyncio")
        .and_then(|module| heap.pointer(module, MD_DICT))
        .and_then(|names| heap.dict_get(names, "Task"));
    let Some(task) = task.filter(|task| heap.is_type(*task)) else {
        return Ok(true);
    };
    let (found, expected) = (heap.word(task, TP_BASICSIZE), heap.layout.task.size);
    match found {
        Some(found) if found != expected => Err(Misfit::TaskSize { found, expected }),
        _ => Ok(true),
    }
}
