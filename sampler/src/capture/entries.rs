//! The file of a capture, as it is read.

use super::{END, ENTRY_LIMIT, MAGIC, START_LENGTH, VERSION};
use crate::error::Error;
use crate::ids::Pid;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use zstd::stream::read::Decoder;

/// The entries of a file, one after the other.
pub(super) struct Entries {
    path: PathBuf,
    stream: Decoder<'static, BufReader<Take<File>>>,
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
    pub fn open<A: DeserializeOwned>(path: &Path) -> Result<(A, Pid, Self), Error> {
        let fail = |source: io::Error| Error::Capture {
            path: path.into(),
            source,
        };
        let foreign = |why: &str| Error::NotACapture {
            path: path.into(),
            why: why.into(),
        };
        let mut file = File::open(path).map_err(fail)?;
        let pid = read_start(&mut file).map_err(|why| foreign(&why))?;
        let (about, end) = read_end(&mut file).map_err(fail)?.ok_or_else(|| {
            foreign("it is cut short; copy it again from where it was made, or record anew")
        })?;
        let about = postcard::from_bytes(&about)
            .map_err(|_| foreign("what it says of itself makes no sense"))?;
        file.seek(SeekFrom::Start(START_LENGTH)).map_err(fail)?;
        let stream = Decoder::new(file.take(end - START_LENGTH)).map_err(fail)?;
        let entries = Self {
            path: path.into(),
            stream: stream.single_frame(),
            bytes: Vec::new(),
        };
        Ok((about, pid, entries))
    }

    /// Goes on to the next entry and says what it is; `None` at the end.
    pub fn go_on(&mut self) -> Result<Option<u8>, Error> {
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
        match (read, self.bytes.first()) {
            (Ok(read), Some(what)) if read == length => Ok(Some(*what)),
            (Ok(_), _) => Err(self.damaged("it ends in the middle")),
            (Err(error), _) => Err(self.broken(&error)),
        }
    }

    /// What the entry holds that `go_on` went to.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let bytes = self.bytes.get(1..).unwrap_or_default();
        postcard::from_bytes(bytes).map_err(|_| self.damaged("an entry makes no sense"))
    }

    pub fn damaged(&self, why: &str) -> Error {
        Error::NotACapture {
            path: self.path.clone(),
            why: why.into(),
        }
    }

    fn broken(&self, error: &io::Error) -> Error {
        self.damaged(&format!("its compression is broken ({error})"))
    }
}

/// Whose capture it is, or why it is none.
fn read_start(file: &mut File) -> Result<Pid, String> {
    let mut start = [0; START_LENGTH as usize];
    file.read_exact(&mut start)
        .map_err(|_| "it is too short".to_owned())?;
    let [magic @ .., v0, v1, v2, v3, p0, p1, p2, p3] = start;
    if magic != MAGIC {
        return Err("it does not begin like one".to_owned());
    }
    let version = u32::from_le_bytes([v0, v1, v2, v3]);
    if version != VERSION {
        return Err(format!("its version is {version}, and {VERSION} is known"));
    }
    Ok(Pid(u32::from_le_bytes([p0, p1, p2, p3])))
}

/// What stands behind the entries, and where they end; nothing if the file is not whole.
fn read_end(file: &mut File) -> io::Result<Option<(Vec<u8>, u64)>> {
    const LAST: usize = 4 + END.len();
    let size = file.seek(SeekFrom::End(0))?;
    let Some(at) = size
        .checked_sub(LAST as u64)
        .filter(|at| *at >= START_LENGTH)
    else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(at))?;
    let mut last = [0; LAST];
    file.read_exact(&mut last)?;
    let [l0, l1, l2, l3, end @ ..] = last;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    let begin = at.checked_sub(length.into());
    let Some(begin) = begin.filter(|begin| *begin >= START_LENGTH) else {
        return Ok(None);
    };
    if end != END || length as usize > ENTRY_LIMIT {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(begin))?;
    let mut about = vec![0; length as usize];
    file.read_exact(&mut about)?;
    Ok(Some((about, begin)))
}
