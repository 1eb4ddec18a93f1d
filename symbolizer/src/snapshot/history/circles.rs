//! Tasks that wait for each other in a circle.
//!
//! A task is *blocked* when everything that it waits on is a task or a lock that tasks
//! hold; one that also waits for a timer, or a peer, will go on. Of the blocked tasks,
//! those that wait for one that is not blocked are struck out, again and again: what
//! is left waits for itself. All this is read from a process that runs, so a circle
//! counts only when one snapshot after the other shows the very same.

use super::locks::LockNow;
use super::places::PlaceId;
use super::waiting::{Circle, Link};
use crate::runtime::TaskId;
use crate::snapshot::{AwaitTable, Detail, Snapshot, TaskSeen, TaskState, WaitsOn};
use awaitscope_sampler::Nanos;
use std::collections::{HashMap, HashSet};

/// The most edges that are looked at in one snapshot.
const MOST_EDGES: usize = 1 << 16;

/// The most circles that are followed.
const MOST: usize = 64;

/// The most tasks of a circle that are named.
const MOST_LINKS: usize = 32;

/// So many snapshots must show it,
const ENOUGH: u32 = 3;

/// and for so long.
const LONG_ENOUGH: Nanos = Nanos::from_millis(200);

/// What a blocked task waits on: never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Task(u64),
    Lock(u64),
}

/// A blocked task.
#[derive(Debug)]
pub(super) struct Blocked {
    /// Its place in the list of tasks.
    task: usize,
    edges: Vec<Edge>,
    /// Where it waits, for each of the edges.
    places: Vec<PlaceId>,
}

impl Blocked {
    /// Whether a task waits on tasks and locks only.
    pub fn of(
        index: usize,
        task: &TaskSeen,
        places: &[PlaceId],
        table: &AwaitTable,
    ) -> Option<Self> {
        if task.state != TaskState::Suspended || task.waits.is_empty() {
            return None;
        }
        let edge = |wait: &crate::snapshot::Wait| {
            let point = table.points().get(wait.point.0 as usize)?;
            match (point.what, wait.detail) {
                (WaitsOn::Lock, Detail::Object(lock)) => Some(Edge::Lock(lock)),
                (WaitsOn::Task, Detail::Task(task)) => Some(Edge::Task(task)),
                _ => None,
            }
        };
        // Most tasks fail at the first, before anything is allocated.
        edge(task.waits.first()?)?;
        let edges: Option<Vec<Edge>> = task.waits.iter().map(edge).collect();
        Some(Self {
            task: index,
            edges: edges?,
            places: places.to_vec(),
        })
    }
}

/// A circle as one snapshot shows it: the tasks with what they wait on.
type Shape = Vec<(u64, Option<TaskId>, Option<u64>)>;

/// Follows circles from snapshot to snapshot.
#[derive(Debug, Default)]
pub(super) struct Circles {
    followed: HashMap<Shape, Followed>,
    /// Snapshots that had more edges than are looked at.
    pub skipped: u32,
}

#[derive(Debug)]
struct Followed {
    links: Vec<Link>,
    behind: u32,
    first: Nanos,
    last: Nanos,
    snapshots: u32,
    /// How many snapshots in a row did not show it.
    missed: u32,
}

impl Circles {
    /// Looks for circles in a snapshot.
    pub fn add(&mut self, snapshot: &Snapshot, blocked: &[Blocked], locks: &HashMap<u64, LockNow>) {
        let now = match Graph::of(snapshot, blocked, locks) {
            Some(graph) => graph.circles(snapshot, blocked),
            None => {
                self.skipped += 1;
                return;
            }
        };
        for (shape, links, behind) in now {
            if self.followed.len() >= MOST && !self.followed.contains_key(&shape) {
                continue;
            }
            let followed = self.followed.entry(shape).or_insert_with(|| Followed {
                links,
                behind,
                first: snapshot.time,
                last: snapshot.time,
                snapshots: 0,
                missed: 0,
            });
            followed.last = snapshot.time;
            followed.behind = behind;
            followed.snapshots += 1;
            followed.missed = 0;
        }
        let time = snapshot.time;
        self.followed.retain(|_, followed| {
            followed.missed += u32::from(followed.last != time);
            // One look may miss it: a task was torn.
            followed.missed <= 1
        });
    }

    /// The circles that were there to the end.
    pub fn finish(self) -> Vec<Circle> {
        let mut circles: Vec<Circle> = self
            .followed
            .into_values()
            .filter(|circle| {
                circle.snapshots >= ENOUGH && circle.last.since(circle.first) >= LONG_ENOUGH
            })
            .map(|circle| Circle {
                seen_for: circle.last.since(circle.first),
                links: circle.links,
                behind: circle.behind,
                snapshots: circle.snapshots,
            })
            .collect();
        circles.sort_by_key(|circle| {
            let first = circle.links.first();
            (
                std::cmp::Reverse(circle.links.len() as u64 + u64::from(circle.behind)),
                first.and_then(|link| link.task),
                first.map(|link| link.place),
            )
        });
        circles
    }
}

/// Who waits for whom, among those that others wait for.
struct Graph {
    /// Indices of blocked tasks.
    nodes: Vec<usize>,
    /// For each node, whom it waits for, and by which edge.
    after: Vec<Vec<(usize, usize)>>,
    /// Whether it waits for one that is not blocked.
    free: Vec<bool>,
}

impl Graph {
    /// `None` when there are too many edges.
    fn of(snapshot: &Snapshot, blocked: &[Blocked], locks: &HashMap<u64, LockNow>) -> Option<Self> {
        // Only tasks that somebody waits for can be part of a circle.
        let edges = blocked.iter().flat_map(|blocked| &blocked.edges);
        let wanted: HashSet<u64> = edges
            .filter_map(|edge| match edge {
                Edge::Task(address) => Some(*address),
                Edge::Lock(_) => None,
            })
            .collect();
        let task = |blocked: &Blocked| &snapshot.tasks[blocked.task];
        let nodes: Vec<usize> = (0..blocked.len())
            .filter(|index| {
                let task = task(&blocked[*index]);
                !task.holds.is_empty() || wanted.contains(&task.address)
            })
            .collect();
        let by_task: HashMap<usize, usize> = nodes
            .iter()
            .enumerate()
            .map(|(node, index)| (blocked[*index].task, node))
            .collect();
        let by_address: HashMap<u64, usize> = nodes
            .iter()
            .enumerate()
            .map(|(node, index)| (task(&blocked[*index]).address, node))
            .collect();
        let mut graph = Self {
            after: vec![Vec::new(); nodes.len()],
            free: vec![false; nodes.len()],
            nodes,
        };
        let mut count = 0;
        for node in 0..graph.nodes.len() {
            for (number, edge) in blocked[graph.nodes[node]].edges.iter().enumerate() {
                let next: Vec<Option<usize>> = match edge {
                    Edge::Task(address) => vec![by_address.get(address).copied()],
                    Edge::Lock(address) => {
                        let holders = locks.get(address).map_or(&[][..], |lock| &lock.holders);
                        let holders = holders.iter().take(MOST_EDGES);
                        holders.map(|task| by_task.get(task).copied()).collect()
                    }
                };
                count += next.len();
                if count > MOST_EDGES {
                    return None;
                }
                graph.free[node] |= next.is_empty() || next.contains(&None);
                let next = next.into_iter().flatten().map(|next| (next, number));
                graph.after[node].extend(next);
            }
        }
        graph.strike_out();
        Some(graph)
    }

    /// Whoever waits for one that will go on, will go on.
    fn strike_out(&mut self) {
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (node, after) in self.after.iter().enumerate() {
            for (next, _) in after {
                before[*next].push(node);
            }
        }
        let mut free: Vec<usize> = (0..self.nodes.len()).filter(|n| self.free[*n]).collect();
        while let Some(node) = free.pop() {
            for waiter in &before[node] {
                if !std::mem::replace(&mut self.free[*waiter], true) {
                    free.push(*waiter);
                }
            }
        }
    }

    /// The circles among what is left, each once.
    fn circles(&self, snapshot: &Snapshot, blocked: &[Blocked]) -> Vec<(Shape, Vec<Link>, u32)> {
        let mut circles = Vec::new();
        let mut been = vec![0; self.nodes.len()];
        for start in (0..self.nodes.len()).filter(|node| !self.free[*node]) {
            let mut path: Vec<(usize, usize)> = Vec::new();
            let mut node = start;
            // Every node that is left has one after it.
            while been[node] == 0 {
                let Some((next, edge)) = self.after[node].first().copied() else {
                    break;
                };
                been[node] = start + 1;
                path.push((node, edge));
                node = next;
            }
            if been[node] != start + 1 {
                continue;
            }
            let from = path.iter().position(|(on, _)| *on == node).unwrap_or(0);
            circles.push(self.circle(&path[from..], snapshot, blocked));
        }
        circles
    }

    fn circle(
        &self,
        path: &[(usize, usize)],
        snapshot: &Snapshot,
        blocked: &[Blocked],
    ) -> (Shape, Vec<Link>, u32) {
        let mut parts: Vec<(&TaskSeen, Link)> = path
            .iter()
            .map(|(node, edge)| {
                let blocked = &blocked[self.nodes[*node]];
                let task = &snapshot.tasks[blocked.task];
                let link = Link {
                    task: task.id,
                    place: blocked.places[*edge].0,
                    lock: match blocked.edges[*edge] {
                        Edge::Lock(lock) => Some(lock),
                        Edge::Task(_) => None,
                    },
                };
                (task, link)
            })
            .collect();
        // Begin where one always begins.
        let first = (0..parts.len()).min_by_key(|at| parts[*at].0.address);
        parts.rotate_left(first.unwrap_or(0));
        let shape = parts
            .iter()
            .map(|(task, link)| (task.address, link.task, link.lock))
            .collect();
        let addresses: HashSet<u64> = parts.iter().map(|(task, _)| task.address).collect();
        let held: HashSet<u64> = parts
            .iter()
            .flat_map(|(task, _)| task.holds.iter().copied())
            .collect();
        let behind = blocked.iter().filter(|blocked| {
            let waits = |edge: &Edge| match edge {
                Edge::Task(address) => addresses.contains(address),
                Edge::Lock(lock) => held.contains(lock),
            };
            !addresses.contains(&snapshot.tasks[blocked.task].address)
                && blocked.edges.iter().any(waits)
        });
        let behind = u32::try_from(behind.count()).unwrap_or(u32::MAX);
        let links = parts.into_iter().map(|(_, link)| link);
        (shape, links.take(MOST_LINKS).collect(), behind)
    }
}
