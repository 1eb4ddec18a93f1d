//! What is wrong with how tasks wait. Silent when nothing is.
//!
//! Most waiting is as it should be: servers wait for peers, actors for messages, `main`
//! for its server. So a task that does not move is told only where that is odd: where
//! it waits for a lock, where nobody takes what it sends, or where its like move on.

use super::growth::{Growth, Populations};
use super::model::{CircleRow, Finding, FrameRow, LockRow, PlaceRow, Severity};
use crate::printable::{count, duration, number, percent, printable};
use crate::profile::{Profile, WaitEntry};
use awaitscope_symbolizer::snapshot::WaitsOn;
use awaitscope_symbolizer::{FrameKind, Origin};

/// A recording shorter than this, or with fewer snapshots, says nothing of who is stuck.
const LONG_ENOUGH_S: f64 = 3.0;
const SNAPSHOTS: u64 = 4;
/// Nobody is called stuck with fewer: a task can come back to just the same wait between
/// two.
const LOOKS: u64 = 20;
/// A queue that is worth telling: so many waiters on average,
const QUEUE: f64 = 1.0;
/// in this share of the snapshots.
const QUEUED: f64 = 0.5;
/// A queue that hurts.
const LONG_QUEUE: f64 = 10.0;
/// To call a task stuck, so many of its like must have moved on,
const MOVED_ON: u64 = 10;
/// most of them within this part of the recording.
const SOON: f64 = 0.1;
/// A population whose tasks mostly stay for good is a leak.
const FEW_LEAVE: f64 = 0.5;
/// Closures that wait for a thread of the blocking pool, on average.
const CLOSURES: f64 = 1.0;
/// Of each sort of trouble, so many are told: the rest has the same cause, or is less bad.
const MOST: usize = 5;

/// A wait with its number in the report.
pub(super) struct Told<'a> {
    pub(super) number: usize,
    pub(super) entry: &'a WaitEntry,
    pub(super) stack: &'a [FrameRow],
    pub(super) kind: Option<&'a str>,
}

/// What is known of waiting.
pub(super) struct Seen<'a> {
    pub(super) profile: &'a Profile,
    pub(super) waits: Vec<Told<'a>>,
    pub(super) locks: &'a [LockRow],
    pub(super) circles: &'a [CircleRow],
    pub(super) duration_s: f64,
}

/// What is wrong, in the order of how bad it is.
pub(super) fn trouble(seen: &Seen<'_>) -> Vec<Finding> {
    let mut findings = circles(seen.circles);
    let lasted = seen.duration_s >= LONG_ENOUGH_S && seen.profile.quality.snapshots >= SNAPSHOTS;
    if !lasted {
        return findings;
    }
    findings.extend(locks(seen));
    findings.extend(first(
        seen.waits.iter().filter_map(|wait| stuck(seen, wait)),
    ));
    let populations = Populations::of(seen.profile);
    findings.extend(first(seen.waits.iter().filter_map(|wait| {
        let growth = populations.growth(wait.entry.kind, wait.entry.stack)?;
        Some(grows(wait, growth))
    })));
    findings.extend(blocking_pool(seen.profile));
    findings
}

fn first(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = findings.collect();
    findings.sort_by_key(|finding| finding.severity);
    findings.truncate(MOST);
    findings
}

fn circles(circles: &[CircleRow]) -> Vec<Finding> {
    let told = circles.iter().enumerate().take(MOST);
    told.map(|(index, circle)| Finding {
        severity: Severity::High,
        text: circle_text(circle),
        evidence: format!("circles[{index}]"),
    })
    .collect()
}

fn circle_text(circle: &CircleRow) -> String {
    let seconds = duration((circle.seen_for_s * 1e9) as u64);
    let mut text = match circle.tasks.len() {
        1 => format!("deadlock: a task waited for itself, for {seconds} and to the end:"),
        more => {
            format!("deadlock: {more} tasks waited for each other, for {seconds} and to the end:")
        }
    };
    for (index, task) in circle.tasks.iter().take(4).enumerate() {
        let id = task
            .id
            .as_deref()
            .map_or_else(String::new, |id| format!(" {id}"));
        let next = match (circle.tasks.len(), index + 1 == circle.tasks.len()) {
            (1, _) => "it",
            (_, true) => "the first",
            _ => "the next",
        };
        let what = match task.for_lock {
            true => format!("a lock that {next} holds"),
            false => format!("{next} to end"),
        };
        text.push_str(&format!(
            "{} task{id} ({}) in {} for {what}",
            if index == 0 { "" } else { "," },
            printable(task.kind.as_deref().unwrap_or("of unknown kind")),
            place(&task.stack)
        ));
    }
    if circle.tasks.len() > 4 {
        text.push_str(&format!(", and {} more", circle.tasks.len() - 4));
    }
    if circle.behind > 0 {
        text.push_str(&format!("; {} more wait behind them", circle.behind));
    }
    text
}

fn locks(seen: &Seen<'_>) -> Vec<Finding> {
    let told = seen.locks.iter().enumerate().filter(|(_, lock)| {
        is_queue(lock) && !is_signal(&lock.waited_at) && !is_in_circle(seen, lock)
    });
    first(told.map(|(index, lock)| Finding {
        severity: lock_severity(lock),
        text: lock_text(lock),
        evidence: format!("locks[{index}]"),
    }))
}

/// Whether somebody waits for it most of the time.
fn is_queue(lock: &LockRow) -> bool {
    lock.waiters_mean >= QUEUE && lock.waited_share >= QUEUED
}

/// Whether nobody waits for it but a task of a circle, which is told already.
fn is_in_circle(seen: &Seen<'_>, lock: &LockRow) -> bool {
    let links = || seen.circles.iter().flat_map(|circle| &circle.tasks);
    let told = |at: &PlaceRow| links().any(|link| link.kind == at.kind && link.stack == at.stack);
    lock.waiters_max <= 1 && lock.waited_at.iter().all(told)
}

/// Whether what is waited for is a signal: it has no holder, and to wait for one is no
/// trouble.
fn is_signal(waited_at: &[PlaceRow]) -> bool {
    let first = waited_at.first().and_then(|place| place.waits_on.as_ref());
    first.is_some_and(|on| on.type_name.contains("otif"))
}

fn lock_severity(lock: &LockRow) -> Severity {
    let holder = lock.held_at.first().and_then(|held| held.waits_on.as_ref());
    // One receives for all: the others need not hurry.
    if holder.is_some_and(|on| on.what == WaitsOn::Channel) {
        return Severity::Low;
    }
    match lock.waiters_mean >= LONG_QUEUE || lock.holder_unmoved {
        true => Severity::High,
        false => Severity::Medium,
    }
}

fn lock_text(lock: &LockRow) -> String {
    let waiter = lock.waited_at.first();
    let (at, what) = waiter.map_or_else(
        || ("a place not known".to_owned(), "a lock"),
        |waiter| (place(&waiter.stack), thing(&waiter.stack)),
    );
    let mut text = match lock.waiters_max {
        1 => format!(
            "a task waits for {what} in {} of the snapshots, in {at}",
            percent(lock.waited_share)
        ),
        most => format!(
            "{} tasks queue for {what} on average ({} at most), in {at}",
            number(lock.waiters_mean),
            count(u64::from(most))
        ),
    };
    match lock.held_at.first() {
        Some(held) => {
            let on = match held.waits_on.as_ref().map(|on| on.what) {
                Some(WaitsOn::Timer) => " for a timer",
                Some(WaitsOn::Socket) => " for a socket",
                Some(WaitsOn::Lock) => " for another lock",
                Some(WaitsOn::Channel) => " for a channel",
                Some(WaitsOn::Task) => " for another task",
                Some(WaitsOn::Io) => " for input or output",
                Some(WaitsOn::Other) | None => "",
            };
            let holder = printable(held.kind.as_deref().unwrap_or("a task")).into_owned();
            let at = place(&held.stack);
            text.push_str(&format!("; {holder} holds it while it waits{on} in {at}"));
            if lock.holder_unmoved {
                text.push_str(", and was not seen to move in the whole recording");
            }
        }
        None => text.push_str("; no task that waits was seen to hold it"),
    }
    text
}

/// What sort of lock it is, by the functions that wait for it.
fn thing(stack: &[FrameRow]) -> &'static str {
    let is = |word: &str| {
        stack
            .iter()
            .rev()
            .take(3)
            .any(|frame| frame.function.contains(word))
    };
    if is("Mutex") || is("mutex::") {
        "a mutex"
    } else if is("RwLock") || is("rwlock::") {
        "a read-write lock"
    } else if is("Semaphore<") || is("semaphore::Semaphore") {
        "permits of a semaphore"
    } else {
        "a lock"
    }
}

/// A task that never moved, where that is odd.
fn stuck(seen: &Seen<'_>, wait: &Told<'_>) -> Option<Finding> {
    let entry = wait.entry;
    let (unmoved, named) = seen.unmoved(entry);
    if unmoved == 0 || seen.profile.quality.snapshots < LOOKS {
        return None;
    }
    // Its own name: what a receiver is made for can be anything.
    let type_name = entry.type_name.as_deref().unwrap_or("");
    let type_name = type_name.split('<').next().unwrap_or("");
    let (severity, why) = match entry.what? {
        // Told with the lock, or with its circle.
        WaitsOn::Lock if is_told(seen, wait) || type_name.contains("otif") => return None,
        WaitsOn::Lock => (Severity::High, format!("for {}", thing(wait.stack))),
        WaitsOn::Channel if type_name.contains("emaphore") => (
            Severity::Medium,
            "to send into a full channel, whose receiver is slow or stuck".to_owned(),
        ),
        WaitsOn::Channel if type_name.contains("oneshot") && others_moved_on(seen, entry) => (
            Severity::Medium,
            "for an answer that others got soon".to_owned(),
        ),
        WaitsOn::Task if others_moved_on(seen, entry) => (
            Severity::Medium,
            "for a task that does not end, as those of others did soon".to_owned(),
        ),
        _ => return None,
    };
    let (tasks, were) = match unmoved {
        1 => ("1 task".to_owned(), "was"),
        more => (format!("{} tasks", count(u64::from(more))), "were"),
    };
    let kind = printable(wait.kind.unwrap_or("a kind not known"));
    let mut text = format!(
        "{tasks} of {kind} {were} seen waiting in {} {why}, in {}",
        match seen.profile.recordings.len() {
            0 => format!(
                "each of {} snapshots",
                count(seen.profile.quality.snapshots)
            ),
            _ => "every snapshot of their recording".to_owned(),
        },
        place(wait.stack)
    );
    if !named.is_empty() {
        let ids = named[..named.len().min(3)].join(", ");
        text.push_str(&format!(" (task {})", printable(&ids)));
    }
    Some(Finding {
        severity,
        text,
        evidence: format!("waits[{}]", wait.number),
    })
}

impl Seen<'_> {
    /// How many tasks did not move, without those that are known to have run, and some
    /// of their names.
    fn unmoved<'e>(&self, entry: &'e WaitEntry) -> (u32, Vec<&'e str>) {
        let ran = |id: &&String| self.profile.tasks.iter().any(|task| task.id == **id);
        let (ran, named): (Vec<&String>, Vec<&String>) =
            entry.unmoved_tasks.iter().partition(|id| ran(id));
        if named.is_empty() && !ran.is_empty() {
            return (0, Vec::new());
        }
        let ran = u32::try_from(ran.len()).unwrap_or(u32::MAX);
        let named = named.into_iter().map(String::as_str);
        (entry.unmoved.saturating_sub(ran), named.collect())
    }
}

/// Whether a circle or the queue of a lock tells of this await point already.
fn is_told(seen: &Seen<'_>, wait: &Told<'_>) -> bool {
    let in_circle = seen.circles.iter().flat_map(|circle| &circle.tasks);
    let at_lock = seen.locks.iter().filter(|lock| is_queue(lock));
    let at_lock = at_lock
        .flat_map(|lock| &lock.waited_at)
        .map(|place| (&place.kind, &place.stack));
    in_circle
        .map(|link| (&link.kind, &link.stack))
        .chain(at_lock)
        .any(|(kind, stack)| kind.as_deref() == wait.kind && **stack == *wait.stack)
}

/// Whether most tasks that came here left soon.
fn others_moved_on(seen: &Seen<'_>, entry: &WaitEntry) -> bool {
    let soon = seen.duration_s * 1e9 * SOON;
    let whole = || entry.stays.iter().map(|stay| u64::from(stay.whole));
    let left_soon = entry
        .stays
        .iter()
        .filter(|stay| (stay.length().0 as f64) < soon);
    let left_soon: u64 = left_soon.map(|stay| u64::from(stay.whole)).sum();
    left_soon >= MOVED_ON && left_soon * 10 >= whole().sum::<u64>() * 9
}

fn grows(wait: &Told<'_>, growth: Growth) -> Finding {
    let stayed = wait.entry.stayed();
    let left = stayed.map_or(0.0, |stayed| {
        (stayed.count - stayed.cut) as f64 / stayed.count.max(1) as f64
    });
    let kind = printable(wait.kind.unwrap_or("a kind not known"));
    let mut text = format!(
        "tasks of {kind} become more and more in {}: from {} to {}, {} more each second",
        place(wait.stack),
        number(growth.from),
        number(growth.to),
        number(growth.per_second)
    );
    let severity = match left < FEW_LEAVE {
        true => {
            text.push_str(&format!(
                "; only {} of those that came have left: this looks like a leak",
                percent(left)
            ));
            Severity::High
        }
        false => {
            text.push_str("; they leave, but not as fast as others come");
            Severity::Medium
        }
    };
    Finding {
        severity,
        text,
        evidence: format!("waits[{}]", wait.number),
    }
}

fn blocking_pool(profile: &Profile) -> Option<Finding> {
    let queue = profile
        .series
        .iter()
        .find(|series| series.name == "blocking_queue")?;
    let all = queue.points.iter().fold((0.0, 0), |(sum, count), point| {
        (sum + point.sum, count + point.count)
    });
    let mean = all.0 / all.1.max(1) as f64;
    (mean >= CLOSURES).then(|| Finding {
        severity: Severity::Medium,
        text: format!(
            "{} closures on average wait for a thread of the blocking pool: all its threads are \
             taken; see what they do, or raise max_blocking_threads",
            number(mean)
        ),
        evidence: "series.blocking_queue".to_owned(),
    })
}

/// The user's own function that waits, with its place in the source.
pub(super) fn place(stack: &[FrameRow]) -> String {
    let is_own = |frame: &&FrameRow| frame.origin == Origin::User && frame.kind != FrameKind::Leaf;
    let is_async = |frame: &&FrameRow| frame.kind == FrameKind::Async;
    let frame = stack.iter().rev().find(is_own);
    let frame = frame.or_else(|| stack.iter().rev().find(is_async));
    let Some(frame) = frame.or(stack.last()) else {
        return "a place not known".to_owned();
    };
    let function = printable(&frame.function);
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{function} at {}:{line}", printable(file)),
        (Some(file), None) => format!("{function} at {}", printable(file)),
        (None, _) => function.into_owned(),
    }
}
