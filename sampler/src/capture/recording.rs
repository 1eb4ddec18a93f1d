//! Writing down what is learnt from a process.

use super::{ANSWER, Answer, END, ENTRY_LIMIT, MAGIC, STEP, VERSION};
use crate::error::Error;
use crate::ids::{Pid, Tid};
use crate::process::{BlockedThread, Mapped, Mapping, Process, ReadMemory, ReadRequest};
use serde::Serialize;
use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zstd::stream::write::Encoder;

/// A capture being made. The file has its name only when it is finished.
#[derive(Debug)]
pub struct Capture {
    log: Arc<Mutex<Log>>,
    path: PathBuf,
    partial: PathBuf,
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
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Capture {
    /// Begins a capture of process `pid` in the file `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path, pid: Pid) -> Result<Self, Error> {
        let fail = |source: io::Error| Error::Capture {
            path: path.into(),
            source,
        };
        // It will be replaced as a whole, which a device or a folder must not be.
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(fail(io::Error::other("it is not a regular file")));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(fail)?;
        let capture = Self {
            log: Arc::new(Mutex::new(Log {
                file: None,
                failure: None,
                buffer: Vec::new(),
            })),
            path: path.into(),
            partial,
        };
        lock(&capture.log).file = Some(begin(file, pid).map_err(fail)?);
        Ok(capture)
    }

    /// Writes down the answers of `process` from now on.
    pub fn process<P: Process>(&self, process: P) -> RecordedProcess<P> {
        RecordedProcess {
            inner: process,
            log: Arc::clone(&self.log),
        }
    }

    /// Writes down a step: the answers that follow belong to it.
    pub fn step(&self, step: &impl Serialize) {
        lock(&self.log).write(STEP, step);
    }

    /// Ends the capture: what comes after is not written down any more. `about` is what it says of
    /// itself. Returns how many bytes the file has.
    ///
    /// # Errors
    /// Something could not be written, now or before. Then there is no capture.
    pub fn finish(self, about: &impl Serialize) -> Result<u64, Error> {
        let fail = |source: io::Error| Error::Capture {
            path: self.path.clone(),
            source,
        };
        let mut log = lock(&self.log);
        if let Some(failure) = log.failure.take() {
            return Err(fail(failure));
        }
        let encoder = log.file.take();
        drop(log);
        let encoder = encoder.ok_or_else(|| fail(io::Error::other("it was finished before")))?;
        let size = end(encoder, about).map_err(fail)?;
        fs::rename(&self.partial, &self.path).map_err(fail)?;
        Ok(size)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // After `finish` it is not there any more.
        let _ = fs::remove_file(&self.partial);
    }
}

fn begin(mut file: File, pid: Pid) -> io::Result<Encoder<'static, File>> {
    file.write_all(&MAGIC)?;
    file.write_all(&VERSION.to_le_bytes())?;
    file.write_all(&pid.0.to_le_bytes())?;
    // Fast: this happens while we watch.
    let mut encoder = Encoder::new(file, 1)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

fn end(encoder: Encoder<'static, File>, about: &impl Serialize) -> io::Result<u64> {
    let mut file = encoder.finish()?;
    let mut rest = postcard::to_stdvec(about).map_err(io::Error::other)?;
    if rest.len() > ENTRY_LIMIT {
        return Err(too_long(rest.len()));
    }
    // It fits: the limit does.
    let length = rest.len() as u32;
    rest.extend(length.to_le_bytes());
    rest.extend(END);
    file.write_all(&rest)?;
    file.sync_data()?;
    Ok(file.metadata()?.len())
}

fn too_long(length: usize) -> io::Error {
    io::Error::other(format!("{length} bytes are more than an entry can have"))
}

impl Log {
    fn write(&mut self, what: u8, entry: &impl Serialize) {
        if let Err(error) = self.try_write(what, entry) {
            self.file = None;
            self.failure = Some(error);
        }
    }

    fn answer(&mut self, answer: &Answer<'_>) {
        self.write(ANSWER, answer);
    }

    fn try_write(&mut self, what: u8, entry: &impl Serialize) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        bytes.extend([0, 0, 0, 0, what]);
        let mut bytes = postcard::to_extend(entry, bytes).map_err(io::Error::other)?;
        let length = bytes.len() - 4;
        if length > ENTRY_LIMIT {
            return Err(too_long(length));
        }
        // It fits: the limit does.
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        let written = file.write_all(&bytes);
        self.buffer = bytes;
        written
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    // Nothing of ours panics while it is held; if it did, an entry would be cut short, which the
    // reader notices.
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P> RecordedProcess<P> {
    fn note(&self, answer: &Answer<'_>) {
        lock(&self.log).answer(answer);
    }
}

impl<P: Process> ReadMemory for RecordedProcess<P> {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        self.inner.read_many(requests);
        let mut log = lock(&self.log);
        for request in requests {
            log.answer(&if request.done {
                Answer::Read(request.address, Cow::Borrowed(&*request.into))
            } else {
                let length = u32::try_from(request.into.len()).unwrap_or(u32::MAX);
                Answer::Unread(request.address, length)
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
        let known = answer.as_ref().ok();
        let known = known.map(|mappings| mappings.iter().map(portable).collect());
        self.note(&Answer::Mappings(known));
        answer
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        let answer = self.inner.threads();
        self.note(&Answer::Threads(answer.as_ref().ok().cloned()));
        answer
    }

    fn thread_name(&self, tid: Tid) -> Option<String> {
        let answer = self.inner.thread_name(tid);
        self.note(&Answer::ThreadName(tid, answer.clone()));
        answer
    }

    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        let answer = self.inner.blocked_in(tid);
        self.note(&Answer::BlockedIn(tid, answer));
        answer
    }

    fn own_number(&self, tid: Tid) -> Option<u32> {
        let answer = self.inner.own_number(tid);
        self.note(&Answer::OwnNumber(tid, answer));
        answer
    }

    fn kernel_function(&self, address: u64) -> Option<String> {
        let answer = self.inner.kernel_function(address);
        self.note(&Answer::KernelFunction(address, answer.clone()));
        answer
    }
}

/// The mapping with a path that is text, which a file name need not be.
fn portable(mapping: &Mapping) -> Mapping {
    let mut mapping = mapping.clone();
    if let Mapped::File { path, .. } = &mut mapping.what
        && let Cow::Owned(text) = path.to_string_lossy()
    {
        *path = text.into();
    }
    mapping
}
