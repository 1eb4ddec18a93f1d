//! The program that the tests watch. It knows what it did and says so on its standard
//! output. Compiled by the tests with plain `rustc`, so it has no dependencies.

use std::arch::asm;
use std::io::{self, Write};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

mod c {
    #[repr(C)]
    pub struct Timespec {
        pub seconds: i64,
        pub nanoseconds: i64,
    }

    unsafe extern "C" {
        pub fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
        pub fn gettid() -> i32;
        pub fn epoll_create1(flags: i32) -> i32;
        pub fn epoll_wait(fd: i32, events: *mut u8, count: i32, timeout: i32) -> i32;
        pub fn fork() -> i32;
        pub fn syscall(number: i64, argument: i64) -> i64;
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments[index].parse::<u64>().unwrap();
    match arguments[0].as_str() {
        "burn" => threads(number(1), |_| burn_forever()),
        "nap" => nap(number(1), number(2)),
        "late" => late(),
        "churn" => churn(number(1)),
        "epoll" => epoll(),
        "where" => tell_where(number(1)),
        "exec" => exec(&arguments[1..]),
        "exec-from-thread" => exec_from_thread(&arguments[1..]),
        "burn-for" => burn(Duration::from_millis(number(1))),
        "children" => children(),
        "zombie" => zombie(),
        "headless" => headless(),
        "switch" => switch_forever(),
        "count" => count_forever(),
        other => panic!("what is {other}?"),
    }
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

/// CLOCK_MONOTONIC
fn now() -> u64 {
    clock(1)
}

/// CLOCK_THREAD_CPUTIME_ID
fn cpu_time() -> u64 {
    clock(3)
}

fn clock(id: i32) -> u64 {
    let mut time = c::Timespec {
        seconds: 0,
        nanoseconds: 0,
    };
    unsafe { c::clock_gettime(id, &mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

fn threads(count: u64, body: fn(u64)) {
    for n in 0..count {
        thread::spawn(move || body(n));
    }
    say("ready");
    thread::sleep(Duration::from_secs(600));
}

/// Works for so much time of the CPU, however long that takes.
fn burn(time: Duration) {
    let end = cpu_time() + time.as_nanos() as u64;
    let mut x = 1_u64;
    while cpu_time() < end {
        for _ in 0..1000 {
            x = std::hint::black_box(x.wrapping_mul(6364136223846793005).wrapping_add(1));
        }
    }
}

fn burn_forever() {
    burn(Duration::from_secs(600));
}

/// Sleeps `count` times and says when each sleep was asked for and over.
fn nap(millis: u64, count: u64) {
    say("ready");
    thread::sleep(Duration::from_millis(300));
    for _ in 0..count {
        let start = now();
        thread::sleep(Duration::from_millis(millis));
        let end = now();
        say(&format!("{start} {end}"));
        burn(Duration::from_micros(500));
    }
    say("done");
    thread::sleep(Duration::from_secs(600));
}

/// Starts a thread that names itself and works, half a second from now.
fn late() {
    say("ready");
    thread::sleep(Duration::from_millis(500));
    thread::Builder::new()
        .name("latecomer".into())
        .spawn(|| {
            say(&unsafe { c::gettid() }.to_string());
            burn(Duration::from_millis(300));
        })
        .unwrap()
        .join()
        .unwrap();
    thread::sleep(Duration::from_secs(600));
}

/// Starts threads as fast as it can, half of them from threads just started. Each then
/// naps without end, so that its switches can be counted.
fn churn(count: u64) {
    say("ready");
    for _ in 0..count / 2 {
        thread::spawn(|| {
            thread::spawn(nap_forever);
            nap_forever();
        });
    }
    say("all");
    thread::sleep(Duration::from_secs(600));
}

fn nap_forever() {
    loop {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for nothing, in the system call that is not taken up again after a stop.
fn epoll() {
    for _ in 0..4 {
        thread::spawn(burn_and_nap);
    }
    let fd = unsafe { c::epoll_create1(0) };
    let mut events = [0_u8; 64];
    say("ready");
    let end = Instant::now() + Duration::from_secs(600);
    while Instant::now() < end {
        let result = unsafe { c::epoll_wait(fd, events.as_mut_ptr(), 1, 600_000) };
        if result < 0 {
            say(&format!("epoll_wait: {}", io::Error::last_os_error()));
        }
    }
}

/// Counts in a variable on its stack, and says where that is.
fn count_forever() {
    let mut count = 0_u64;
    let place = &raw mut count;
    say(&format!("{}", place as u64));
    loop {
        unsafe { place.write_volatile(place.read_volatile() + 1) };
    }
}

fn burn_and_nap() {
    loop {
        burn(Duration::from_micros(200));
        thread::sleep(Duration::from_millis(5));
    }
}

/// Says of each thread where its thread-local data are, then sleeps.
fn tell_where(count: u64) {
    let tell = || {
        let base: u64;
        unsafe { asm!("mov {}, fs:0", out(reg) base) };
        say(&format!("{} {base}", unsafe { c::gettid() }));
    };
    for _ in 0..count {
        thread::spawn(move || {
            tell();
            thread::sleep(Duration::from_secs(600));
        });
    }
    tell();
    thread::sleep(Duration::from_secs(600));
}

fn exec(command: &[String]) {
    use std::os::unix::process::CommandExt;
    say("ready");
    thread::sleep(Duration::from_millis(300));
    panic!("{}", Command::new(&command[0]).args(&command[1..]).exec());
}

fn exec_from_thread(command: &[String]) {
    let command = command.to_vec();
    thread::spawn(move || exec(&command));
    thread::sleep(Duration::from_secs(600));
}

/// Starts child processes that work for a while.
fn children() {
    say("ready");
    thread::sleep(Duration::from_millis(300));
    for _ in 0..2 {
        let pid = unsafe { c::fork() };
        if pid == 0 {
            burn(Duration::from_millis(300));
            std::process::exit(0);
        }
        say(&pid.to_string());
    }
    thread::sleep(Duration::from_secs(600));
}

/// Has a child that has ended, and does not take note.
fn zombie() {
    let pid = unsafe { c::fork() };
    if pid == 0 {
        std::process::exit(0);
    }
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    while !stat().contains(") Z ") {
        thread::sleep(Duration::from_millis(1));
    }
    say(&pid.to_string());
    thread::sleep(Duration::from_secs(600));
}

/// Its first thread ends; another goes on.
fn headless() {
    thread::spawn(|| {
        thread::sleep(Duration::from_millis(100));
        say("ready");
        burn_forever();
    });
    // exit(2), which ends this thread only.
    unsafe { c::syscall(60, 0) };
}

/// Two threads that wake each other as fast as they can.
fn switch_forever() {
    use std::sync::mpsc::sync_channel;
    let (there, ball) = sync_channel(0);
    let (back, again) = sync_channel(0);
    thread::spawn(move || {
        while let Ok(n) = ball.recv() {
            let _: Result<(), _> = back.send(n);
        }
    });
    say("ready");
    while there.send(()).is_ok() && again.recv().is_ok() {}
}
