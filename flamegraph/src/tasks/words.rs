//! What tasks wait for, in words.

use super::edges::Edges;
use super::groups::{Tally, Waits};
use super::{ListedTask, TaskList};
use crate::printable::{count, duration};
use awaitscope_symbolizer::snapshot::{TaskState, WaitsOn};

/// How many examples are named.
const EXAMPLES: usize = 3;

/// The sort of thing.
pub(crate) fn what(what: WaitsOn) -> &'static str {
    match what {
        WaitsOn::Timer => "timer",
        WaitsOn::Socket => "socket",
        WaitsOn::Lock => "lock",
        WaitsOn::Channel => "channel",
        WaitsOn::Task => "task",
        WaitsOn::Io => "io",
        WaitsOn::Other => "other",
    }
}

/// What a task does.
pub(super) fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Ready => "ready, waiting for a worker",
        TaskState::Suspended => "suspended",
        TaskState::Complete => "complete, only its result is kept",
    }
}

/// Which things tasks wait for at a point; empty where nothing is known of them.
pub(super) fn details(list: &TaskList, edges: &Edges, waits: &Waits<'_>) -> Vec<String> {
    let mut details = Vec::new();
    if let Some((least, most)) = waits.left {
        details.push(time_left(least, most));
    }
    details.extend(sockets(waits));
    details.extend(examples("", &waits.files, |file| (*file).to_owned()));
    details.extend(examples("descriptor ", &waits.numbers, ToString::to_string));
    details.extend(awaited(list, waits));
    details.extend(objects(list, edges, waits));
    details
}

fn time_left(least: i64, most: i64) -> String {
    let length = |ns: i64| duration(ns.unsigned_abs());
    match (least < 0, most < 0) {
        (false, _) if length(least) == length(most) => format!("{} left", length(least)),
        (false, _) => format!("{} to {} left", length(least), length(most)),
        (true, true) if length(least) == length(most) => format!("{} late", length(most)),
        (true, true) => format!("{} to {} late", length(most), length(least)),
        (true, false) => format!("{} late to {} left", length(least), length(most)),
    }
}

/// A server has one address of its own and many peers; a client the other way around.
fn sockets(waits: &Waits<'_>) -> Option<String> {
    let name = |address: &&str| (*address).to_owned();
    let locals = examples("at ", &waits.locals, name);
    if waits.listening {
        return locals.map(|locals| format!("listening {locals}"));
    }
    if waits.locals.len() == 1 && waits.peers.len() > 1 {
        let peers = examples("with ", &waits.peers, name)?;
        return Some(format!("{} {peers}", locals?));
    }
    examples("with ", &waits.peers, name).or(locals)
}

fn awaited(list: &TaskList, waits: &Waits<'_>) -> Option<String> {
    let kind = |task: &ListedTask| &*list.kind(task.kind).name;
    if waits.tasks.len() <= EXAMPLES {
        return examples("", &waits.tasks, |task| {
            let task = &list.tasks[*task as usize];
            format!("{} ({})", task.name(), kind(task))
        });
    }
    let mut kinds = Tally::default();
    for (task, _) in waits.tasks.ranked() {
        kinds.add(kind(&list.tasks[task as usize]));
    }
    let kinds = examples("", &kinds, |kind| (*kind).to_owned())?;
    let tasks = count(waits.tasks.len() as u64);
    Some(format!("{tasks} of them, {kinds}"))
}

fn objects(list: &TaskList, edges: &Edges, waits: &Waits<'_>) -> Option<String> {
    let all = waits.objects.ranked();
    let held: Vec<_> = all
        .iter()
        .filter(|(lock, _)| !edges.holders(*lock).is_empty())
        .collect();
    let named = held.iter().take(EXAMPLES).map(|(lock, waiters)| {
        let holders = edges.holders(*lock);
        let first = &list.tasks[holders[0] as usize];
        let more = match holders.len() {
            1 => String::new(),
            number => format!(" and {} more", number - 1),
        };
        let kind = &list.kind(first.kind).name;
        let times = times(*waiters);
        format!(
            "{lock:#x}{times} held by task {} ({kind}){more}",
            first.name()
        )
    });
    let mut named: Vec<String> = named.collect();
    if named.is_empty() {
        return match all.len() {
            0 => None,
            1 => Some(format!("all on one, {:#x}", all[0].0)).filter(|_| waits.count > 1),
            number => Some(format!("on {} of them", count(number as u64))),
        };
    }
    if all.len() > named.len() {
        named.push(format!(
            "and {} more",
            count((all.len() - named.len()) as u64)
        ));
    }
    Some(named.join(", "))
}

/// The things that were seen most often, and how many more there are.
fn examples<T: Copy + Eq + std::hash::Hash + Ord>(
    before: &str,
    tally: &Tally<T>,
    name: impl Fn(&T) -> String,
) -> Option<String> {
    let ranked = tally.ranked();
    let shown = ranked.iter().take(EXAMPLES);
    let mut words: Vec<String> = shown
        .map(|(thing, seen)| {
            let times = if ranked.len() > 1 {
                times(*seen)
            } else {
                String::new()
            };
            format!("{}{times}", name(thing))
        })
        .collect();
    if ranked.len() > EXAMPLES {
        words.push(format!("{} more", count((ranked.len() - EXAMPLES) as u64)));
    }
    (!words.is_empty()).then(|| format!("{before}{}", words.join(", ")))
}

fn times(number: u64) -> String {
    match number {
        0 | 1 => String::new(),
        number => format!(" ×{}", count(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_a_range_and_can_be_over() {
        const MS: i64 = 1_000_000;
        assert_eq!(time_left(5 * MS, 5 * MS), "5.00 ms left");
        assert_eq!(time_left(5 * MS, 7000 * MS), "5.00 ms to 7.00 s left");
        assert_eq!(time_left(-3 * MS, -MS), "1.00 ms to 3.00 ms late");
        assert_eq!(time_left(-3 * MS, MS), "3.00 ms late to 1.00 ms left");
        assert_eq!(
            time_left(i64::MIN, i64::MIN),
            time_left(i64::MIN + 1, i64::MIN + 1)
        );
    }

    #[test]
    fn a_server_names_its_peers_and_a_client_its_server() {
        let mut server = Waits::default();
        for peer in ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"] {
            server.locals.add("10.0.0.9:80");
            server.peers.add(peer);
        }
        let said = sockets(&server).expect("addresses");
        assert_eq!(
            said,
            "at 10.0.0.9:80 with 10.0.0.1:1, 10.0.0.2:1, 10.0.0.3:1, 1 more"
        );
        let mut client = Waits::default();
        for local in ["10.0.0.1:1", "10.0.0.1:2"] {
            client.locals.add(local);
            client.peers.add("10.0.0.9:80");
        }
        assert_eq!(sockets(&client).as_deref(), Some("with 10.0.0.9:80"));
        let mut listener = Waits {
            listening: true,
            ..Waits::default()
        };
        listener.locals.add("0.0.0.0:80");
        assert_eq!(
            sockets(&listener).as_deref(),
            Some("listening at 0.0.0.0:80")
        );
    }
}
