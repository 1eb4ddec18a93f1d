//! Walks the futures of a small program that was compiled for it.

use super::{Ground, Job, Knowledge, Known, Shapes, Walked, Walker};
use crate::debugfile::DebugFiles;
use crate::frame::Origin;
use crate::module::{AddressSpace, Binaries, ModuleId};
use crate::names::SourceFile;
use crate::snapshot::{AwaitTable, WaitsOn};
use crate::types::{TypeId, Types};
use awaitscope_sampler::{LiveProcess, Pid, Process, ReadMemory, ReadRequest};
use proptest::prelude::*;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Futures that were polled once, and where they stand.
const PROGRAM: &str = r#"
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub struct Never(u64);
impl Future for Never {
    type Output = u64;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u64> {
        if std::hint::black_box(self.0) == 0 { Poll::Ready(0) } else { Poll::Pending }
    }
}
pub struct Both<A, B> { left: A, right: B }
impl<A: Future, B: Future> Future for Both<A, B> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = unsafe { self.get_unchecked_mut() };
        let left = unsafe { Pin::new_unchecked(&mut me.left) }.poll(cx).is_ready();
        let right = unsafe { Pin::new_unchecked(&mut me.right) }.poll(cx).is_ready();
        if left && right { Poll::Ready(()) } else { Poll::Pending }
    }
}
pub struct Each(Vec<Option<Pin<Box<dyn Future<Output = u64>>>>>);
impl Future for Each {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for future in self.0.iter_mut().flatten() { let _ = future.as_mut().poll(cx); }
        Poll::Pending
    }
}
pub async fn leaf(n: u64) -> u64 { let held = [n; 4]; let out = Never(n).await; out + held[1] }
pub async fn chain(n: u64) -> u64 { leaf(n).await + 1 }
pub async fn generic<T: Copy>(value: T) -> T { leaf(3).await; value }
pub fn boxed(n: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move { if n == 0 { leaf(1).await } else { boxed(n - 1).await } })
}
pub async fn native(n: u64) -> u64 {
    if n == 0 { leaf(1).await } else { Box::pin(native(n - 1)).await }
}
pub async fn both() { Both { left: chain(1), right: leaf(2) }.await }
pub async fn each() { Each(vec![Some(Box::pin(leaf(1))), None, Some(boxed(1))]).await }
pub async fn borrowed() -> u64 {
    let mut future = std::pin::pin!(chain(1));
    let out = future.as_mut().await;
    out
}
pub async fn root() { both().await; each().await; }

fn show<F: Future + 'static>(name: &str, future: F) {
    let future = Box::leak(Box::new(future));
    let mut pinned = unsafe { Pin::new_unchecked(&mut *future) };
    assert!(pinned.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    println!("{name} {} {}", std::any::type_name::<F>().len(), future as *mut F as usize);
}

fn main() {
    show("chain", chain(1));
    show("generic", generic(7u32));
    show("native", native(2));
    show("both", both());
    show("each", each());
    show("borrowed", borrowed());
    show("root", root());
    println!("ready");
    let _ = std::io::stdin().read_line(&mut String::new());
}
"#;

struct Nothing;

impl Knowledge for Nothing {
    fn leaf(&self, _: &str) -> Option<Known> {
        None
    }

    fn classify(&self, _: &str, _: Option<&str>) -> WaitsOn {
        WaitsOn::Other
    }

    fn guard(&self, _: &str) -> Option<(&'static str, &'static str)> {
        None
    }

    fn is_glue(&self, _: &SourceFile) -> bool {
        false
    }

    fn only_works(&self, _: &str) -> bool {
        false
    }
}

/// The program, running.
struct Program {
    child: Child,
    process: LiveProcess,
    space: AddressSpace,
    module: ModuleId,
    places: Vec<(String, u64)>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn compiled() -> &'static PathBuf {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let folder =
            std::env::temp_dir().join(format!("awaitscope-futures-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let (source, program) = (folder.join("walked.rs"), folder.join("walked"));
        std::fs::write(&source, PROGRAM).expect("the source is written");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let built = Command::new(rustc)
            .args(["--edition=2024", "-O", "-Cdebuginfo=2", "-o"])
            .args([&program, &source])
            .status();
        assert!(built.expect("rustc runs").success());
        program
    })
}

impl Program {
    fn start() -> Self {
        let mut child = Command::new(compiled())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let lines = out.lines().map(|line| line.expect("a line"));
        let places = lines
            .take_while(|line| line != "ready")
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                (words[0].to_owned(), words[2].parse().expect("an address"))
            })
            .collect();
        let process = LiveProcess::open(Pid(child.id())).expect("it runs");
        let mut space = AddressSpace::new(Binaries::OfProcess(Pid(child.id())), DebugFiles::none());
        space.update(&process.mappings().expect("its mappings"), &process);
        let (module, _) = space.modules().next().expect("the program");
        Self {
            child,
            process,
            space,
            module,
            places,
        }
    }

    fn shapes(&self) -> Shapes {
        let module = self.space.module(self.module).expect("the program");
        let types = Types::of_module(module, Origin::User, None).expect("it has types");
        Shapes::new(types, Box::new(Nothing))
    }

    /// The future of an async function, to be walked.
    fn job(&self, shapes: &mut Shapes, name: &str) -> Job {
        let id: TypeId = ["", "<u32>"]
            .iter()
            .find_map(|arguments| {
                let path = format!("walked::{name}::{{async_fn_env#0}}{arguments}");
                shapes.types().find(&path)
            })
            .expect("its type");
        let (_, address) = self.places.iter().find(|(own, _)| own == name).expect(name);
        Job {
            address: *address,
            size: shapes.types().size(id).expect("its size"),
            offset: 0,
            shape: shapes.of(id),
        }
    }

    fn ground<'a>(&'a self, memory: &'a dyn ReadMemory) -> Ground<'a> {
        Ground {
            space: &self.space,
            module: self.module,
            memory,
        }
    }

    /// The branches of a future: its functions with their lines, and what it waits on.
    fn branches(&self, name: &str) -> Vec<String> {
        let mut shapes = self.shapes();
        let job = self.job(&mut shapes, name);
        let mut table = AwaitTable::default();
        let walked = Walker::default().walk(
            &[job],
            &self.ground(&self.process),
            &mut shapes,
            &mut table,
            &|_, _| Some(0),
        );
        let Some(Walked::Tree(tree, 0)) = walked.first() else {
            panic!("{name}: {walked:?}");
        };
        assert!(!tree.unresolved);
        tree.waits
            .iter()
            .map(|wait| {
                let point = &table.points()[wait.point.0 as usize];
                let frames = table.frames_of(point.stack);
                let names = frames.iter().map(|frame| {
                    let frame = &table.frames()[*frame as usize];
                    frame.function.replace("walked::", "")
                });
                names.collect::<Vec<_>>().join(" ")
            })
            .collect()
    }
}

#[test]
fn async_functions_are_followed_down_to_what_waits() {
    let program = Program::start();
    assert_eq!(program.branches("chain"), ["chain leaf Never"]);
    assert_eq!(program.branches("generic"), ["generic leaf Never"]);
    assert_eq!(program.branches("borrowed"), ["borrowed chain leaf Never"]);
}

#[test]
fn recursion_goes_on_through_boxes() {
    let program = Program::start();
    assert_eq!(
        program.branches("native"),
        ["native native native leaf Never"]
    );
}

#[test]
fn a_future_that_polls_several_is_a_tree() {
    let program = Program::start();
    let both = ["both chain leaf Never", "both leaf Never"];
    assert_eq!(program.branches("both"), both);
    let each = [
        "each leaf Never",
        "each boxed::{async block#0} boxed::{async block#0} leaf Never",
    ];
    assert_eq!(program.branches("each"), each);
    assert_eq!(
        program.branches("root"),
        both.map(|branch| format!("root {branch}"))
    );
}

#[test]
fn lines_are_those_of_the_awaits() {
    let program = Program::start();
    let mut shapes = program.shapes();
    let job = program.job(&mut shapes, "chain");
    let mut table = AwaitTable::default();
    let ground = program.ground(&program.process);
    let _ = Walker::default().walk(&[job], &ground, &mut shapes, &mut table, &|_, _| Some(0));
    let line_of = |text: &str| {
        let found = PROGRAM.lines().position(|line| line.contains(text));
        found.map(|line| line as u32 + 1)
    };
    let frames = table.frames();
    assert_eq!(frames[0].line, line_of("leaf(n).await + 1"));
    assert_eq!(frames[1].line, line_of("Never(n).await"));
}

/// A process that changes under our eyes: some bytes are others each time.
struct Moving<'a> {
    process: &'a LiveProcess,
    seed: std::cell::Cell<u64>,
    one_in: u64,
}

impl Moving<'_> {
    fn next(&self) -> u64 {
        // xorshift64: any sequence does.
        let mut x = self.seed.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed.set(x);
        x
    }
}

impl ReadMemory for Moving<'_> {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        self.process.read_many(requests);
        for request in requests {
            for byte in request.into.iter_mut() {
                if self.next().is_multiple_of(self.one_in) {
                    *byte = self.next() as u8;
                }
            }
            request.done |= self.next().is_multiple_of(self.one_in);
        }
    }
}

/// Memory in which every word is the address of the same place.
struct Loop(u64);

impl ReadMemory for Loop {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            for (index, byte) in request.into.iter_mut().enumerate() {
                let at = (request.address.0 as usize).wrapping_add(index) % 8;
                *byte = self.0.to_le_bytes()[at];
            }
            request.done = true;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn memory_that_changes_gives_a_tree_or_is_torn(seed in 1u64.., one_in in 2u64..400) {
        static PROGRAM: OnceLock<std::sync::Mutex<Program>> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| std::sync::Mutex::new(Program::start()));
        let program = program.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut shapes = program.shapes();
        let mut table = AwaitTable::default();
        let moving = Moving { process: &program.process, seed: std::cell::Cell::new(seed), one_in };
        let ground = program.ground(&moving);
        let names = ["chain", "native", "both", "each", "root"];
        let jobs = names.map(|name| program.job(&mut shapes, name));
        let walked =
            Walker::default().walk(&jobs, &ground, &mut shapes, &mut table, &|_, _| Some(0));
        prop_assert_eq!(walked.len(), jobs.len());
        let looping = Loop(jobs[4].address.wrapping_add(seed % 64));
        let ground = program.ground(&looping);
        let _ = Walker::default().walk(&jobs, &ground, &mut shapes, &mut table, &|_, _| Some(0));
    }
}
