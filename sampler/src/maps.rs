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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Mapping {
        let mut mappings = parse(line.as_bytes());
        assert_eq!(mappings.len(), 1, "{line}");
        mappings.remove(0)
    }

    fn file(line: &str) -> (String, bool) {
        match one(line).what {
            Mapped::File { path, deleted, .. } => (path.to_string_lossy().into_owned(), deleted),
            Mapped::Anonymous { .. } => panic!("{line}"),
        }
    }

    fn name(line: &str) -> Option<String> {
        match one(line).what {
            Mapped::File { .. } => panic!("{line}"),
            Mapped::Anonymous { name } => name,
        }
    }

    #[test]
    fn a_line_is_read_with_all_it_says() {
        let mapping =
            one("55d6a9fd1000-55d6a9fd5000 r-xp 00002000 fd:01 1573 \t        /usr/bin/cat");
        assert_eq!(
            (mapping.start, mapping.end),
            (Avma(0x55d6_a9fd_1000), Avma(0x55d6_a9fd_5000))
        );
        assert_eq!(mapping.file_offset, 0x2000);
        assert_eq!(
            mapping.permissions,
            Permissions {
                read: true,
                write: false,
                execute: true
            }
        );
        let device = libc::makedev(0xfd, 1);
        let path = "/usr/bin/cat".into();
        assert_eq!(
            mapping.what,
            Mapped::File {
                path,
                device,
                inode: 1573,
                deleted: false
            }
        );
    }

    #[test]
    fn paths_keep_their_spaces_and_get_their_newlines_back() {
        let line = |path: &str| format!("1000-2000 r--p 00000000 00:01 7    {path}");
        assert_eq!(file(&line("/a b/c")), ("/a b/c".into(), false));
        assert_eq!(file(&line("/a\\012b")), ("/a\nb".into(), false));
        // Not an escape of this file, but a name.
        assert_eq!(file(&line("/a\\040b")), ("/a\\040b".into(), false));
        assert_eq!(file(&line("/app (deleted)")), ("/app".into(), true));
        assert_eq!(file(&line("/memfd:x (deleted)")), ("/memfd:x".into(), true));
    }

    #[test]
    fn memory_without_a_file_has_the_name_the_kernel_gives_it() {
        let line = |what: &str| format!("1000-2000 rw-p 00000000 00:00 0 {what}");
        assert_eq!(name(&line("")), None);
        assert_eq!(name(&line("   [stack]")), Some("[stack]".into()));
        assert_eq!(
            name(&line("  [anon:my heap]")),
            Some("[anon:my heap]".into())
        );
        assert_eq!(
            name(&line(" anon_inode:[perf_event]")),
            Some("anon_inode:[perf_event]".into())
        );
    }

    #[test]
    fn the_vsyscall_page_at_the_end_of_everything_fits() {
        let mapping = one("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0     [vsyscall]");
        assert_eq!(mapping.end, Avma(0xffff_ffff_ff60_1000));
    }

    #[test]
    fn lines_that_make_no_sense_are_left_out() {
        for line in [
            "",
            "nonsense",
            "2000-1000 r--p 0 0:0 0",
            "1000-2000 r-- 0 0:0 0",
            "1000-2000 r--p zz 0:0 0",
            "1000-2000 r--p 0 00 0",
            "1000-2000 r--p 0 0:0",
        ] {
            assert_eq!(parse(line.as_bytes()), [], "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&text);
        }

        #[test]
        fn a_written_line_is_read_back(start in 0u64..1 << 47, pages in 1u64..1000, path in "/[ -~\\n]{0,30}[a-z]") {
            let end = start + pages * 4096;
            let escaped = path.replace('\n', "\\012");
            // `\012` in a name is what a newline looks like, which nobody can tell apart.
            prop_assume!(!path.contains("\\012"));
            let line = format!("{start:x}-{end:x} rw-p 00000000 08:01 12 {escaped}");
            prop_assert_eq!(file(&line), (path, false));
        }
    }
}
