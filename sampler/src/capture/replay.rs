//! Learning again what was learnt once.

use super::{ANSWERS_LIMIT, CaptureHeader, ENTRY_LIMIT, Entry, MAGIC, VERSION};
use crate::error::Error;
use crate::event::Event;
use crate::ids::{Avma, Nanos, Pid, Tid};
use crate::process::{BlockedThread, Mapping, Process, ReadMemory, ReadRequest};
use crate::source::{Abilities, SampleSource};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::Hash;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zstd::stream::read::Decoder;

/// A capture, opened.
#[derive(Debug)]
pub struct Replay {
    /// What it says of itself.
    pub header: CaptureHeader,
    /// Its events.
    pub source: ReplaySource,
    /// Its answers.
    pub process: ReplayProcess,
}

/// Gives the events of a capture, by the same drains as when it was made.
#[derive(Debug)]
pub struct ReplaySource {
    entries: Entries,
    abilities: Abilities,
    horizon: Nanos,
    over: bool,
}

/// Answers what was asked when the capture was made: each question in the order in which it was
/// asked then, whatever else was asked in between. What was not asked, or less often, is not known.
///
/// Memory is more forgiving: what was read in another way, as part of a longer read, is known too.
#[derive(Debug)]
pub struct ReplayProcess {
    pid: Pid,
    answers: Mutex<Answers>,
}

impl Replay {
    /// Opens a capture.
    ///
    /// # Errors
    /// The file cannot be read, is none, or of another version, or damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Once for the answers, which may be asked for in another rhythm than that of the
        // drains, and once for the events, which may be many.
        let mut entries = Entries::open(path)?;
        let header = entries.header()?;
        let mut answers = Answers::default();
        let mut held = 0;
        while let Some(bytes) = entries.next_bytes()? {
            if Entry::is_of_stream(bytes) {
                continue;
            }
            held += bytes.len();
            if held > ANSWERS_LIMIT {
                return Err(entries.damaged("it holds more than can be held in memory"));
            }
            let entry = entries.decode()?;
            answers.take(entry);
        }
        let mut entries = Entries::open(path)?;
        entries.header()?;
        Ok(Self {
            source: ReplaySource {
                entries,
                abilities: header.abilities,
                horizon: header.begin,
                over: false,
            },
            process: ReplayProcess {
                pid: header.facts.pid,
                answers: Mutex::new(answers),
            },
            header,
        })
    }
}

impl ReplaySource {
    /// Whether all events have been given.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }
}

impl SampleSource for ReplaySource {
    fn drain(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        while let Some(bytes) = self.entries.next_bytes()? {
            if !Entry::is_of_stream(bytes) {
                continue;
            }
            match self.entries.decode()? {
                Entry::Event(event) => sink(event),
                Entry::Drained(horizon) => {
                    self.horizon = horizon;
                    return Ok(horizon);
                }
                _ => {}
            }
        }
        self.over = true;
        Ok(self.horizon)
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        while !self.over {
            self.drain(sink)?;
        }
        Ok(self.horizon)
    }

    fn abilities(&self) -> Abilities {
        self.abilities
    }
}

/// The entries of a file, one after the other.
struct Entries {
    path: PathBuf,
    stream: Decoder<'static, BufReader<File>>,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Entries {
    fn open(path: &Path) -> Result<Self, Error> {
        let fail = |source: io::Error| Error::Capture {
            path: path.into(),
            source,
        };
        let mut file = File::open(path).map_err(fail)?;
        let foreign = |why: String| Error::NotACapture {
            path: path.into(),
            why,
        };
        let mut start = [0; MAGIC.len() + 4];
        file.read_exact(&mut start)
            .map_err(|_| foreign("it is too short".into()))?;
        let [magic @ .., v0, v1, v2, v3] = start;
        if magic != MAGIC {
            return Err(foreign("it does not begin like one".into()));
        }
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        if version != VERSION {
            return Err(foreign(format!(
                "its version is {version}, and {VERSION} is known"
            )));
        }
        let stream = Decoder::new(file).map_err(fail)?;
        Ok(Self {
            path: path.into(),
            stream,
            bytes: Vec::new(),
        })
    }

    fn header(&mut self) -> Result<CaptureHeader, Error> {
        if self.next_bytes()?.is_some()
            && let Entry::Header(header) = self.decode()?
        {
            return Ok(header);
        }
        Err(self.damaged("it does not say what it is of"))
    }

    /// Goes on to the next entry; `None` at the end.
    fn next_bytes(&mut self) -> Result<Option<&[u8]>, Error> {
        let mut length = [0; 4];
        match self.stream.read(&mut length[..1]) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(self.broken(&error)),
        }
        let rest = self.stream.read_exact(&mut length[1..]);
        rest.map_err(|error| self.broken(&error))?;
        let length = u32::from_le_bytes(length) as usize;
        if length > ENTRY_LIMIT {
            return Err(self.damaged("an entry is too long"));
        }
        self.bytes.clear();
        let read = self
            .stream
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut self.bytes);
        match read {
            Ok(read) if read == length => Ok(Some(&self.bytes)),
            Ok(_) => Err(self.damaged("it ends in the middle")),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// What the entry is that `next_bytes` went on to.
    fn decode(&self) -> Result<Entry, Error> {
        postcard::from_bytes(&self.bytes).map_err(|_| self.damaged("an entry makes no sense"))
    }

    fn damaged(&self, why: &str) -> Error {
        Error::NotACapture {
            path: self.path.clone(),
            why: why.into(),
        }
    }

    fn broken(&self, error: &io::Error) -> Error {
        self.damaged(&format!("its compression is broken ({error})"))
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
    memory: Memory,
}

impl Answers {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Mappings(answer) => self.mappings.push_back(answer),
            Entry::Threads(answer) => self.threads.push_back(answer),
            Entry::ThreadName(tid, answer) => put(&mut self.names, tid, answer),
            Entry::BlockedIn(tid, answer) => put(&mut self.blocked, tid, answer),
            Entry::OwnNumber(tid, answer) => put(&mut self.own_numbers, tid, answer),
            Entry::Read(address, bytes) => self.memory.take(address, bytes.len(), Some(bytes)),
            Entry::Unread(address, length) => self.memory.take(address, length as usize, None),
            Entry::Event(_) | Entry::Drained(_) | Entry::Header(_) => {}
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

    fn read(&mut self, address: Avma, into: &mut [u8]) -> bool {
        if let Some(index) = next(&mut self.exact, &(address, into.len())) {
            self.last = index;
            return match &self.reads[index].1 {
                Some(bytes) => {
                    into.copy_from_slice(bytes);
                    true
                }
                None => false,
            };
        }
        match self.part_of_another(address, into.len()) {
            Some(bytes) => {
                into.copy_from_slice(bytes);
                true
            }
            None => false,
        }
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
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadMemory for ReplayProcess {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        let memory = &mut self.answers().memory;
        for request in requests {
            request.done = memory.read(request.address, request.into);
        }
    }
}

impl Process for ReplayProcess {
    fn pid(&self) -> Pid {
        self.pid
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        match self.answers().mappings.pop_front() {
            Some(Some(mappings)) => Ok(mappings),
            Some(None) => Err(Error::NoSuchProcess(self.pid)),
            None => Err(Error::NotCaptured("its mappings")),
        }
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        match self.answers().threads.pop_front() {
            Some(Some(threads)) => Ok(threads),
            Some(None) => Err(Error::NoSuchProcess(self.pid)),
            None => Err(Error::NotCaptured("its threads")),
        }
    }

    fn thread_name(&self, tid: Tid) -> Option<String> {
        next(&mut self.answers().names, &tid).flatten()
    }

    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        next(&mut self.answers().blocked, &tid).flatten()
    }

    fn own_number(&self, tid: Tid) -> Option<u32> {
        next(&mut self.answers().own_numbers, &tid).flatten()
    }
}
