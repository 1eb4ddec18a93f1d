//! Kinds, tasks and threads, each once.

use crate::profile::{Kind, KindClass, KindId, Task, TaskId, Thread, ThreadId, ThreadRole, limits};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

#[derive(Debug, Default)]
pub(super) struct Tasks {
    kinds: Vec<Kind>,
    kind_ids: HashMap<Kind, KindId>,
    tasks: Vec<Task>,
    task_ids: HashMap<KindId, HashMap<Box<str>, TaskId>>,
    /// Fingerprints of the tasks that had no place, to count each once.
    unlisted: HashSet<u64>,
    fingerprints: RandomState,
    count_is_short: bool,
}

impl Tasks {
    pub(super) fn kind(&mut self, name: &str, class: KindClass, runtime: Option<u32>) -> KindId {
        let mut kind = Kind {
            name: name.to_owned(),
            class,
            runtime,
            tasks_unlisted: 0,
        };
        if let Some(&id) = self.kind_ids.get(&kind) {
            return id;
        }
        if self.kinds.len() + 1 >= limits::KINDS {
            // The last place stands for all others.
            kind = Kind {
                name: "[more kinds than can be told apart]".to_owned(),
                class: KindClass::Async,
                runtime: None,
                tasks_unlisted: 0,
            };
            if let Some(&id) = self.kind_ids.get(&kind) {
                return id;
            }
        }
        let id = KindId::at(self.kinds.len());
        self.kinds.push(kind.clone());
        self.kind_ids.insert(kind, id);
        id
    }

    pub(super) fn task(&mut self, id: &str, kind: KindId) -> Option<TaskId> {
        let of_kind = self.task_ids.entry(kind).or_default();
        if let Some(&known) = of_kind.get(id) {
            return Some(known);
        }
        if self.tasks.len() >= limits::TASKS {
            self.count_unlisted(id, kind);
            return None;
        }
        let new = TaskId::at(self.tasks.len());
        self.tasks.push(Task {
            id: id.to_owned(),
            kind,
        });
        of_kind.insert(id.into(), new);
        Some(new)
    }

    fn count_unlisted(&mut self, id: &str, kind: KindId) {
        let fingerprint = self.fingerprints.hash_one((kind, id));
        if self.unlisted.contains(&fingerprint) {
            return;
        }
        if self.unlisted.len() >= limits::TASKS_COUNTED {
            self.count_is_short = true;
            return;
        }
        self.unlisted.insert(fingerprint);
        self.kinds[kind.index()].tasks_unlisted += 1;
    }

    /// Counts tasks that another profile did not keep one by one.
    pub(super) fn add_unlisted(&mut self, kind: KindId, tasks: u64) {
        let unlisted = &mut self.kinds[kind.index()].tasks_unlisted;
        *unlisted = unlisted.saturating_add(tasks);
    }

    pub(super) fn count(&self) -> u64 {
        (self.tasks.len() + self.unlisted.len()) as u64
    }

    pub(super) fn remark(&self, notes: &mut Vec<String>) {
        if !self.unlisted.is_empty() {
            notes.push(format!(
                "{} tasks are kept one by one, {}{} more only as part of their kind",
                self.tasks.len(),
                if self.count_is_short { "at least " } else { "" },
                self.unlisted.len()
            ));
        }
    }

    pub(super) fn finish(self) -> (Vec<Kind>, Vec<Task>) {
        (self.kinds, self.tasks)
    }
}

#[derive(Debug, Default)]
pub(super) struct Threads {
    threads: Vec<Thread>,
    ids: HashMap<u32, ThreadId>,
    cut: bool,
}

impl Threads {
    pub(super) fn thread(&mut self, mut tid: u32, name: &str, role: ThreadRole) -> ThreadId {
        let (mut name, mut role) = (name, role);
        if self.threads.len() + 1 >= limits::THREADS && !self.ids.contains_key(&tid) {
            // The last place stands for all others, under a number no thread has.
            (tid, name, role) = (0, "[other threads]", ThreadRole::Other);
            self.cut = true;
        }
        if let Some(&id) = self.ids.get(&tid) {
            let known = &mut self.threads[id.index()];
            if known.name != name {
                name.clone_into(&mut known.name);
            }
            known.role = role;
            return id;
        }
        let id = ThreadId::at(self.threads.len());
        self.threads.push(Thread {
            tid,
            name: name.to_owned(),
            role,
        });
        self.ids.insert(tid, id);
        id
    }

    /// A thread of its own, though another may have the same number: that of another process.
    pub(super) fn add(&mut self, thread: Thread) -> ThreadId {
        if self.threads.len() + 1 >= limits::THREADS {
            self.cut = true;
            return self.thread(0, "[other threads]", ThreadRole::Other);
        }
        self.threads.push(thread);
        ThreadId::at(self.threads.len() - 1)
    }

    pub(super) fn remark(&self, notes: &mut Vec<String>) {
        if self.cut {
            notes.push(format!(
                "more than {} threads came and went: the later ones are shown as one",
                limits::THREADS
            ));
        }
    }

    pub(super) fn finish(self) -> Vec<Thread> {
        self.threads
    }
}
