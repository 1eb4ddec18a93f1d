//! Lists the tasks of Tokio, and where each waits.

use super::detect::Detected;
use crate::module::{AddressSpace, ModuleId};
use crate::runtime::{SeenThreads, TaskReader};
use crate::snapshot::{AwaitTable, Snapshot};

/// Reads the tasks of all Tokio schedulers of a process.
#[derive(Debug)]
pub(super) struct Tasks {
    module: ModuleId,
}

impl Tasks {
    pub fn new(_space: &AddressSpace, detected: &Detected) -> Self {
        Self {
            module: detected.module,
        }
    }
}

impl TaskReader for Tasks {
    fn read(
        &mut self,
        _runtime: usize,
        _seen: &SeenThreads<'_>,
        _table: &mut AwaitTable,
        _snapshot: &mut Snapshot,
    ) {
        let _ = self.module;
    }
}
