//! Finding out, from a process that runs, what there are no types to tell: where a
//! thread's current task stands, and the tick of its worker.
//!
//! Step by step, each of which must prove itself: the word of `CONTEXT` that leads to
//! a worker's core and back; the word that becomes the ids of tasks that were seen on
//! sampled stacks; and the number in the core that moves as a tick does. Until all is
//! found nothing is told, and what turns out wrong later is taken back.

use super::context::{FoundCore, TaskWord, TlsRange};
use super::counter::{CoreSeen, Counters, WINDOW};
use super::ids::SeenIds;
use crate::runtime::ThreadBase;
use crate::runtime::tokio::layout::{ContextLayout, FlavorLayout};
use awaitscope_sampler::{Avma, ReadMemory, Tid};
use std::collections::HashMap;

/// Threads come and go; of more than this all is forgotten.
const MOST_THREADS: usize = 4096;

/// A runtime has two sorts of scheduler, three with `multi_thread_alt`.
const MOST_FLAVORS: usize = 4;

/// What was found out so far.
#[derive(Debug, Clone)]
pub(super) struct Learner {
    /// Where `CONTEXT` may stand: each version of Tokio in a program has its own.
    contexts: Vec<TlsRange>,
    ids: SeenIds,
    /// There may be `LocalSet`s.
    local: bool,
    /// Which of them it is, and the word that points to `scheduler::Context`.
    scheduler: Option<(usize, usize)>,
    task_words: TaskWord,
    task: Option<usize>,
    flavors: Vec<(FoundCore, Counters)>,
    threads: HashMap<Tid, ThreadSeen>,
}

/// A thread when it was seen last.
#[derive(Debug, Clone)]
struct ThreadSeen {
    context: Vec<u64>,
    core: Option<(Avma, CoreSeen)>,
}

impl Learner {
    pub fn new(contexts: Vec<TlsRange>, local: bool, ids: SeenIds) -> Self {
        Self {
            contexts,
            ids,
            local,
            scheduler: None,
            task_words: TaskWord::default(),
            task: None,
            flavors: Vec::new(),
            threads: HashMap::new(),
        }
    }

    /// Looks at threads, whose blocks of the module stand at `block` below their
    /// bases. Gives the layout when it is new or has become more.
    pub fn look<'a>(
        &mut self,
        threads: impl Iterator<Item = &'a ThreadBase>,
        block: u64,
        memory: &dyn ReadMemory,
    ) -> Option<ContextLayout> {
        if self.threads.len() > MOST_THREADS {
            self.threads.clear();
        }
        let before = self.learned().len();
        for thread in threads {
            let block = Avma(thread.tls_base.0.wrapping_sub(block));
            self.look_at(thread.tid, block, memory);
        }
        if self.task.is_none() {
            self.task = self.task_words.find(&self.ids);
        }
        let learned = self.learned();
        (learned.len() > before)
            .then(|| self.layout(learned))
            .flatten()
    }

    /// What was taken for the tick of a flavour is none. Gives the layout without it,
    /// if there is another flavour.
    pub fn refute(&mut self, flavor: &FlavorLayout) -> Option<ContextLayout> {
        for (found, counters) in &mut self.flavors {
            if found.flavor == flavor.value && found.slot == flavor.core {
                counters.ban(flavor.tick.0);
            }
        }
        self.layout(self.learned())
    }

    fn look_at(&mut self, tid: Tid, block: Avma, memory: &dyn ReadMemory) {
        if self.scheduler.is_none() {
            self.find_scheduler(block, memory);
        }
        let Some((context, scheduler)) = self.scheduler else {
            return;
        };
        let Some(context) = self.contexts[context].read(block, memory) else {
            return;
        };
        let core = self.task.and_then(|_| {
            let found = FoundCore::at(context[scheduler], &context, memory)?;
            let mut window = [0; WINDOW];
            let whole = memory.read(found.core, &mut window);
            whole.then_some((found, CoreSeen(window)))
        });
        let seen = ThreadSeen {
            core: core.map(|(found, seen)| (found.core, seen)),
            context,
        };
        let Some(last) = self.threads.insert(tid, seen) else {
            return;
        };
        let now = &self.threads[&tid];
        let Some(task) = self.task else {
            self.task_words.note(&last.context, &now.context);
            return;
        };
        let task_changed = last.context[task] != now.context[task];
        if let (Some((was_at, before)), Some((found, seen))) = (last.core, core)
            && was_at == found.core
        {
            self.note_core(&found, &before, &seen, task_changed);
        }
    }

    fn note_core(
        &mut self,
        found: &FoundCore,
        before: &CoreSeen,
        now: &CoreSeen,
        task_changed: bool,
    ) {
        let is_same =
            |(of, _): &(FoundCore, Counters)| of.flavor == found.flavor && of.slot == found.slot;
        let index = self.flavors.iter().position(is_same).or_else(|| {
            let new = self.flavors.len();
            (new < MOST_FLAVORS).then(|| {
                self.flavors.push((*found, Counters::default()));
                new
            })
        });
        if let Some(index) = index {
            self.flavors[index].1.note(before, now, task_changed);
        }
    }

    fn find_scheduler(&mut self, block: Avma, memory: &dyn ReadMemory) {
        for (index, context) in self.contexts.iter().enumerate() {
            let Some(words) = context.read(block, memory) else {
                continue;
            };
            let found = |word: &u64| FoundCore::at(*word, &words, memory).is_some();
            if let Some(word) = words.iter().position(found) {
                self.scheduler = Some((index, word));
                return;
            }
        }
    }

    /// The flavours whose tick was found.
    fn learned(&self) -> Vec<FlavorLayout> {
        let flavors = self.flavors.iter();
        let learned = flavors.filter_map(|(found, counters)| {
            Some(FlavorLayout {
                value: found.flavor,
                core: found.slot,
                tick: (counters.tick(self.local)?, 4),
            })
        });
        learned.collect()
    }

    fn layout(&self, flavors: Vec<FlavorLayout>) -> Option<ContextLayout> {
        let (context, scheduler) = self.scheduler?;
        let tagged = flavors.first()?.value.is_some();
        Some(ContextLayout {
            tls_offset: self.contexts[context].offset,
            task_id: self.task? as u64 * 8,
            scheduler: scheduler as u64 * 8,
            discriminant: tagged.then_some((0, 8)),
            flavors,
            local: None,
        })
    }
}
