//! The event loops.

use super::look::Look;
use crate::snapshot::{Queues, SchedulerSeen};
use awaitscope_sampler::Avma;
use std::collections::HashMap;

/// No process has more.
const MOST_LOOPS: usize = 1 << 12;

/// The event loops of a snapshot, each of which is a scheduler.
#[derive(Debug, Default)]
pub(super) struct Loops {
    numbers: HashMap<Avma, u32>,
}

impl Loops {
    /// The number of the scheduler that a loop is.
    pub fn number(
        &mut self,
        event_loop: Avma,
        runtime: usize,
        look: &mut Look<'_>,
        schedulers: &mut Vec<SchedulerSeen>,
    ) -> Option<u32> {
        if let Some(number) = self.numbers.get(&event_loop) {
            return Some(*number);
        }
        let class = look.class(event_loop)?;
        if self.numbers.len() >= MOST_LOOPS {
            return None;
        }
        let number = u32::try_from(schedulers.len()).ok()?;
        schedulers.push(SchedulerSeen {
            runtime,
            flavor: Some(short(&class.name)),
            workers: 1,
            queues: Queues {
                local: ready(look, event_loop),
                ..Queues::default()
            },
        });
        self.numbers.insert(event_loop, number);
        Some(number)
    }
}

/// `_UnixSelectorEventLoop`, `uvloop.Loop`: the class, and the package if it is not asyncio.
fn short(class: &str) -> String {
    let name = class.rsplit('.').next().unwrap_or(class);
    match class.split('.').next() {
        Some(package) if package != "asyncio" && package != name => format!("{package}.{name}"),
        _ => name.to_owned(),
    }
}

/// How many callbacks are due: steps of tasks, and others.
fn ready(look: &mut Look<'_>, event_loop: Avma) -> Option<u32> {
    let ready = look.get(event_loop, "_ready")?;
    let class = look.class(ready)?;
    if &*class.name != "collections.deque" {
        return None;
    }
    u32::try_from(look.heap.deque_length(ready)?).ok()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_loop_is_called_by_its_class() {
        assert_eq!(
            short("asyncio.unix_events._UnixSelectorEventLoop"),
            "_UnixSelectorEventLoop"
        );
        assert_eq!(short("uvloop.Loop"), "uvloop.Loop");
        assert_eq!(short("app.loops.Own"), "app.Own");
    }
}
