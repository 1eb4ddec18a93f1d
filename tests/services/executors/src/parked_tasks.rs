//! Tasks that stay where they are.

use async_executor::{Executor, LocalExecutor};
use futures_lite::FutureExt as _;
use futures_util::future::join;
use smol::channel::{Receiver, bounded};
use smol::lock::{Mutex, MutexGuardArc};
use smol::net::{TcpListener, TcpStream};
use smol::{Task, Timer};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use truth::parked::{Class, State, held_by, joins, root, task_at};

/// Later than any of us will see.
const FAR: Duration = Duration::from_secs(7200);

pub fn start() {
    start_global();
    start_own();
    start_local();
}

/// A handle is a pointer to the task.
fn knows<T>(name: &'static str, task: Task<T>) {
    task_at(name, Class::Async, State::Suspended, address(&task));
    task.detach();
}

fn address<T>(task: &Task<T>) -> u64 {
    assert_eq!(size_of::<Task<T>>(), size_of::<usize>());
    // SAFETY: a `Task` is a pointer and nothing else (async-task 4.7, `task.rs`), and its size
    // was just looked at.
    unsafe { std::mem::transmute_copy::<Task<T>, usize>(task) as u64 }
}

/// On the executor behind `smol::spawn`.
fn start_global() {
    knows("plain", smol::spawn(plain()));
    knows("boxed", smol::spawn(boxed(3)));
    knows("both", smol::spawn(both()));
    knows("either", smol::spawn(either()));
    let (sender, receiver) = bounded::<u64>(1);
    std::mem::forget(sender);
    knows("channel", smol::spawn(receives(receiver)));
    let mutex = Arc::new(Mutex::new(1_u64));
    let guard = mutex.try_lock_arc().expect("nobody has it");
    knows("holds_mutex", smol::spawn(holds_mutex(guard)));
    knows("mutex", smol::spawn(locks(mutex)));
    held_by("mutex", "holds_mutex");
    let awaited = smol::spawn(awaited());
    task_at("awaited", Class::Async, State::Suspended, address(&awaited));
    knows("awaits_task", smol::spawn(awaits_task(awaited)));
    joins("awaits_task", "awaited");
    let listener = smol::block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
    let address = listener.local_addr().expect("an address");
    truth::parked::local("accepts", address);
    let near = smol::block_on(TcpStream::connect(address)).expect("a connection");
    let (far, _) = smol::block_on(listener.accept()).expect("a connection");
    truth::parked::local("reads", near.local_addr().expect("an address"));
    truth::parked::peer("reads", address);
    std::mem::forget(far);
    knows("reads", smol::spawn(reads(near)));
    knows("accepts", smol::spawn(accepts(listener)));
}

async fn plain() {
    middle().await; //~ await plain 0 executors::parked_tasks::plain
}

async fn middle() -> u64 {
    leaf().await + 1 //~ await plain 1 executors::parked_tasks::middle
}

async fn leaf() -> u64 {
    Timer::after(FAR).await; //~ await plain 2 executors::parked_tasks::leaf | timer
    1
}

fn boxed(depth: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(deeper(depth))
}

async fn deeper(depth: u64) -> u64 {
    if depth == 0 {
        Timer::after(FAR).await; //~ await boxed 3 executors::parked_tasks::deeper | timer
        return 0;
    }
    boxed(depth - 1).await + 1 //~ await boxed 0*3 executors::parked_tasks::deeper
}

async fn both() {
    join(first(), second()).await; //~ await both.first,both.second 0 executors::parked_tasks::both
}

async fn first() {
    Timer::after(FAR).await; //~ await both.first 1 executors::parked_tasks::first | timer
}

async fn second() {
    Timer::after(FAR).await; //~ await both.second 1 executors::parked_tasks::second | timer
}

async fn either() {
    one().or(other()).await; //~ await either.one,either.other 0 executors::parked_tasks::either
}

async fn one() {
    Timer::after(FAR).await; //~ await either.one 1 executors::parked_tasks::one | timer
}

async fn other() {
    Timer::after(FAR).await; //~ await either.other 1 executors::parked_tasks::other | timer
}

async fn receives(receiver: Receiver<u64>) {
    let _ = receiver.recv().await; //~ await channel 0 executors::parked_tasks::receives | channel
}

async fn holds_mutex(mut guard: MutexGuardArc<u64>) {
    Timer::after(FAR).await; //~ await holds_mutex 0 executors::parked_tasks::holds_mutex | timer
    *guard += 1;
}

async fn locks(mutex: Arc<Mutex<u64>>) {
    let mut guard = mutex.lock().await; //~ await mutex 0 executors::parked_tasks::locks | lock
    *guard += 2;
}

async fn awaited() -> u64 {
    Timer::after(FAR).await; //~ await awaited 0 executors::parked_tasks::awaited | timer
    5
}

async fn awaits_task(task: Task<u64>) -> u64 {
    task.await //~ await awaits_task 0 executors::parked_tasks::awaits_task | task
}

async fn reads(mut stream: TcpStream) {
    let mut byte = [0];
    let _ = smol::io::AsyncReadExt::read_exact(&mut stream, &mut byte).await; //~ await reads 0 executors::parked_tasks::reads | socket
}

async fn accepts(listener: TcpListener) {
    let _ = listener.accept().await; //~ await accepts 0 executors::parked_tasks::accepts | socket
}

/// On an executor of the program's own, run by two threads.
fn start_own() {
    static OWN: OnceLock<Arc<Executor<'static>>> = OnceLock::new();
    let own = OWN.get_or_init(Arc::default);
    for number in 0..2 {
        thread::Builder::new()
            .name(format!("own-{number}"))
            .spawn(|| smol::block_on(own.run(pending::<()>())))
            .expect("a thread");
    }
    knows("on_own", own.spawn(on_own()));
}

async fn on_own() {
    Timer::after(FAR).await; //~ await on_own 0 executors::parked_tasks::on_own | timer
}

/// On a `LocalExecutor`, which its thread has on its stack.
fn start_local() {
    root("root");
    thread::Builder::new()
        .name("local".into())
        .spawn(|| {
            let local = LocalExecutor::new();
            knows("on_local", local.spawn(on_local()));
            smol::block_on(local.run(the_root()))
        })
        .expect("a thread");
}

async fn on_local() {
    let local = std::rc::Rc::new(1);
    Timer::after(FAR).await; //~ await on_local 0 executors::parked_tasks::on_local | timer
    drop(local);
}

async fn the_root() {
    Timer::after(FAR).await; //~ await root 0 executors::parked_tasks::the_root | timer
}
