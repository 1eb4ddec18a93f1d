//! Writing down what is learnt from a process.

use super::{CaptureHeader, ENTRY_LIMIT, Entry, MAGIC, VERSION};
use crate::error::Error;
use crate::event::Event;
use crate::ids::{Nanos, Pid, Tid};
use crate::process::{BlockedThread, Mapping, Process, ReadMemory, ReadRequest};
use crate::source::{Abilities, SampleSource};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zstd::stream::write::Encoder;

/// A capture being made. The file has its name only when it is finished.
#[derive(Debug)]
pub struct Recording {
    log: Arc<Mutex<Log>>,
    path: PathBuf,
    partial: PathBuf,
}

/// A source whose events are written down as they pass.
#[derive(Debug)]
pub struct RecordedSource<S> {
    inner: S,
    log: Arc<Mutex<Log>>,
}

/// A process whose answers are written down as they pass.
#[derive(Debug)]
pub struct RecordedProcess<P> {
    inner: P,
    log: Arc<Mutex<Log>>,
}

/// The file, and the first thing that went wrong with it: who asks a process something is not to be
/// bothered with a full disk.
struct Log {
    file: Option<Encoder<'static, File>>,
    failure: Option<io::Error>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Recording {
    /// Begins a capture in the file `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path, header: &CaptureHeader) -> Result<Self, Error> {
        let fail = |source: io::Error| Error::Capture {
            path: path.into(),
            source,
        };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(fail)?;
        let recording = Self {
            log: Arc::new(Mutex::new(Log {
                file: None,
                failure: None,
            })),
            path: path.into(),
            partial,
        };
        let mut log = lock(&recording.log);
        log.file = Some(begin(file).map_err(fail)?);
        log.write(&Entry::Header(header.clone()));
        if let Some(failure) = log.failure.take() {
            return Err(fail(failure));
        }
        drop(log);
        Ok(recording)
    }

    /// Writes down the events of `source` from now on.
    pub fn source<S: SampleSource>(&self, source: S) -> RecordedSource<S> {
        RecordedSource {
            inner: source,
            log: Arc::clone(&self.log),
        }
    }

    /// Writes down the answers of `process` from now on.
    pub fn process<P: Process>(&self, process: P) -> RecordedProcess<P> {
        RecordedProcess {
            inner: process,
            log: Arc::clone(&self.log),
        }
    }

    /// Ends the capture: what comes after is not written down any more.
    ///
    /// # Errors
    /// Something could not be written, now or before. Then there is no capture.
    pub fn finish(self) -> Result<(), Error> {
        let fail = |source: io::Error| Error::Capture {
            path: self.path.clone(),
            source,
        };
        let mut log = lock(&self.log);
        if let Some(failure) = log.failure.take() {
            return Err(fail(failure));
        }
        if let Some(encoder) = log.file.take() {
            let mut file = encoder.finish().map_err(fail)?;
            file.flush().map_err(fail)?;
        }
        fs::rename(&self.partial, &self.path).map_err(fail)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // After `finish` it is not there any more.
        let _ = fs::remove_file(&self.partial);
    }
}

fn begin(mut file: File) -> io::Result<Encoder<'static, File>> {
    file.write_all(&MAGIC)?;
    file.write_all(&VERSION.to_le_bytes())?;
    // Fast: this happens while we watch.
    Encoder::new(file, 1)
}

impl Log {
    fn write(&mut self, entry: &Entry) {
        if let Err(error) = self.try_write(entry) {
            self.file = None;
            self.failure = Some(error);
        }
    }

    fn try_write(&mut self, entry: &Entry) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let bytes = postcard::to_stdvec(entry).map_err(io::Error::other)?;
        // An answer too long to be read again is one that will not be known.
        if bytes.len() > ENTRY_LIMIT {
            return Ok(());
        }
        // It fits: the limit does.
        file.write_all(&(bytes.len() as u32).to_le_bytes())?;
        file.write_all(&bytes)
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    // Nothing of ours panics while it is held; if it did, an entry would be cut short, which the
    // reader notices.
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: SampleSource> RecordedSource<S> {
    fn pass(
        &mut self,
        sink: &mut dyn FnMut(Event),
        drain: impl FnOnce(&mut S, &mut dyn FnMut(Event)) -> Result<Nanos, Error>,
    ) -> Result<Nanos, Error> {
        let Self { inner, log } = self;
        let horizon = drain(inner, &mut |event| {
            let entry = Entry::Event(event);
            lock(log).write(&entry);
            if let Entry::Event(event) = entry {
                sink(event);
            }
        })?;
        lock(log).write(&Entry::Drained(horizon));
        Ok(horizon)
    }
}

impl<S: SampleSource> SampleSource for RecordedSource<S> {
    fn drain(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        self.pass(sink, |inner, sink| inner.drain(sink))
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        self.pass(sink, |inner, sink| inner.finish(sink))
    }

    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }
}

impl<P: Process> ReadMemory for RecordedProcess<P> {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        self.inner.read_many(requests);
        let mut log = lock(&self.log);
        for request in requests {
            log.write(&if request.done {
                Entry::Read(request.address, request.into.to_vec())
            } else {
                let length = u32::try_from(request.into.len()).unwrap_or(u32::MAX);
                Entry::Unread(request.address, length)
            });
        }
    }
}

impl<P: Process> Process for RecordedProcess<P> {
    fn pid(&self) -> Pid {
        self.inner.pid()
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        let answer = self.inner.mappings();
        let known = answer.as_ref().ok().cloned();
        lock(&self.log).write(&Entry::Mappings(known));
        answer
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        let answer = self.inner.threads();
        let known = answer.as_ref().ok().cloned();
        lock(&self.log).write(&Entry::Threads(known));
        answer
    }

    fn thread_name(&self, tid: Tid) -> Option<String> {
        let answer = self.inner.thread_name(tid);
        lock(&self.log).write(&Entry::ThreadName(tid, answer.clone()));
        answer
    }

    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        let answer = self.inner.blocked_in(tid);
        lock(&self.log).write(&Entry::BlockedIn(tid, answer));
        answer
    }

    fn own_number(&self, tid: Tid) -> Option<u32> {
        let answer = self.inner.own_number(tid);
        lock(&self.log).write(&Entry::OwnNumber(tid, answer));
        answer
    }
}
