use super::sample::{Service, deadline, service, target};
use super::*;
use crate::report::{Color, WIDTH};
use proptest::prelude::*;
use serde_json::Value;

fn page(list: &TaskList) -> String {
    list.to_text(&target(), &TaskText::default())
}

fn json(list: &TaskList) -> Value {
    serde_json::from_str(&list.to_json(&target(), None)).expect("it is JSON")
}

#[test]
fn people_see_the_largest_kind_and_what_its_tasks_have_in_common() {
    let page = page(&service().list());
    let expected = "\
app (pid 4711)  31 tasks: 30 suspended, 1 running
tokio 1.54.1 multi_thread, 4 workers, 3 queued at workers
read in 12.0 ms while the process ran; 2 that moved while they were read; 1 whose await point could
not be told

28  app::handler
  ├─ 23  app::handler  src/main.rs:13
  │      ├─ 20  app::db::query  src/main.rs:20
  │      │      sqlx::fetch  src/main.rs:400
  │      │      → socket: descriptor 7  tokio::io::Readiness
  │      └─  3  app::db::pool  src/main.rs:31
  │             → lock: 0xabc0 ×3 held by task 30 (app::writer)  …io::sync::batch_semaphore::Acquire
  └─  5  app::handler  src/main.rs:15
         → timer: 210 ms to 250 ms left  tokio::time::sleep::Sleep

1  app::writer
  app::writer  src/main.rs:40
  2 at once:
  ╠═ app::flush  src/main.rs:50
  ║  → io  tokio::fs::File
  ╚═ app::tick  src/main.rs:60
     → timer: 5.00 ms left  tokio::time::interval::Tick

1  app::main
  app::main  src/main.rs:70
  → task: 30 (app::writer)  tokio::task::JoinHandle

1  app::busy
  running
";
    assert_eq!(page, expected, "{page}");
}

#[test]
fn programs_get_what_the_contract_promises() {
    let all = json(&service().list());
    assert_eq!(all["schema"], 1);
    assert_eq!(all["target"]["pid"], 4711);
    assert_eq!(all["runtimes"][0]["flavor"], "multi_thread");
    assert_eq!(all["counts"]["live"], 31);
    assert_eq!(
        (&all["counts"]["torn"], &all["counts"]["unresolved"]),
        (&2.into(), &1.into())
    );
    let task = |id: &str| {
        let tasks = all["tasks"].as_array().expect("a list").iter();
        tasks
            .clone()
            .find(|task| task["id"] == id)
            .expect("it is there")
    };
    let handler = task("26");
    assert_eq!(
        (&handler["kind"], &handler["state"]),
        (&"app::handler".into(), &"suspended".into())
    );
    let stack = handler["stack"].as_array().expect("a list");
    assert_eq!(stack.len(), 4);
    assert_eq!(stack[1]["function"], "app::db::pool");
    assert_eq!(
        (&stack[1]["line"], &stack[1]["kind"]),
        (&31.into(), &"async".into())
    );
    assert_eq!(
        (&stack[2]["kind"], &stack[3]["kind"]),
        (&"runtime".into(), &"leaf".into())
    );
    assert_eq!(handler["waits_on"]["what"], "lock");
    assert_eq!(
        handler["waits_on"]["type"],
        "tokio::sync::batch_semaphore::Acquire"
    );
    assert_eq!(handler["waits_on"]["held_by"][0], "30");
    let writer = task("30");
    assert_eq!(writer["awaited_by"][0], "31");
    assert_eq!(writer["branches"][0]["stack"][1]["function"], "app::tick");
    assert_eq!(writer["branches"][0]["waits_on"]["remaining_ms"], 5.0);
    assert_eq!(task("31")["waits_on"]["task"]["id"], "30");
    let busy = task("32");
    assert_eq!(
        (&busy["state"], &busy["waits_on"]),
        (&"running".into(), &Value::Null)
    );
    assert_eq!(busy["stack"], Value::Array(Vec::new()));
}

#[test]
fn a_task_without_a_number_is_known_by_its_address() {
    let mut service = service();
    service.snapshot.tasks[0].id = None;
    assert_eq!(json(&service.list())["tasks"][0]["id"], "0x1000");
}

#[test]
fn only_the_kinds_that_are_asked_for() {
    let list = service().list();
    let how = TaskText {
        kind: Some(KindPattern::new("writer")),
        ..TaskText::default()
    };
    let page = list.to_text(&target(), &how);
    assert!(
        page.contains("app::tick") && !page.contains("app::handler"),
        "{page}"
    );
    let all = list.to_json(&target(), how.kind.as_ref());
    let all: Value = serde_json::from_str(&all).expect("it is JSON");
    assert_eq!(all["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(all["tasks"][0]["awaited_by"][0], "31");
    assert_eq!(
        (&all["counts"]["live"], &all["counts"]["listed"]),
        (&31.into(), &1.into())
    );
}

#[test]
fn each_task_by_itself_when_all_are_asked_for() {
    let how = TaskText {
        listing: Listing::Each,
        ..TaskText::default()
    };
    let page = service().list().to_text(&target(), &how);
    for id in (1..=28).chain(30..=32) {
        assert_eq!(
            page.matches(&format!("\ntask {id} ")).count(),
            1,
            "{id}: {page}"
        );
    }
    assert!(
        page.contains("210 ms left") && page.contains("220 ms left"),
        "{page}"
    );
}

#[test]
fn a_short_list_says_as_much_as_a_long_one() {
    let mut service = service();
    let rare = service.point(&["app::rare@1"], WaitsOn::Other, "app::Rare");
    service.task(99, "app::rare", &[(rare, Detail::Unknown)]);
    let long = service.list();
    let short = long.clone().bounded(8, 100);
    assert_eq!(
        (short.tasks.len(), short.live(), short.omitted()),
        (8, 32, 24)
    );
    assert!(short.validate().is_ok());
    let (long, page) = (page(&long), page(&short));
    for said in [
        "28  app::handler",
        "20  app::db::query",
        "app::rare",
        "32 tasks: 31 suspended",
    ] {
        assert!(page.contains(said) && long.contains(said), "{said}: {page}");
    }
    assert!(page.contains("24 tasks are counted and not kept"), "{page}");
}

#[test]
fn a_task_of_many_waits_does_not_break_the_bounds() {
    let mut service = Service::new();
    let point = service.point(&["app::crowd@1"], WaitsOn::Timer, "Sleep");
    let many: Vec<_> = (0..1000).map(|wait| (point, deadline(wait))).collect();
    service.task(1, "app::crowd", &many);
    service.task(2, "app::crowd", &many[..1]);
    let list = service.list();
    let page = page(&list);
    assert!(page.contains("0 to 999 ms left"), "{page}");
    let short = list.bounded(10, 500);
    assert_eq!((short.tasks.len(), short.live()), (1, 2));
}

#[test]
fn a_list_comes_back_from_a_file_as_it_was_and_a_damaged_one_is_refused() {
    let mut profile = crate::sample::service();
    profile.last_tasks = Some(service().list());
    let mut file = Vec::new();
    profile.write(&mut file).expect("written");
    let again = crate::Profile::read(&*file).expect("read");
    assert_eq!(again, profile);
    let damage: [fn(&mut TaskList); 4] = [
        |list| list.tasks[0].kind = 99,
        |list| list.tasks[0].waits[0].point = 99,
        |list| list.points[0].stack[0] = 99,
        |list| {
            list.omitted.push(Omitted {
                kind: 0,
                state: TaskState::Ready,
                count: 1,
                like: Some(99),
            });
        },
    ];
    for damage in damage {
        let mut bad = profile.clone();
        damage(bad.last_tasks.as_mut().expect("a list"));
        let mut file = Vec::new();
        bad.write(&mut file).expect("written");
        let error = crate::Profile::read(&*file).expect_err("refused");
        assert!(
            error.to_string().contains("of a task is 99")
                || error.to_string().contains("task is 99"),
            "{error}"
        );
    }
}

#[test]
fn a_hundred_thousand_tasks_are_shown_at_once() {
    let mut service = Service::new();
    let mut points = Vec::new();
    for kind in 0..50_u64 {
        let name = format!("app::kind_{kind}@7");
        for line in 0..20 {
            let inner = format!("app::inner@{line}");
            let stack = ["app::root@1", &name, "lib::a@1", "lib::b@1", &inner];
            points.push((kind, service.point(&stack, WaitsOn::Timer, "Sleep")));
        }
    }
    for id in 0..100_000_u64 {
        let (kind, point) = points[(id * 7 % 1000) as usize];
        service.task(id, &format!("app::kind_{kind}"), &[(point, deadline(id))]);
    }
    let begin = std::time::Instant::now();
    let list = service.list();
    let text = page(&list);
    let took = begin.elapsed();
    assert!(text.contains("100,000 tasks"), "{text}");
    assert!(text.lines().count() < 2000);
    eprintln!("100,000 tasks as text: {took:?}");
    assert!(took.as_millis() < 2000, "{took:?}");
}

fn detail() -> impl Strategy<Value = Detail> {
    prop_oneof![
        Just(Detail::Unknown),
        any::<u64>().prop_map(|end| Detail::Deadline(awaitscope_sampler::Nanos(end))),
        any::<i32>().prop_map(Detail::Descriptor),
        any::<u64>().prop_map(Detail::Registered),
        (0..12_u64).prop_map(|task| Detail::Task(task * 0x1000)),
        (0..4_u64).prop_map(Detail::Object),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_line_is_too_long_and_no_name_drives_the_terminal(
        tasks in prop::collection::vec((0..12_u64, ".{0,40}", prop::collection::vec((
            prop::collection::vec("(app|exec|lib)::[a-c\u{1b}\u{202e}\r\n]{1,90}@[0-9]{1,9}", 0..9),
            ".{0,120}", detail()), 0..6), prop::collection::vec(0..4_u64, 0..3)), 0..12),
        most in 0..12_usize,
    ) {
        let mut service = Service::new();
        for (id, kind, waits, holds) in &tasks {
            let waits: Vec<_> = waits.iter().map(|(stack, leaf, detail)| {
                let stack: Vec<&str> = stack.iter().map(String::as_str).collect();
                (service.point(&stack, WaitsOn::Lock, leaf), *detail)
            }).collect();
            service.task(*id, kind, &waits).holds = holds.clone().into();
        }
        let list = service.list().bounded(most, 4 * most);
        prop_assert!(list.validate().is_ok());
        prop_assert_eq!(list.live(), tasks.len() as u64);
        prop_assert_eq!(&json(&list)["counts"]["live"], tasks.len());
        for listing in [Listing::Grouped, Listing::Each] {
            let how = TaskText { color: Color::Never, listing, kind: None };
            for line in list.to_text(&target(), &how).lines() {
                prop_assert!(line.chars().count() <= WIDTH, "{}", line);
                prop_assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{:?}", line);
            }
            let how = TaskText { color: Color::Always, listing, kind: None };
            let colored = list.to_text(&target(), &how);
            prop_assert!(colored.contains("\x1b[1m"));
        }
    }
}
