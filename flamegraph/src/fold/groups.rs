//! The first rows of a picture: threads, kinds or tasks.

use super::Folding;
use super::drawn::Drawn;
use crate::profile::{KindClass, KindId, Profile, TaskId, ThreadId};
use crate::report::OUTSIDE;
use crate::view::Grouping;
use std::collections::HashMap;

/// Groups of one level that are drawn apart; the lightest others become one.
pub(super) const GROUPS: usize = 256;

/// What makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Group {
    Thread(Option<ThreadId>),
    Kind(Option<KindId>),
    Task(Option<TaskId>),
}

/// Which groups are heavy enough to be drawn apart.
pub(super) struct Groups {
    grouping: Grouping,
    apart: HashMap<Group, u64>,
}

impl Groups {
    pub(super) fn of(grouping: Grouping, weights: &[Drawn]) -> Self {
        let mut apart: HashMap<Group, u64> = HashMap::new();
        for weight in weights {
            for group in levels(grouping, weight).into_iter().flatten() {
                *apart.entry(group).or_default() += weight.ns;
            }
        }
        if apart.len() > GROUPS {
            let mut heaviest: Vec<_> = apart.into_iter().collect();
            heaviest.sort_unstable_by_key(|&(group, ns)| (std::cmp::Reverse(ns), group));
            heaviest.truncate(GROUPS);
            apart = heaviest.into_iter().collect();
        }
        Self { grouping, apart }
    }

    /// The node of the group that `weight` belongs to.
    pub(super) fn node(
        &self,
        weight: &Drawn,
        profile: &Profile,
        folding: &mut Folding<'_>,
    ) -> usize {
        let mut node = 0;
        for group in levels(self.grouping, weight).into_iter().flatten() {
            let apart = self.apart.contains_key(&group);
            node = folding.group(node, apart.then_some(group), || name(profile, group, apart));
        }
        node
    }
}

fn levels(grouping: Grouping, weight: &Drawn) -> [Option<Group>; 2] {
    match grouping {
        Grouping::None => [None, None],
        Grouping::Thread => [Some(Group::Thread(weight.thread)), None],
        Grouping::Kind => [Some(Group::Kind(weight.kind)), None],
        // Outside tasks there are none to tell apart.
        Grouping::Task => [
            Some(Group::Kind(weight.kind)),
            weight.kind.map(|_| Group::Task(weight.task)),
        ],
    }
}

fn name(profile: &Profile, group: Group, apart: bool) -> String {
    match group {
        Group::Thread(_) if !apart => "[other threads]".to_owned(),
        Group::Kind(_) if !apart => "[other kinds]".to_owned(),
        Group::Task(_) if !apart => "[other tasks]".to_owned(),
        Group::Thread(None) => "[on no thread]".to_owned(),
        Group::Thread(Some(thread)) => {
            let thread = &profile.threads[thread.index()];
            format!("{} {}", thread.name, thread.tid)
        }
        Group::Kind(None) => OUTSIDE.to_owned(),
        Group::Kind(Some(kind)) => kind_name(profile, kind),
        Group::Task(None) => "[tasks not told apart]".to_owned(),
        Group::Task(Some(task)) => format!("task {}", profile.tasks[task.index()].id),
    }
}

/// The name of a kind, and of its class where that is not the usual one.
pub(crate) fn kind_name(profile: &Profile, kind: KindId) -> String {
    let kind = profile.kind(kind);
    with_class(&kind.name, kind.class)
}

/// The same, of a name and a class.
pub(crate) fn with_class(name: &str, class: KindClass) -> String {
    match class {
        KindClass::Async => name.to_owned(),
        KindClass::Blocking => format!("{name} (blocking)"),
        KindClass::BlockOn => format!("{name} (block_on)"),
        KindClass::Callback => format!("{name} (callback)"),
    }
}
