//! Learning again what was learnt once.

use super::entries::Entries;
use super::{ANSWER, ANSWERS_LIMIT, Answer, MAGIC, STEP};
use crate::error::Error;
use crate::ids::{Avma, Pid, Tid};
use crate::process::{BlockedThread, Mapping, Process, ReadMemory, ReadRequest};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::Hash;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A capture, opened.
#[derive(Debug)]
pub struct Replay {
    entries: Entries,
    /// `entries` stands at a step that was not given yet.
    ahead: bool,
    process: Arc<ReplayProcess>,
}

/// Answers what was asked at this step when the capture was made: each question in the order in which
/// it was asked then, whatever else was asked in between. What was not asked, or less often, is not
/// known.
///
/// Memory is more forgiving: what was read in another way, as part of a longer read, is known too.
#[derive(Debug)]
pub struct ReplayProcess {
    pid: Pid,
    answers: Mutex<Answers>,
}

impl Replay {
    /// Whether a file is a capture, by how it begins.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn is_capture(path: &Path) -> Result<bool, Error> {
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start))
            .map_err(|source| Error::Capture {
                path: path.into(),
                source,
            })?;
        Ok(start == MAGIC)
    }

    /// Opens a capture. Returns what it says of itself, too.
    ///
    /// # Errors
    /// The file cannot be read, is none, or of another version, or damaged.
    pub fn open<A: DeserializeOwned>(path: &Path) -> Result<(A, Self), Error> {
        let (about, pid, entries) = Entries::open(path)?;
        let mut replay = Self {
            entries,
            ahead: false,
            process: Arc::new(ReplayProcess {
                pid,
                answers: Mutex::default(),
            }),
        };
        replay.go_on()?;
        Ok((about, replay))
    }

    /// The process, as it is at this step.
    #[must_use]
    pub fn process(&self) -> Arc<ReplayProcess> {
        Arc::clone(&self.process)
    }

    /// Goes to the next step. At the end there is none, and the process stays as it was at the last.
    ///
    /// # Errors
    /// The file cannot be read any more, or is damaged.
    pub fn step<S: DeserializeOwned>(&mut self) -> Result<Option<S>, Error> {
        if !self.ahead {
            return Ok(None);
        }
        let step = self.entries.decode()?;
        self.go_on()?;
        Ok(Some(step))
    }

    /// That the capture is damaged, where its content shows it.
    #[must_use]
    pub fn damaged(&self, why: &str) -> Error {
        self.entries.damaged(why)
    }

    /// Takes the answers up to the next step.
    fn go_on(&mut self) -> Result<(), Error> {
        let mut answers = Answers::default();
        let mut held = 0;
        self.ahead = loop {
            match self.entries.go_on()? {
                None => break false,
                Some(STEP) => break true,
                Some(ANSWER) => {}
                Some(_) => return Err(self.entries.damaged("an entry is of no known kind")),
            }
            let answer: Answer<'static> = self.entries.decode()?;
            held += size_in_memory(&answer);
            if held > ANSWERS_LIMIT {
                return Err(self.entries.damaged("it holds more than fits into memory"));
            }
            answers.take(answer);
        };
        let mut process = self.process.answers();
        answers.unknown = process.unknown;
        *process = answers;
        Ok(())
    }
}

/// How much room an answer takes, roughly, with its place in the tables.
fn size_in_memory(answer: &Answer<'_>) -> usize {
    const PLACE: usize = 256;
    PLACE
        + match answer {
            Answer::Mappings(Some(mappings)) => mappings.len() * PLACE,
            Answer::Threads(Some(threads)) => threads.len() * size_of::<Tid>(),
            Answer::ThreadName(_, Some(text)) | Answer::KernelFunction(_, Some(text)) => text.len(),
            Answer::Read(_, bytes) => bytes.len(),
            _ => 0,
        }
}

/// The answers to one kind of question, each asked about a `K`.
type Queues<K, T> = HashMap<K, VecDeque<T>>;

#[derive(Debug, Default)]
struct Answers {
    mappings: VecDeque<Option<Vec<Mapping>>>,
    threads: VecDeque<Option<Vec<Tid>>>,
    names: Queues<Tid, Option<String>>,
    blocked: Queues<Tid, Option<BlockedThread>>,
    own_numbers: Queues<Tid, Option<u32>>,
    kernel_functions: Queues<u64, Option<String>>,
    memory: Memory,
    /// How many questions had no answer here, at any step.
    unknown: u64,
}

impl Answers {
    fn take(&mut self, answer: Answer<'static>) {
        match answer {
            Answer::Mappings(answer) => self.mappings.push_back(answer),
            Answer::Threads(answer) => self.threads.push_back(answer),
            Answer::ThreadName(tid, answer) => put(&mut self.names, tid, answer),
            Answer::BlockedIn(tid, answer) => put(&mut self.blocked, tid, answer),
            Answer::OwnNumber(tid, answer) => put(&mut self.own_numbers, tid, answer),
            Answer::KernelFunction(address, answer) => {
                put(&mut self.kernel_functions, address, answer);
            }
            Answer::Read(address, bytes) => {
                let length = bytes.len();
                self.memory.take(address, length, Some(bytes.into_owned()));
            }
            Answer::Unread(address, length) => self.memory.take(address, length as usize, None),
        }
    }
}

fn put<K: Hash + Eq, T>(queues: &mut Queues<K, T>, key: K, answer: T) {
    queues.entry(key).or_default().push_back(answer);
}

fn next<K: Hash + Eq, T>(queues: &mut Queues<K, T>, key: &K) -> Option<T> {
    queues.get_mut(key)?.pop_front()
}

/// All reads, in order.
#[derive(Debug, Default)]
struct Memory {
    reads: Vec<(Avma, Option<Vec<u8>>)>,
    exact: Queues<(Avma, usize), usize>,
    /// Which successful reads touch a page.
    by_page: HashMap<u64, Vec<usize>>,
    /// The read that was given last: the others' time is measured by it.
    last: usize,
}

impl Memory {
    const PAGE: u64 = 4096;

    fn take(&mut self, address: Avma, length: usize, bytes: Option<Vec<u8>>) {
        let index = self.reads.len();
        if bytes.is_some() && length > 0 {
            let end = address.0.saturating_add(length as u64 - 1);
            // Bounded by the bytes that are there.
            for page in address.0 / Self::PAGE..=end / Self::PAGE {
                self.by_page.entry(page).or_default().push(index);
            }
        }
        put(&mut self.exact, (address, length), index);
        self.reads.push((address, bytes));
    }

    /// Whether it could be read, if that is known.
    fn read(&mut self, address: Avma, into: &mut [u8]) -> Option<bool> {
        if let Some(index) = next(&mut self.exact, &(address, into.len())) {
            self.last = index;
            let bytes = self.reads[index].1.as_deref();
            bytes.inspect(|bytes| into.copy_from_slice(bytes));
            return Some(bytes.is_some());
        }
        into.copy_from_slice(self.part_of_another(address, into.len())?);
        Some(true)
    }

    /// The bytes as part of another read: the first after what was read last, or the last before.
    fn part_of_another(&self, address: Avma, length: usize) -> Option<&[u8]> {
        let touching = self.by_page.get(&(address.0 / Self::PAGE))?;
        let part = |&index: &usize| {
            let (start, bytes) = &self.reads[index];
            let offset = usize::try_from(address.0.checked_sub(start.0)?).ok()?;
            bytes.as_ref()?.get(offset..offset.checked_add(length)?)
        };
        let (before, after) =
            touching.split_at(touching.partition_point(|&index| index <= self.last));
        after
            .iter()
            .find_map(part)
            .or_else(|| before.iter().rev().find_map(part))
    }
}

impl ReplayProcess {
    /// How many questions were asked so far that were not asked when the capture was made: by
    /// another version of whoever asks, or because files differ that it looks into, too.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.answers().unknown
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, if it is known.
    fn answer<T>(&self, of: impl FnOnce(&mut Answers) -> Option<T>) -> Option<T> {
        let mut answers = self.answers();
        let answer = of(&mut answers);
        if answer.is_none() {
            answers.unknown += 1;
        }
        answer
    }
}

impl ReadMemory for ReplayProcess {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let read = |answers: &mut Answers| answers.memory.read(request.address, request.into);
            request.done = self.answer(read).unwrap_or(false);
        }
    }
}

impl Process for ReplayProcess {
    fn pid(&self) -> Pid {
        self.pid
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        match self.answer(|answers| answers.mappings.pop_front()) {
            Some(Some(mappings)) => Ok(mappings),
            Some(None) => Err(Error::NoSuchProcess(self.pid)),
            None => Err(Error::NotCaptured("its mappings")),
        }
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        match self.answer(|answers| answers.threads.pop_front()) {
            Some(Some(threads)) => Ok(threads),
            Some(None) => Err(Error::NoSuchProcess(self.pid)),
            None => Err(Error::NotCaptured("its threads")),
        }
    }

    fn thread_name(&self, tid: Tid) -> Option<String> {
        self.answer(|answers| next(&mut answers.names, &tid))?
    }

    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        self.answer(|answers| next(&mut answers.blocked, &tid))?
    }

    fn own_number(&self, tid: Tid) -> Option<u32> {
        self.answer(|answers| next(&mut answers.own_numbers, &tid))?
    }

    fn kernel_function(&self, address: u64) -> Option<String> {
        self.answer(|answers| next(&mut answers.kernel_functions, &address))?
    }
}
