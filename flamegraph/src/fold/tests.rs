//! Tests of folding.

use super::groups::GROUPS;
use super::*;
use crate::profile::{KindClass, State, ThreadRole, WeightKey};
use crate::sample::{self, waits};
use proptest::prelude::*;

const GROUPINGS: [Grouping; 4] = [
    Grouping::None,
    Grouping::Thread,
    Grouping::Kind,
    Grouping::Task,
];
const BOTH: [RuntimeFrames; 2] = [RuntimeFrames::Folded, RuntimeFrames::Shown];

/// The tree as indented lines: name and total.
fn drawn(nodes: &[Node]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = vec![(0, 0)];
    while let Some((index, depth)) = pending.pop() {
        let node: &Node = &nodes[index];
        lines.push(format!(
            "{}{} {}",
            " ".repeat(depth),
            node.name,
            node.total_ns
        ));
        let children = (1..nodes.len())
            .rev()
            .filter(|&child| nodes[child].parent == index);
        pending.extend(children.map(|child| (child, depth + 1)));
    }
    lines
}

fn cpu(stacks: &[(&[&str], u64)]) -> Profile {
    let mut builder = sample::builder();
    let thread = builder.thread(1, "main", ThreadRole::Other);
    for (frames, ns) in stacks {
        let stack = sample::stack(&mut builder, frames);
        let key = WeightKey {
            thread: Some(thread),
            state: State::OnCpu,
            kind: None,
            task: None,
            stack,
        };
        builder.add_weight(key, 0, *ns, 1);
    }
    builder.finish(1)
}

fn folded(profile: &Profile) -> Vec<Node> {
    fold(profile, View::Cpu, Grouping::None, RuntimeFrames::Folded).unwrap()
}

#[test]
fn the_time_of_machinery_goes_to_the_function_that_called_it() {
    let profile = cpu(&[
        (&["async user a", "runtime std poll", "async user b"], 3),
        (&["async user a", "runtime std poll"], 4),
    ]);
    assert_eq!(drawn(&folded(&profile)), ["all 7", " a 7", "  b 3"]);
}

#[test]
fn an_executor_at_work_is_one_box() {
    let profile = cpu(&[
        (&["runtime library park", "kernel kernel epoll_wait"], 3),
        (&["runtime library park", "runtime library turn"], 4),
    ]);
    assert_eq!(
        drawn(&folded(&profile)),
        ["all 7", " [runtime] 7", "  epoll_wait 3"]
    );
}

#[test]
fn a_function_awaiting_at_two_lines_is_one_box_that_knows_both() {
    let profile = cpu(&[
        (&["async user a @ src/a.rs:10", "async user b"], 3),
        (&["async user a @ src/a.rs:20", "async user c"], 5),
        (&["async user a @ src/a.rs:20"], 1),
    ]);
    let nodes = folded(&profile);
    assert_eq!(drawn(&nodes), ["all 9", " a 9", "  b 3", "  c 5"]);
    let a = nodes.iter().find(|node| node.name == "a").unwrap();
    let lines: Vec<_> = a.lines.iter().map(|line| (line.line, line.ns)).collect();
    assert_eq!(lines, [(Some(20), 6), (Some(10), 3)]);
}

#[test]
fn a_function_that_calls_itself_is_a_box_for_every_call() {
    let profile = cpu(&[(&["sync user f", "sync user f", "sync user f"], 2)]);
    assert_eq!(
        drawn(&folded(&profile)),
        ["all 2", " f 2", "  f 2", "   f 2"]
    );
}

#[test]
fn what_waits_is_not_in_a_profile_without_snapshots() {
    let profile = sample::service();
    for view in [View::Wait, View::Wall] {
        let error = fold(&profile, view, Grouping::Kind, RuntimeFrames::Folded).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("this profile has no snapshots"), "{said}");
    }
}

#[test]
fn every_stalled_nanosecond_is_drawn() {
    let mut profile = sample::service();
    // One whose stacks account for half of it only.
    profile.stalls[0].stacks[0].1 /= 2;
    let stalled: u64 = profile.stalls.iter().map(|stall| stall.duration_ns).sum();
    for grouping in GROUPINGS {
        let nodes = fold(&profile, View::Stall, grouping, RuntimeFrames::Folded).unwrap();
        assert_eq!(nodes[0].total_ns, stalled);
    }
}

#[test]
fn a_thousand_tasks_are_drawn_as_the_heaviest_and_the_others() {
    let mut builder = sample::builder();
    let thread = builder.thread(1, "main", ThreadRole::Other);
    let kind = builder.kind("app::serve", KindClass::Async, Some(0));
    let stack = sample::stack(&mut builder, &["async user app::serve"]);
    for number in 0..1000_u64 {
        let task = builder.task(&number.to_string(), kind);
        let key = WeightKey {
            thread: Some(thread),
            state: State::OnCpu,
            kind: Some(kind),
            task,
            stack,
        };
        builder.add_weight(key, 0, 1 + number, 1);
    }
    let profile = builder.finish(1);
    let nodes = fold(&profile, View::Cpu, Grouping::Task, RuntimeFrames::Folded).unwrap();
    assert_eq!(nodes[0].total_ns, 500_500);
    let groups = nodes.iter().filter(|node| node.sort == Sort::Group);
    assert_eq!(groups.count(), GROUPS + 1);
    assert!(nodes.iter().any(|node| node.name == "task 999"));
    assert!(nodes.iter().all(|node| node.name != "task 0"));
}

const FRAMES: [&str; 8] = [
    "runtime std poll",
    "runtime library run_task",
    "async user a @ a.rs:1",
    "async user a @ a.rs:2",
    "async user b @ b.rs:1",
    "sync std alloc",
    "kernel kernel read",
    "sync user a @ a.rs:1",
];

proptest! {
    #[test]
    fn folding_preserves_totals(
        stacks in prop::collection::vec(
            (prop::collection::vec(0..FRAMES.len(), 1..9), 0..3_u32, 0..4_u32, 0..1_000_000_u64),
            1..60,
        )
    ) {
        let mut builder = sample::builder();
        let mut total = 0;
        for (frames, kind, task, ns) in &stacks {
            let frames: Vec<&str> = frames.iter().map(|&frame| FRAMES[frame]).collect();
            let stack = sample::stack(&mut builder, &frames);
            let thread = builder.thread(*task, "worker", ThreadRole::Other);
            let kind = (*kind > 0).then(|| {
                builder.kind(&format!("kind{kind}"), KindClass::Async, Some(0))
            });
            let task = kind.filter(|_| *task > 0).and_then(|kind| {
                builder.task(&task.to_string(), kind)
            });
            let key = WeightKey { thread: Some(thread), state: State::OnCpu, kind, task, stack };
            builder.add_weight(key, 0, *ns, 1);
            total += ns;
        }
        let profile = builder.finish(1);
        for (grouping, frames) in GROUPINGS.into_iter().flat_map(|g| BOTH.map(|f| (g, f))) {
            let nodes = fold(&profile, View::Cpu, grouping, frames).unwrap();
            prop_assert_eq!(nodes[0].total_ns, total);
            prop_assert_eq!(nodes.iter().map(|node| node.own_ns).sum::<u64>(), total);
            for (index, node) in nodes.iter().enumerate() {
                prop_assert!(index == 0 || node.parent < index);
                let of = |child: &&Node| child.parent == index;
                let below: u64 = nodes[1..].iter().filter(of).map(|child| child.total_ns).sum();
                prop_assert_eq!(node.total_ns, node.own_ns + below);
                let lines: u64 = node.lines.iter().map(|line| line.ns).sum();
                prop_assert!(lines == 0 || lines == node.total_ns);
            }
            if frames == RuntimeFrames::Folded {
                let machinery = nodes.iter().filter(|node| node.sort == Sort::Frame(FrameKind::Runtime));
                prop_assert!(machinery.into_iter().all(|node| node.name == "[runtime]"));
            }
        }
    }
}

/// What each sort of box has for its own.
fn by_sort(nodes: &[Node]) -> HashMap<Sort, u64> {
    let mut own: HashMap<Sort, u64> = HashMap::new();
    for node in nodes {
        *own.entry(node.sort).or_default() += node.own_ns;
    }
    own
}

fn waiting_ns(profile: &Profile, state: State) -> u64 {
    let of_state = profile.weights().filter(|weight| weight.key.state == state);
    of_state.map(|weight| weight.ns).sum()
}

#[test]
fn the_wait_view_shows_every_waiting_task_second_by_what_is_waited_for() {
    let profile = waits::service();
    let waited = waiting_ns(&profile, State::Waiting);
    for grouping in [Grouping::Kind, Grouping::None] {
        let nodes = fold(&profile, View::Wait, grouping, RuntimeFrames::Folded).unwrap();
        assert_eq!(nodes[0].total_ns, waited);
        let own = by_sort(&nodes);
        let waits = own
            .iter()
            .filter(|(sort, _)| matches!(sort, Sort::Waits(Some(_))));
        assert_eq!(waits.map(|(_, ns)| ns).sum::<u64>(), waited);
        // One task sleeps all the while.
        assert_eq!(own[&Sort::Waits(Some(WaitsOn::Timer))], 10_000_000_000);
    }
}

#[test]
fn the_wall_view_shows_each_part_of_a_life_in_a_box_of_its_sort() {
    let profile = waits::service();
    let nodes = fold(&profile, View::Wall, Grouping::Kind, RuntimeFrames::Folded).unwrap();
    let own = by_sort(&nodes);
    assert_eq!(own[&Sort::Ready], waiting_ns(&profile, State::Ready));
    assert_eq!(own[&Sort::Blocked], 4_000_000_000);
    assert_eq!(own[&Sort::OnCpu], 700_000_000, "what serve does by itself");
    let on_cpu = own[&Sort::OnCpu]
        + own[&Sort::Frame(FrameKind::Sync)]
        + own[&Sort::Frame(FrameKind::Kernel)];
    assert_eq!(on_cpu, waiting_ns(&profile, State::OnCpu));
    assert_eq!(own.get(&Sort::Frame(FrameKind::Async)), Some(&0));
    let ready = nodes.iter().find(|node| node.sort == Sort::Ready).unwrap();
    assert_eq!(nodes[ready.parent].name, "app::db::query");
}

#[test]
fn what_waiting_cannot_be_grouped_by_is_said() {
    let profile = waits::service();
    for grouping in [Grouping::Thread, Grouping::Task] {
        let error = fold(&profile, View::Wait, grouping, RuntimeFrames::Folded).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("group it by kind"), "{said}");
        fold(&profile, View::Wall, grouping, RuntimeFrames::Folded).unwrap();
    }
}
