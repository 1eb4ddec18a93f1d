//! How much memory a recording takes. In a process of its own, because it
//! measures all of it.

use awaitscope_flamegraph::{
    KindClass, Profile, ProfileBuilder, RecordingOptions, StackId, State, Target, ThreadRole,
    WeightKey,
};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};

const SECONDS: u64 = 3600;
const RATE: u64 = 99;
const THREADS: u32 = 8;

/// The most memory this process ever had, in megabytes (`proc_pid_status(5)`).
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() / 1024
}

fn stack(builder: &mut ProfileBuilder, number: u64) -> StackId {
    (0..20)
        .fold(None, |parent, depth| {
            let frame = builder.frame(&Frame {
                function: format!("app::function{}", number % (depth * 50 + 1)).into(),
                file: Some("src/main.rs".into()),
                line: Some(depth as u32),
                kind: FrameKind::Async,
                origin: Origin::User,
            });
            Some(builder.stack(parent, frame))
        })
        .unwrap()
}

#[test]
fn an_hour_of_eight_busy_threads_stays_below_200_megabytes() {
    let before = most_memory();
    let options = RecordingOptions::default();
    let mut builder = ProfileBuilder::new(Target::default(), options, 0);
    let stacks: Vec<StackId> = (0..5000)
        .map(|number| stack(&mut builder, number))
        .collect();
    let kind = builder.kind("app::serve", KindClass::Async, Some(0));
    let worker = ThreadRole::Worker { runtime: 0 };
    let threads: Vec<_> = (0..THREADS)
        .map(|tid| builder.thread(tid, "worker", worker))
        .collect();
    // Hardly any two samples are alike: the worst case.
    let mut chance = 1_u64;
    for tick in 0..SECONDS * RATE {
        for &thread in &threads {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let drawn = chance >> 33;
            let key = WeightKey {
                thread: Some(thread),
                state: State::OnCpu,
                kind: Some(kind),
                task: builder.task(&(drawn % 40_000).to_string(), kind),
                stack: stacks[(drawn % 5000) as usize],
            };
            builder.add_weight(key, tick * 1_000_000_000 / RATE, 10_101_010, 1);
        }
    }
    let profile = builder.finish(SECONDS * 1_000_000_000);
    let mut file = tempfile::tempfile().unwrap();
    profile.write(&mut file).unwrap();
    let taken = most_memory() - before;
    println!(
        "{taken} MB, {} bytes on disk",
        file.metadata().unwrap().len()
    );
    assert!(taken < 200, "{taken} MB");

    assert!(
        profile
            .quality
            .notes
            .iter()
            .any(|note| note.contains("20000 more")),
        "{:?}",
        profile.quality.notes
    );
    std::io::Seek::rewind(&mut file).unwrap();
    assert_eq!(
        Profile::read(file).unwrap(),
        profile,
        "what is written is also read"
    );
}
