use super::*;
use serde_json::{Value, json};

/// A truth with these tasks and crowds.
fn truth(waits: Value, crowds: Value) -> Truth {
    serde_json::from_value(json!({
        "service": "app", "pid": 1, "mark_ns": 0, "now_ns": 0, "process_cpu_ns": 0,
        "tasks_cpu_ns": 0, "outside_cpu_ns": 0, "kinds": [], "tasks": [], "long_polls": [],
        "planted": [], "frames": [], "waits": waits, "crowds": crowds, "ops": 0,
    }))
    .unwrap()
}

fn found(tasks: Value) -> Tasks {
    serde_json::from_value(json!({
        "schema": 1, "target": { "pid": 1, "exe": "/app", "build_id": "ab" }, "runtimes": [],
        "tasks": tasks, "counts": { "live": 1, "torn": 0, "unresolved": 0 },
    }))
    .unwrap()
}

fn expected(function: &str, line: u32) -> Value {
    json!({ "function": function, "file": "src/main.rs", "line": line, "times": 1,
            "line_free": false, "optional": false })
}

fn leaf(name: &str, what: &str, frames: Value) -> Value {
    json!({ "leaf": name, "least": 1, "most": 1, "what": [what], "frames": frames })
}

fn parked(id: u64, leaves: Value) -> Value {
    json!({ "name": format!("t{id}"), "id": id, "class": "async", "state": "suspended",
            "leaves": leaves })
}

fn frame(function: &str, line: u32) -> Value {
    json!({ "function": function, "file": "src/main.rs", "line": line, "kind": "async" })
}

fn sleeps() -> Value {
    json!({ "function": "tokio::time::sleep::Sleep", "file": null, "line": null, "kind": "leaf" })
}

fn task(id: u64, stack: Value, what: &str) -> Value {
    json!({ "id": id.to_string(), "runtime": 0, "kind": "app::root", "name": null,
            "state": "suspended", "stack": stack, "waits_on": { "what": what, "type": "T" },
            "awaited_by": [], "branches": [] })
}

/// One task below two functions.
fn simple_truth() -> Truth {
    let frames = json!([expected("app::root", 3), expected("app::inner", 7)]);
    truth(
        json!([parked(5, json!([leaf("t5", "timer", frames)]))]),
        json!([]),
    )
}

fn simple_task() -> Value {
    let lock = json!({ "function": "tokio::sync::Mutex<T>::lock", "file": "tokio-1.54.1/src/x.rs",
                       "line": 9, "kind": "async" });
    let stack = json!([
        frame("app::root", 3),
        lock,
        frame("app::inner::<u8>", 7),
        sleeps()
    ]);
    task(5, stack, "timer")
}

#[test]
fn a_tree_that_is_right_is_not_complained_of() {
    let found = found(json!([simple_task()]));
    assert_eq!(
        wait_mismatches(&simple_truth(), &found),
        Vec::<String>::new()
    );
}

#[test]
fn a_wrong_line_a_frame_too_much_and_a_wrong_wait_are_told() {
    let with = |pointer: &str, value: Value| {
        let mut task = simple_task();
        *task.pointer_mut(pointer).unwrap() = value;
        wait_mismatches(&simple_truth(), &found(json!([task])))
    };
    for (pointer, value) in [
        ("/stack/0/line", json!(4)),
        ("/stack/0/line", json!(null)),
        ("/stack/2/function", json!("app::other")),
        ("/stack/1/function", json!("app::extra")),
        ("/waits_on/what", json!("lock")),
        ("/waits_on", json!(null)),
        ("/stack", json!([])),
    ] {
        let wrong = with(pointer, value);
        assert!(
            wrong.len() == 2
                && wrong[0].contains("leaf too much")
                && wrong[1].contains("has 0 of 1"),
            "{pointer}: {wrong:?}"
        );
    }
    assert!(with("/kind", json!("app::other"))[0].contains("is of the kind"));
    assert!(with("/state", json!("ready"))[0].contains("is ready, not suspended"));
}

#[test]
fn a_task_that_is_missing_doubled_or_invented_is_told() {
    let wrong = wait_mismatches(&simple_truth(), &found(json!([])));
    assert_eq!(wrong, ["task 5 (t5) is missing"]);
    let twice = found(json!([simple_task(), simple_task()]));
    let wrong = wait_mismatches(&simple_truth(), &twice);
    assert_eq!(wrong, ["task 5 (t5) is there 2 times"]);
    let invented = found(json!([simple_task(), task(6, json!([sleeps()]), "timer")]));
    let wrong = wait_mismatches(&simple_truth(), &invented);
    assert!(wrong.len() == 1 && wrong[0].contains("task 6 of app::root (suspended) is not there"));
}

#[test]
fn branches_come_in_any_order_and_each_is_needed() {
    let stack = |function: &str, line| json!([expected("app::root", 3), expected(function, line)]);
    let leaves = json!([
        leaf("t5.left", "timer", stack("app::left", 7)),
        leaf("t5.right", "lock", stack("app::right", 9))
    ]);
    let truth = truth(json!([parked(5, leaves)]), json!([]));
    let mut task = task(
        5,
        json!([frame("app::root", 3), frame("app::right", 9)]),
        "lock",
    );
    let alone = wait_mismatches(&truth, &found(json!([task.clone()])));
    assert!(
        alone.len() == 1 && alone[0].contains("has 0 of 1 leaves t5.left"),
        "{alone:?}"
    );
    task["branches"] = json!([{
        "stack": [frame("app::root", 3), frame("app::left", 7)],
        "waits_on": { "what": "timer", "type": "T" }
    }]);
    assert_eq!(
        wait_mismatches(&truth, &found(json!([task]))),
        Vec::<String>::new()
    );
}

#[test]
fn a_line_in_a_macro_may_be_unknown_but_not_wrong() {
    let mut free = expected("app::root", 3);
    free["line_free"] = json!(true);
    let truth = truth(
        json!([parked(5, json!([leaf("t5", "timer", json!([free]))]))]),
        json!([]),
    );
    let told = |line: Value, file: &str| {
        let mut task = task(5, json!([frame("app::root", 3), sleeps()]), "timer");
        task["stack"][0]["line"] = line;
        task["stack"][0]["file"] = json!(file);
        wait_mismatches(&truth, &found(json!([task]))).len()
    };
    assert_eq!(told(json!(null), "src/main.rs"), 0);
    assert_eq!(told(json!(3), "src/main.rs"), 0);
    assert_eq!(told(json!(746), "tokio-1.54.1/src/macros/select.rs"), 0);
    assert_eq!(told(json!(4), "src/main.rs"), 2);
}

#[test]
fn recursion_must_have_its_depth() {
    let mut again = expected("app::root", 3);
    again["times"] = json!(3);
    let truth = truth(
        json!([parked(5, json!([leaf("t5", "timer", json!([again]))]))]),
        json!([]),
    );
    let told = |depth: usize| {
        let stack = vec![frame("app::root", 3); depth];
        wait_mismatches(&truth, &found(json!([task(5, json!(stack), "timer")]))).len()
    };
    assert_eq!((told(2), told(3), told(4)), (2, 0, 2));
}

#[test]
fn an_edge_is_needed_where_there_is_one_and_nowhere_else() {
    let mut joins = leaf("t5", "task", json!([expected("app::root", 3)]));
    joins["task"] = json!(6);
    let joined = leaf("t6", "timer", json!([expected("app::root", 4)]));
    let truth = truth(
        json!([parked(5, json!([joins])), parked(6, json!([joined]))]),
        json!([]),
    );
    let told = |by: Value, of_waiter: Value| {
        let mut waiter = task(5, json!([frame("app::root", 3)]), "task");
        waiter["awaited_by"] = of_waiter;
        let mut joined = task(6, json!([frame("app::root", 4)]), "timer");
        joined["awaited_by"] = by;
        wait_mismatches(&truth, &found(json!([waiter, joined])))
    };
    assert_eq!(told(json!(["5"]), json!([])), Vec::<String>::new());
    assert_eq!(
        told(json!([]), json!([])),
        ["task 6 is not told to be awaited by 5"]
    );
    let invented = told(json!(["5"]), json!(["6"]));
    assert_eq!(invented, ["task 5 is said to be awaited by 6, and is not"]);
}

#[test]
fn details_that_are_told_must_be_right() {
    let mut timer = leaf("t5", "timer", json!([expected("app::root", 3)]));
    timer["deadline_ns"] = json!(9_000_000_000_u64);
    let truth = truth(json!([parked(5, json!([timer]))]), json!([]));
    let told = |left_ms: f64| {
        let mut task = task(5, json!([frame("app::root", 3)]), "timer");
        task["waits_on"]["remaining_ms"] = json!(left_ms);
        wait_mismatches(&truth, &found(json!([task]))).len()
    };
    assert_eq!((told(9_000.5), told(8_000.0), told(99_000.0)), (0, 1, 1));
}

#[test]
fn who_is_said_to_hold_a_lock_must_hold_it() {
    let mut lock = leaf("t5", "lock", json!([expected("app::root", 3)]));
    lock["holder"] = json!(7);
    let truth = truth(json!([parked(5, json!([lock]))]), json!([]));
    let told = |holder: &str| {
        let mut task = task(5, json!([frame("app::root", 3)]), "lock");
        task["waits_on"]["held_by"] = json!([holder]);
        wait_mismatches(&truth, &found(json!([task]))).len()
    };
    assert_eq!((told("7"), told("8")), (0, 1));
}

/// Three that are parked, with the ids 10 to 12, and some that come and go.
fn crowded_truth() -> Truth {
    let crowd = |name: &str, parked: bool, ids: (u64, u64), function: &str| {
        json!({ "name": name, "parked": parked, "spawned": 3, "finished": 0,
                "first_id": ids.0, "last_id": ids.1,
                "leaves": [leaf(name, "timer", json!([expected(function, 3)]))] })
    };
    let crowds = json!([
        crowd("still", true, (10, 12), "app::root"),
        crowd("short", false, (13, 90), "app::short")
    ]);
    truth(json!([]), crowds)
}

#[test]
fn each_of_a_crowd_must_be_there_once_and_where_it_is() {
    let member = |id, line| task(id, json!([frame("app::root", line)]), "timer");
    let told = |tasks: Value| wait_mismatches(&crowded_truth(), &found(tasks));
    let all = json!([member(10, 3), member(11, 3), member(12, 3)]);
    assert_eq!(told(all), Vec::<String>::new());
    let missing = told(json!([member(10, 3), member(12, 3)]));
    assert_eq!(missing, ["1 of still are missing, the first is 11"]);
    let doubled = told(json!([
        member(10, 3),
        member(11, 3),
        member(12, 3),
        member(12, 3)
    ]));
    assert_eq!(doubled, ["task 12 is there several times"]);
    let astray = told(json!([member(10, 3), member(11, 4), member(12, 3)]));
    assert!(astray[0].contains("task 11 (still) has a leaf too much"));
}

#[test]
fn those_that_come_and_go_may_be_anywhere_they_can_be() {
    let told = |state: &str, stack: Value| {
        let mut tasks: Vec<Value> = (10..=12)
            .map(|id| task(id, json!([frame("app::root", 3)]), "timer"))
            .collect();
        let mut short = task(50, stack, "timer");
        short["kind"] = json!("app::short");
        short["state"] = json!(state);
        tasks.push(short);
        wait_mismatches(&crowded_truth(), &found(json!(tasks))).len()
    };
    assert_eq!(told("suspended", json!([frame("app::short", 3)])), 0);
    assert_eq!(told("suspended", json!([frame("app::short", 4)])), 2);
    assert_eq!(told("ready", json!([frame("app::short", 1)])), 0);
    assert_eq!(told("ready", json!([])), 0);
    assert_eq!(told("ready", json!([frame("app::other", 3)])), 1);
    assert_eq!(told("running", json!([frame("app::other", 3)])), 0);
}
