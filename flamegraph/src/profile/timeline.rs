//! Where the time went: weights and thread times, bucket by bucket.

use super::ids::{KindId, StackId, TaskId, ThreadId};
use super::limits::{self, bounded};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a weight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeightKey {
    /// On which thread; `None` for a task that waits, which is on none.
    pub thread: Option<ThreadId>,
    /// What the time was spent as.
    pub state: State,
    /// In which kind of task; `None` outside any.
    pub kind: Option<KindId>,
    /// In which task, if that could be told.
    pub task: Option<TaskId>,
    /// In which stack.
    pub stack: StackId,
}

/// What a moment of a task or thread was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Running on a CPU.
    OnCpu,
    /// Suspended at an await point.
    Waiting,
    /// Holding its thread without running: in a system call, or runnable while
    /// the kernel runs another.
    Blocked,
    /// Ready, without a worker to run it.
    Ready,
}

/// Time in one stack within one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) key: WeightKey,
    pub(crate) samples: u32,
    pub(crate) ns: u64,
}

/// Time of one thread within one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThreadTime {
    pub(crate) thread: ThreadId,
    pub(crate) on_cpu_ns: u64,
    pub(crate) off_ns: u64,
}

/// One stretch of the recording. Its times are those that *began* in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bucket {
    /// Which: it begins at `number × bucket_ns`.
    pub(crate) number: u32,
    /// Sorted by key, each key once.
    pub(crate) weights: Vec<Weight>,
    /// Sorted by thread, each once.
    pub(crate) threads: Vec<ThreadTime>,
}

impl Bucket {
    /// Sorts and sums what stands for the same.
    pub(crate) fn tidy(&mut self) {
        self.weights.sort_unstable_by_key(|weight| weight.key);
        self.weights.dedup_by(|later, kept| {
            let same = later.key == kept.key;
            if same {
                kept.ns = kept.ns.saturating_add(later.ns);
                kept.samples = kept.samples.saturating_add(later.samples);
            }
            same
        });
        self.weights.shrink_to_fit();
        self.threads.sort_unstable_by_key(|time| time.thread);
        self.threads.dedup_by(|later, kept| {
            let same = later.thread == kept.thread;
            if same {
                kept.on_cpu_ns = kept.on_cpu_ns.saturating_add(later.on_cpu_ns);
                kept.off_ns = kept.off_ns.saturating_add(later.off_ns);
            }
            same
        });
        self.threads.shrink_to_fit();
    }

    /// How many entries it holds.
    pub(crate) fn len(&self) -> usize {
        self.weights.len() + self.threads.len()
    }
}

/// A bucket as it stands in the file: by columns, because numbers of a sort
/// compress several times better than records of mixed ones.
#[derive(Serialize, Deserialize)]
struct Columns {
    number: u32,
    #[serde(deserialize_with = "bounded::<_, _, { limits::WEIGHTS }>")]
    thread: Vec<Option<ThreadId>>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::WEIGHTS }>")]
    state: Vec<State>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::WEIGHTS }>")]
    kind: Vec<Option<KindId>>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::WEIGHTS }>")]
    task: Vec<Option<TaskId>>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::WEIGHTS }>")]
    stack: Vec<StackId>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::WEIGHTS }>")]
    ns: Vec<u64>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::WEIGHTS }>")]
    samples: Vec<u32>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::THREADS }>")]
    threads: Vec<ThreadTime>,
}

impl Serialize for Bucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys = || self.weights.iter().map(|weight| weight.key);
        Columns {
            number: self.number,
            thread: keys().map(|key| key.thread).collect(),
            state: keys().map(|key| key.state).collect(),
            kind: keys().map(|key| key.kind).collect(),
            task: keys().map(|key| key.task).collect(),
            stack: keys().map(|key| key.stack).collect(),
            ns: self.weights.iter().map(|weight| weight.ns).collect(),
            samples: self.weights.iter().map(|weight| weight.samples).collect(),
            threads: self.threads.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let columns = Columns::deserialize(deserializer)?;
        let rows = columns.stack.len();
        let lengths = [
            columns.thread.len(),
            columns.state.len(),
            columns.kind.len(),
            columns.task.len(),
            columns.ns.len(),
            columns.samples.len(),
        ];
        if lengths.iter().any(|&length| length != rows) {
            return Err(serde::de::Error::custom("columns of different lengths"));
        }
        let weights = (0..rows)
            .map(|row| Weight {
                key: WeightKey {
                    thread: columns.thread[row],
                    state: columns.state[row],
                    kind: columns.kind[row],
                    task: columns.task[row],
                    stack: columns.stack[row],
                },
                samples: columns.samples[row],
                ns: columns.ns[row],
            })
            .collect();
        Ok(Self {
            number: columns.number,
            weights,
            threads: columns.threads,
        })
    }
}
