//! The list of mappings of a process, `/proc/PID/maps` (proc(5)).

use crate::ids::Avma;
use crate::process::{Mapped, Mapping, Permissions};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// All mappings the text lists. A line that makes no sense is left out.
pub(crate) fn parse(text: &[u8]) -> Vec<Mapping> {
    text.split(|&byte| byte == b'\n')
        .filter_map(parse_line)
        .collect()
}

/// `START-END PERMISSIONS OFFSET MAJOR:MINOR INODE   WHAT`, all but the permissions, the inode
/// and the last in hexadecimal (`show_map_vma` in `fs/proc/task_mmu.c`).
fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let range = word(&mut rest)?;
    let permissions = word(&mut rest)?;
    let offset = word(&mut rest)?;
    let device = word(&mut rest)?;
    let inode = word(&mut rest)?;
    let what = rest.trim_ascii_start();

    let (start, end) = std::str::from_utf8(range).ok()?.split_once('-')?;
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    if start > end {
        return None;
    }
    let (major, minor) = std::str::from_utf8(device).ok()?.split_once(':')?;
    let device = libc::makedev(
        u32::from_str_radix(major, 16).ok()?,
        u32::from_str_radix(minor, 16).ok()?,
    );
    Some(Mapping {
        start: Avma(start),
        end: Avma(end),
        file_offset: hexadecimal(std::str::from_utf8(offset).ok()?)?,
        permissions: parse_permissions(permissions)?,
        what: parse_what(what, device, std::str::from_utf8(inode).ok()?.parse().ok()?),
    })
}

/// Cuts the next word off `rest`.
fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = rest.trim_ascii_start();
    let end = text
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    *rest = after;
    (!word.is_empty()).then_some(word)
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn parse_permissions(text: &[u8]) -> Option<Permissions> {
    let &[read, write, execute, _] = text else {
        return None;
    };
    Some(Permissions {
        read: read == b'r',
        write: write == b'w',
        execute: execute == b'x',
    })
}

/// Files have paths that begin with a slash; everything else (`[heap]`, `[anon:NAME]`,
/// `anon_inode:[perf_event]`) is memory with a name.
fn parse_what(what: &[u8], device: u64, inode: u64) -> Mapped {
    if what.first() != Some(&b'/') {
        let name = (!what.is_empty()).then(|| String::from_utf8_lossy(what).into_owned());
        return Mapped::Anonymous { name };
    }
    let (path, deleted) = match what.strip_suffix(b" (deleted)") {
        Some(path) => (path, true),
        None => (what, false),
    };
    Mapped::File {
        path: PathBuf::from(OsString::from_vec(unescape(path))),
        device,
        inode,
        deleted,
    }
}

/// In this file the kernel writes a newline of a path as `\012` and escapes nothing else, not even
/// the backslash itself (`seq_path(m, path, "\n")`); so nothing else is undone, or a file whose
/// name holds `\040` would be taken for another.
fn unescape(path: &[u8]) -> Vec<u8> {
    const NEWLINE: &[u8] = b"\\012";
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(NEWLINE) {
            plain.push(b'\n');
            rest = after;
        } else {
            plain.push(first);
            rest = after;
        }
    }
    plain
}
