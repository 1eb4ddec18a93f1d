//! A process to look at: started, stopped and killed by the tests that own it.
//!
//! Stopping it with ptrace is for tests alone: they want one moment, seen by two
//! unwinders. The profiler never stops anybody.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod oracle;

use awaitscope_sampler::{
    Avma, Mapped, Mapping, Permissions, Pid, ReadMemory, ReadRequest, Register, Registers,
    StackCopy,
};
use awaitscope_symbolizer::{AddressSpace, Binaries, DebugFiles};
use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid as NixPid;
use std::io::IoSliceMut;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Target {
    child: Child,
}

/// A thread at one moment.
#[derive(Debug)]
pub struct Moment {
    pub registers: Registers,
    pub stack: StackCopy,
}

impl Target {
    pub fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        Self { child }
    }

    pub fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    pub fn threads(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        tasks
            .filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok())
            .collect()
    }

    pub fn wait_for_threads(&self, count: usize) {
        for _ in 0..1000 {
            if self.threads().len() >= count {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the program did not start its {count} threads");
    }

    pub fn memory(&self) -> Memory {
        Memory(self.pid())
    }

    pub fn mappings(&self) -> Vec<Mapping> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid()));
        maps.expect("it runs").lines().map(mapping).collect()
    }

    pub fn space(&self) -> AddressSpace {
        self.space_with(DebugFiles::none())
    }

    pub fn space_with(&self, debug_files: Arc<DebugFiles>) -> AddressSpace {
        let mut space = AddressSpace::new(Binaries::OfProcess(self.pid()), debug_files);
        space.update(&self.mappings(), &self.memory());
        space
    }

    /// Stops a thread, looks at it, and lets it go on.
    pub fn moment(&self, tid: u32, stack: usize) -> Option<Moment> {
        let tid = NixPid::from_raw(tid as i32);
        ptrace::seize(tid, ptrace::Options::empty()).ok()?;
        ptrace::interrupt(tid).ok()?;
        waitpid(tid, Some(WaitPidFlag::__WALL)).ok()?;
        let registers = registers(&ptrace::getregs(tid).ok()?);
        let start = registers.sp();
        let mut bytes = vec![0; stack];
        let read = process_vm_readv(
            NixPid::from_raw(self.child.id() as i32),
            &mut [IoSliceMut::new(&mut bytes)],
            &pages(start, stack),
        );
        bytes.truncate(read.unwrap_or(0));
        ptrace::detach(tid, None).ok()?;
        Some(Moment {
            registers,
            stack: StackCopy { start, bytes },
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
    }
}

/// A read over several pages gives those before the first unreadable one only when
/// they are asked for one by one.
fn pages(start: Avma, size: usize) -> Vec<RemoteIoVec> {
    let mut at = start.0 as usize;
    let end = at + size;
    let mut pages = Vec::new();
    while at < end {
        let next = ((at + 4096) & !4095).min(end);
        pages.push(RemoteIoVec {
            base: at,
            len: next - at,
        });
        at = next;
    }
    pages
}

fn registers(user: &libc::user_regs_struct) -> Registers {
    let by_dwarf_number = [
        user.rax, user.rdx, user.rcx, user.rbx, user.rsi, user.rdi, user.rbp, user.rsp, user.r8,
        user.r9, user.r10, user.r11, user.r12, user.r13, user.r14, user.r15, user.rip,
    ];
    let mut registers = Registers::from_ip_sp(Avma(user.rip), Avma(user.rsp));
    for (number, value) in by_dwarf_number.into_iter().enumerate() {
        registers.set(Register(number as u16), value);
    }
    registers
}

/// The memory of a target.
#[derive(Debug, Clone, Copy)]
pub struct Memory(Pid);

impl ReadMemory for Memory {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let remote = RemoteIoVec {
                base: request.address.0 as usize,
                len: request.into.len(),
            };
            let wanted = request.into.len();
            let pid = NixPid::from_raw(self.0.0 as i32);
            let read = process_vm_readv(pid, &mut [IoSliceMut::new(request.into)], &[remote]);
            request.done = read == Ok(wanted);
        }
    }
}

/// A line of `/proc/PID/maps` (proc_pid_maps(5)).
fn mapping(line: &str) -> Mapping {
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        field
    };
    let hex = |text| u64::from_str_radix(text, 16).expect("maps are well-formed");
    let (start, end) = field().split_once('-').expect("maps are well-formed");
    let permissions = field().as_bytes().to_vec();
    let file_offset = hex(field());
    let (major, minor) = field().split_once(':').expect("maps are well-formed");
    let device = libc::makedev(hex(major) as u32, hex(minor) as u32);
    let inode: u64 = field().parse().expect("maps are well-formed");
    let name = rest.trim_start();
    let what = if inode == 0 {
        Mapped::Anonymous {
            name: (!name.is_empty()).then(|| name.to_owned()),
        }
    } else {
        Mapped::File {
            path: PathBuf::from(name.strip_suffix(" (deleted)").unwrap_or(name)),
            device,
            inode,
            deleted: name.ends_with(" (deleted)"),
        }
    };
    Mapping {
        start: Avma(hex(start)),
        end: Avma(hex(end)),
        file_offset,
        permissions: Permissions {
            read: permissions[0] == b'r',
            write: permissions[1] == b'w',
            execute: permissions[2] == b'x',
        },
        what,
    }
}

/// Builds a program of `tests/programs` into `folder`.
pub fn build(compiler: &str, source: &str, arguments: &[&str], folder: &Path) -> PathBuf {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let program = folder.join(source.replace('.', "-"));
    run(Command::new(compiler)
        .arg(programs.join(source))
        .args(arguments)
        .arg("-o")
        .arg(&program));
    program
}

/// Runs a tool that must succeed.
pub fn run(command: &mut Command) {
    let output = command.output().expect("the tool is installed");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
