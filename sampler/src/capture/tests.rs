use super::{CaptureHeader, Recording, Replay};
use crate::arch::Registers;
use crate::error::Error;
use crate::event::{Event, Sample, StackCopy, SwitchReason};
use crate::ids::{Avma, Nanos, Pid, Tid};
use crate::live::Facts;
use crate::process::{
    BlockedThread, Mapped, Mapping, Permissions, Process, ReadMemory, ReadRequest,
};
use crate::source::{Abilities, SampleSource};
use proptest::prelude::*;
use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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
}

/// A source with two events a drain.
struct Ticks(u64);

impl SampleSource for Ticks {
    fn drain(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        let time = self.0 * 100;
        self.0 += 1;
        let registers = Registers::from_ip_sp(Avma(time), Avma(8));
        let (pid, tid) = (Pid(77), Tid(78));
        sink(Event::Sample(Sample {
            pid,
            tid,
            time: Nanos(time),
            period: Nanos(10),
            registers,
            stack: StackCopy {
                start: Avma(8),
                bytes: vec![time as u8; 300],
            },
            kernel_chain: vec![u64::MAX],
        }));
        let reason = SwitchReason::Preempted;
        sink(Event::SwitchOut {
            tid,
            time: Nanos(time + 1),
            reason,
            registers: Some(registers),
        });
        Ok(Nanos(time + 50))
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            kernel: true,
            switch_registers: false,
        }
    }
}

fn header() -> CaptureHeader {
    CaptureHeader {
        facts: Facts {
            pid: Pid(77),
            exe: Some("/app".into()),
            command_line: vec!["app".into(), "--fast".into()],
            name: "app".into(),
            owner: 0,
            kernel_thread: false,
        },
        abilities: Ticks(0).abilities(),
        begin: Nanos(5),
        period: Nanos(10),
        note: "a note".into(),
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
        "{done:?} {small:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        large.last(),
        process.mappings().ok(),
        process.threads().map_err(|error| error.to_string()),
        process.thread_name(Tid(3)),
        process.thread_name(Tid(300)),
        process.blocked_in(Tid(3)),
        process.own_number(Tid(3)),
    )
}

type Rounds = Vec<(Vec<Event>, Nanos, String)>;

fn rounds(source: &mut impl SampleSource, process: &impl Process) -> Rounds {
    (0..3)
        .map(|_| {
            let mut events = Vec::new();
            let horizon = source
                .drain(&mut |event| events.push(event))
                .expect("drained");
            (events, horizon, look(process) + &look(process))
        })
        .collect()
}

fn captured(folder: &TempDir) -> (PathBuf, Rounds) {
    let path = folder.path().join("case.capture");
    let recording = Recording::create(&path, &header()).expect("begun");
    let process = recording.process(Made {
        asked: Cell::new(0),
    });
    let rounds = rounds(&mut recording.source(Ticks(1)), &process);
    assert!(!path.exists());
    recording.finish().expect("finished");
    (path, rounds)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_replay_gives_the_same_events_and_answers() {
    let folder = folder();
    let (path, live) = captured(&folder);
    let mut replay = Replay::open(&path).expect("opened");
    assert_eq!(replay.header, header());
    assert_eq!(replay.source.abilities(), Ticks(0).abilities());
    assert_eq!(rounds(&mut replay.source, &replay.process), live);
    assert!(!replay.source.is_over());
    let horizon = replay
        .source
        .finish(&mut |event| panic!("{event:?}"))
        .expect("drained");
    assert_eq!((horizon, replay.source.is_over()), (live[2].1, true));
}

#[test]
fn what_was_not_asked_is_not_known() {
    let folder = folder();
    let (path, _) = captured(&folder);
    let process = Replay::open(&path).expect("opened").process;
    assert_eq!(process.thread_name(Tid(4)), None);
    assert_eq!(process.read_word(Avma(0x5000)), None);
    (0..6).for_each(|_| assert!(process.mappings().is_ok()));
    assert!(matches!(process.mappings(), Err(Error::NotCaptured(_))));
}

#[test]
fn memory_that_was_read_as_part_of_more_is_known() {
    let folder = folder();
    let (path, _) = captured(&folder);
    let process = Replay::open(&path).expect("opened").process;
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
    drop(Recording::create(&folder.path().join("other"), &header()).expect("begun"));
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_capture_that_cannot_be_written_says_so() {
    let error = Recording::create(Path::new("/nowhere/at/all"), &header()).expect_err("refused");
    assert_eq!(error.to_string(), "cannot use the capture /nowhere/at/all");
    assert_eq!(error.errno(), Some(2));
}

#[test]
fn what_is_no_capture_is_refused_with_the_reason() {
    let folder = folder();
    let (path, _) = captured(&folder);
    let whole = std::fs::read(&path).expect("it is there");
    let refused = |bytes: &[u8]| {
        let path = folder.path().join("bad");
        std::fs::write(&path, bytes).expect("written");
        Replay::open(&path).expect_err("refused").to_string()
    };
    assert!(refused(b"").ends_with("it is too short"));
    assert!(refused(b"ELF or something else").ends_with("it does not begin like one"));
    let mut newer = whole.clone();
    newer[8] = 9;
    assert!(refused(&newer).ends_with("its version is 9, and 1 is known"));
    assert!(refused(&whole[..whole.len() - 20]).contains("is not a capture"));
    assert!(refused(&whole[..12]).contains("is not a capture"));
    let empty = [
        &whole[..12],
        &zstd::encode_all(&b""[..], 1).expect("compressed"),
    ]
    .concat();
    assert!(refused(&empty).ends_with("it does not say what it is of"));
    let mut long = whole[..12].to_vec();
    long.extend(zstd::encode_all(&u32::MAX.to_le_bytes()[..], 1).expect("compressed"));
    assert!(refused(&long).ends_with("an entry is too long"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_content_makes_a_replay_panic(content in prop::collection::vec((0u8..12, prop::collection::vec(any::<u8>(), 0..80)), 0..30)) {
        let folder = folder();
        let path = folder.path().join("bad");
        let mut stream = Vec::new();
        let mut put = |bytes: &[u8]| {
            stream.extend((bytes.len() as u32).to_le_bytes());
            stream.extend(bytes);
        };
        put(&postcard::to_stdvec(&super::Entry::Header(header())).expect("encoded"));
        for (variant, rest) in content {
            put(&[&[variant], &rest[..]].concat());
        }
        let mut bytes = super::MAGIC.to_vec();
        bytes.extend(super::VERSION.to_le_bytes());
        bytes.extend(zstd::encode_all(&stream[..], 1).expect("compressed"));
        std::fs::write(&path, bytes).expect("written");
        if let Ok(mut replay) = Replay::open(&path) {
            let _ = replay.source.drain(&mut |_| {});
            look(&replay.process);
        }
    }
}
