//! Lists the tasks of all event loops, and where each waits.

use super::detect::Detected;
use crate::runtime::{SeenThreads, TaskReader};
use crate::snapshot::{AwaitTable, Snapshot};
use std::sync::Arc;

/// Reads the tasks of all event loops of a process.
#[derive(Debug)]
pub(super) struct Tasks {
    detected: Arc<Detected>,
}

impl Tasks {
    pub fn new(detected: &Arc<Detected>) -> Self {
        Self {
            detected: Arc::clone(detected),
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
    }
}
