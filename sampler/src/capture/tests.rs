use super::{Capture, Replay, ReplayProcess};
use crate::error::Error;
use crate::ids::{Avma, Pid, Tid};
use crate::process::{
    BlockedThread, Mapped, Mapping, Permissions, Process, ReadMemory, ReadRequest,
};
use proptest::prelude::*;
use std::cell::Cell;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A process that answers differently each time it is asked.
struct Made {
    asked: Cell<u64>,
}

impl Made {
    fn ask(&self) -> u64 {
        self.asked.replace(self.asked.get() + 1)
    }
}

/// It has memory from 0x1000 to 0x3000.
impl ReadMemory for Made {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let end = request.address.0 + request.into.len() as u64;
            request.done = request.address.0 >= 0x1000 && end <= 0x3000;
            if request.done {
                request.into.fill(self.ask() as u8);
            }
        }
    }
}

impl Process for Made {
    fn pid(&self) -> Pid {
        Pid(77)
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        let n = self.ask();
        Ok(vec![Mapping {
            start: Avma(n),
            end: Avma(n + 1),
            file_offset: 0,
            permissions: Permissions {
                read: true,
                write: false,
                execute: true,
            },
            what: Mapped::File {
                path: "/app".into(),
                device: 1,
                inode: 2,
                deleted: true,
            },
        }])
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        Err(Error::NoSuchProcess(self.pid()))
    }

    fn thread_name(&self, tid: Tid) -> Option<String> {
        (tid.0 < 100).then(|| format!("thread {tid} {}", self.ask()))
    }

    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        let (sp, ip) = (Avma(self.ask()), Avma(tid.0.into()));
        Some(BlockedThread {
            syscall: Some(230),
            sp,
            ip,
        })
    }

    fn kernel_function(&self, address: u64) -> Option<String> {
        Some(format!("function at {address} {}", self.ask()))
    }
}

/// Asks a process this and that, and says what it answered.
fn look(process: &impl Process) -> String {
    let (mut small, mut large, mut bad) = ([0; 8], vec![0; 5000], [0; 8]);
    let mut requests = [
        ReadRequest::new(Avma(0x1000), &mut small),
        ReadRequest::new(Avma(0x1800), &mut large),
        ReadRequest::new(Avma(0x2ffc), &mut bad),
    ];
    process.read_many(&mut requests);
    let done: Vec<bool> = requests.iter().map(|request| request.done).collect();
    format!(
        "{done:?} {small:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        large.last(),
        process.mappings().ok(),
        process.threads().map_err(|error| error.to_string()),
        process.thread_name(Tid(3)),
        process.thread_name(Tid(300)),
        process.blocked_in(Tid(3)),
        process.own_number(Tid(3)),
        process.kernel_function(7),
    )
}

const STEPS: [&str; 3] = ["one", "two", "three"];
const ABOUT: &str = "a capture of ours";

/// A capture, and what was answered before its first step and at each.
fn captured(folder: &TempDir) -> (PathBuf, Vec<String>) {
    let path = folder.path().join("case.capture");
    let capture = Capture::create(&path, Pid(77)).expect("begun");
    let process = capture.process(Made {
        asked: Cell::new(0),
    });
    let mut answers = vec![look(&process)];
    for step in STEPS {
        capture.step(&step);
        answers.push(look(&process) + &look(&process));
    }
    assert!(!path.exists());
    let size = capture.finish(&ABOUT).expect("finished");
    assert_eq!(size, path.metadata().expect("it is there").len());
    (path, answers)
}

fn open(path: &Path) -> (Replay, Arc<ReplayProcess>) {
    let (about, replay) = Replay::open::<String>(path).expect("opened");
    assert_eq!(about, ABOUT);
    let process = replay.process();
    (replay, process)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_replay_gives_the_same_answers_at_the_same_steps() {
    let folder = folder();
    let (path, answers) = captured(&folder);
    let (mut replay, process) = open(&path);
    assert_eq!(process.pid(), Pid(77));
    assert_eq!(look(&*process), answers[0]);
    for (step, answer) in STEPS.iter().zip(&answers[1..]) {
        assert_eq!(
            replay.step::<String>().expect("whole").as_deref(),
            Some(*step)
        );
        assert_eq!(&(look(&*process) + &look(&*process)), answer);
    }
    assert_eq!(process.unknown(), 0);
    assert_eq!(replay.step::<String>().expect("whole"), None);
    assert_eq!(replay.step::<String>().expect("whole"), None);
}

#[test]
fn a_step_whose_questions_are_not_asked_does_not_confuse_the_next() {
    let folder = folder();
    let (path, answers) = captured(&folder);
    let (mut replay, process) = open(&path);
    for _ in STEPS {
        replay.step::<String>().expect("whole");
    }
    // At the end the answers of the last step are still there.
    assert_eq!(replay.step::<String>().expect("whole"), None);
    assert_eq!(look(&*process) + &look(&*process), answers[3]);
}

#[test]
fn what_was_not_asked_is_not_known_and_counted() {
    let folder = folder();
    let (path, _) = captured(&folder);
    let (mut replay, process) = open(&path);
    assert_eq!(process.thread_name(Tid(4)), None);
    assert_eq!(process.read_word(Avma(0x5000)), None);
    assert_eq!(process.unknown(), 2);
    replay.step::<String>().expect("whole");
    (0..2).for_each(|_| assert!(process.mappings().is_ok()));
    assert!(matches!(process.mappings(), Err(Error::NotCaptured(_))));
    assert_eq!(process.unknown(), 3);
}

#[test]
fn memory_that_was_read_as_part_of_more_is_known() {
    let folder = folder();
    let (path, _) = captured(&folder);
    let (_, process) = open(&path);
    // The second read of the first look, each byte of which is 1.
    assert_eq!(process.read_word(Avma(0x2123)), Some(0x0101_0101_0101_0101));
    assert_eq!(process.read_word(Avma(0x1800 + 5000 - 7)), None);
}

#[test]
fn a_capture_is_for_its_owner_only_and_an_abandoned_one_leaves_nothing() {
    let folder = folder();
    let (path, _) = captured(&folder);
    let mode = path.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(Capture::create(&folder.path().join("other"), Pid(1)).expect("begun"));
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_capture_that_cannot_be_written_says_so() {
    let error = Capture::create(Path::new("/nowhere/at/all"), Pid(1)).expect_err("refused");
    assert_eq!(error.to_string(), "cannot use the capture /nowhere/at/all");
    assert_eq!(error.errno(), Some(2));
    let error = Capture::create(Path::new("/dev/full"), Pid(1)).expect_err("refused");
    assert_eq!(error.to_string(), "cannot use the capture /dev/full");
}

#[test]
fn a_file_name_that_is_no_text_is_kept_as_near_as_can_be() {
    struct Odd;
    impl ReadMemory for Odd {
        fn read_many(&self, _: &mut [ReadRequest<'_>]) {}
    }
    impl Process for Odd {
        fn pid(&self) -> Pid {
            Pid(1)
        }
        fn mappings(&self) -> Result<Vec<Mapping>, Error> {
            let mut mappings = Made {
                asked: Cell::new(0),
            }
            .mappings()?;
            if let Mapped::File { path, .. } = &mut mappings[0].what {
                *path = std::ffi::OsStr::from_bytes(b"/a\xffb").into();
            }
            Ok(mappings)
        }
        fn threads(&self) -> Result<Vec<Tid>, Error> {
            Ok(Vec::new())
        }
        fn thread_name(&self, _: Tid) -> Option<String> {
            None
        }
        fn blocked_in(&self, _: Tid) -> Option<BlockedThread> {
            None
        }
    }
    let folder = folder();
    let path = folder.path().join("odd");
    let capture = Capture::create(&path, Pid(1)).expect("begun");
    capture.process(Odd).mappings().expect("answered");
    capture.finish(&ABOUT).expect("finished");
    let mappings = open(&path).1.mappings().expect("known");
    let Mapped::File { path, .. } = &mappings[0].what else {
        panic!("{mappings:?}")
    };
    assert_eq!(path, Path::new("/a\u{fffd}b"));
}

/// A file with these bytes between its begin and what it says of itself.
fn file_with(stream: &[u8]) -> Vec<u8> {
    let mut bytes = super::MAGIC.to_vec();
    bytes.extend(super::VERSION.to_le_bytes());
    bytes.extend(77u32.to_le_bytes());
    bytes.extend(stream);
    let about = postcard::to_stdvec(ABOUT).expect("encoded");
    bytes.extend(&about);
    bytes.extend((about.len() as u32).to_le_bytes());
    bytes.extend(super::END);
    bytes
}

/// Why a file is refused when it is opened or replayed.
fn refused(folder: &TempDir, bytes: &[u8]) -> String {
    let path = folder.path().join("bad");
    std::fs::write(&path, bytes).expect("written");
    let replayed = Replay::open::<String>(&path).and_then(|(_, mut replay)| {
        while replay.step::<String>()?.is_some() {}
        Ok(())
    });
    replayed.expect_err("refused").to_string()
}

#[test]
fn what_is_no_capture_is_refused_with_the_reason() {
    let folder = folder();
    let (path, _) = captured(&folder);
    assert!(Replay::is_capture(&path).expect("readable"));
    let whole = std::fs::read(&path).expect("it is there");
    let refused = |bytes: &[u8]| refused(&folder, bytes);
    assert!(refused(b"").ends_with("it is too short"));
    assert!(refused(b"ELF or something else").ends_with("it does not begin like one"));
    let bad = folder.path().join("bad");
    assert!(!Replay::is_capture(&bad).expect("readable"));
    let mut newer = whole.clone();
    newer[8] = 9;
    assert!(refused(&newer).ends_with("its version is 9, and 2 is known"));
    let zstd = |content: &[u8]| zstd::encode_all(content, 1).expect("compressed");
    let long = [&u32::MAX.to_le_bytes()[..], b"S"].concat();
    assert!(refused(&file_with(&zstd(&long))).ends_with("an entry is too long"));
    assert!(refused(&file_with(&zstd(&[0; 4]))).ends_with("it ends in the middle"));
    assert!(refused(&file_with(&zstd(b"\x01\0\0\0?"))).ends_with("of no known kind"));
    assert!(refused(&file_with(&zstd(b"\x02\0\0\0Sx"))).ends_with("makes no sense"));
    let half = zstd(&[7; 1000]);
    assert!(refused(&file_with(&half[..half.len() - 6])).contains("its compression is broken"));
}

#[test]
fn a_capture_cut_anywhere_is_cut_short() {
    let folder = folder();
    let (path, _) = captured(&folder);
    let whole = std::fs::read(&path).expect("it is there");
    for length in (16..whole.len()).step_by(5).chain([whole.len() - 1]) {
        let why = refused(&folder, &whole[..length]);
        assert!(why.contains("it is cut short"), "at {length}: {why}");
    }
}

#[test]
fn answers_without_end_are_stopped() {
    let folder = folder();
    let answer = postcard::to_stdvec(&super::Answer::ThreadName(Tid(1), None)).expect("encoded");
    let entry = [
        &(answer.len() as u32 + 1).to_le_bytes()[..],
        b"A",
        &answer[..],
    ]
    .concat();
    let mut packed = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    for _ in 0..=4 << 20 {
        packed.write_all(&entry).expect("packed");
    }
    let packed = packed.finish().expect("packed");
    assert!(packed.len() < 1 << 20);
    assert!(refused(&folder, &file_with(&packed)).ends_with("more than fits into memory"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_content_makes_a_replay_panic(content in prop::collection::vec((prop::bool::ANY, 0u8..10, prop::collection::vec(any::<u8>(), 0..80)), 0..30)) {
        let folder = folder();
        let path = folder.path().join("bad");
        let mut stream = Vec::new();
        for (step, variant, rest) in content {
            let entry = [&[if step { b'S' } else { b'A' }, variant], &rest[..]].concat();
            stream.extend((entry.len() as u32).to_le_bytes());
            stream.extend(entry);
        }
        let stream = zstd::encode_all(&stream[..], 1).expect("compressed");
        std::fs::write(&path, file_with(&stream)).expect("written");
        if let Ok((_, mut replay)) = Replay::open::<String>(&path) {
            let process = replay.process();
            look(&*process);
            while let Ok(Some(_)) = replay.step::<Vec<u8>>() {
                look(&*process);
            }
        }
    }

    #[test]
    fn no_flipped_byte_makes_a_replay_panic(at in any::<prop::sample::Index>(), to: u8) {
        let folder = folder();
        let (path, _) = captured(&folder);
        let mut bytes = std::fs::read(&path).expect("it is there");
        let at = at.index(bytes.len());
        bytes[at] = to;
        std::fs::write(&path, bytes).expect("written");
        if let Ok((_, mut replay)) = Replay::open::<String>(&path) {
            while let Ok(Some(_)) = replay.step::<String>() {
                look(&*replay.process());
            }
        }
    }
}
