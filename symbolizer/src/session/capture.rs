//! The steps of a session in a capture.
//!
//! What a [`Watcher`](super::Watcher) brings depends on the clock: which stacks it reads, and when it
//! looks. A [`Session`](super::Session) depends on its batches alone, and on the answers of its
//! process. So what a capture keeps are the batches, and the same come out of it again.

use super::batch::{Batch, OffStack, Pulse};
use crate::module::{AddressSpace, Binaries, Build};
use awaitscope_sampler::{Capture, Error, Event, MemoryCopy, Moment, Nanos, Replay};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// No recording lasts longer: 26 days. Of the times in a capture, which may be anything, none is
/// further from its begin.
const LONGEST: u64 = 1 << 51;

/// What a record of lost ones can claim: more than a kernel can write in a second.
const MOST_LOST: u64 = 1 << 32;

/// More files that are missing are not named.
const MOST_NAMED: usize = 20;

/// What one batch of a capture may hold, and how many bytes of stacks. A look is a few milliseconds.
const MOST_ITEMS: usize = 1 << 20;
const MOST_BYTES: usize = 1 << 30;

/// A batch in pieces, each small enough for an entry of its own.
#[derive(Serialize, Deserialize)]
enum Step<'a> {
    Event(Cow<'a, Event>),
    Pulse(Cow<'a, Pulse>),
    OffStack(Cow<'a, OffStack>),
    Moment(Cow<'a, Moment>),
    /// The batch is whole.
    Horizon(Nanos),
}

impl Batch {
    /// Writes the batch into a capture. What the session asks of its process from then on belongs
    /// to it.
    pub fn keep(&self, capture: &Capture) {
        for event in &self.events {
            capture.step(&Step::Event(Cow::Borrowed(event)));
        }
        for pulse in &self.pulses {
            capture.step(&Step::Pulse(Cow::Borrowed(pulse)));
        }
        for stack in &self.off_stacks {
            capture.step(&Step::OffStack(Cow::Borrowed(stack)));
        }
        for moment in &self.moments {
            capture.step(&Step::Moment(Cow::Borrowed(moment)));
        }
        capture.step(&Step::Horizon(self.horizon));
    }
}

/// The batches of a capture.
#[derive(Debug)]
pub struct CapturedBatches {
    replay: Replay,
    start: Nanos,
}

impl CapturedBatches {
    /// Those of `replay`, a recording that began at `start`.
    #[must_use]
    pub fn of(replay: Replay, start: Nanos) -> Self {
        Self { replay, start }
    }

    /// The next batch, if there is one more. The process of the replay is then as it was when that
    /// batch was taken.
    ///
    /// # Errors
    /// The capture is damaged.
    pub fn take_next(&mut self) -> Result<Option<Batch>, Error> {
        let mut batch = Batch::default();
        let (mut items, mut bytes) = (0, 0);
        while let Some(step) = self.replay.step::<Step<'static>>()? {
            items += 1;
            bytes += step.bytes();
            if items > MOST_ITEMS || bytes > MOST_BYTES {
                let why = "a look at the process brought more than can be";
                return Err(self.replay.damaged(why));
            }
            self.check_time(step.time())?;
            match step {
                Step::Event(event) => {
                    self.check_event(&event)?;
                    batch.events.push(event.into_owned());
                }
                Step::Pulse(pulse) => batch.pulses.push(pulse.into_owned()),
                Step::OffStack(stack) => {
                    self.check_time(stack.since)?;
                    batch.off_stacks.push(stack.into_owned());
                }
                Step::Moment(moment) => {
                    self.check_time(moment.ended)?;
                    batch.moments.push(moment.into_owned());
                }
                Step::Horizon(horizon) => {
                    batch.horizon = horizon;
                    return Ok(Some(batch));
                }
            }
        }
        match items {
            0 => Ok(None),
            _ => Err(self.replay.damaged("it ends within a look at the process")),
        }
    }

    fn check_event(&self, event: &Event) -> Result<(), Error> {
        match event {
            Event::Sample(sample) => self.check_length(sample.period),
            Event::Lost { count, .. } if *count > MOST_LOST => {
                Err(self.replay.damaged("it claims to have lost too much"))
            }
            _ => Ok(()),
        }
    }

    fn check_time(&self, time: Nanos) -> Result<(), Error> {
        self.check_length(Nanos(time.0.abs_diff(self.start.0)))
    }

    fn check_length(&self, length: Nanos) -> Result<(), Error> {
        if length.0 > LONGEST {
            return Err(self.replay.damaged("a time in it is past all measure"));
        }
        Ok(())
    }
}

impl Step<'_> {
    fn time(&self) -> Nanos {
        match self {
            Self::Event(event) => event.time(),
            Self::Pulse(pulse) => pulse.time,
            Self::OffStack(stack) => stack.time,
            Self::Moment(moment) => moment.sampled,
            Self::Horizon(time) => *time,
        }
    }

    /// How many bytes it holds besides itself.
    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => match &**event {
                Event::Sample(sample) => {
                    sample.stack.bytes.len() + sample.kernel_chain.len() * size_of::<u64>()
                }
                _ => 0,
            },
            Self::OffStack(stack) => {
                stack.stack.bytes.len() + stack.copy.as_ref().map_or(0, MemoryCopy::len)
            }
            Self::Moment(moment) => moment.copy.len(),
            Self::Pulse(_) | Self::Horizon(_) => 0,
        }
    }
}

/// Which files a session looked into, so that a replay looks into the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFiles {
    builds: BTreeMap<String, Build>,
    #[serde(skip)]
    modules: usize,
}

impl SeenFiles {
    /// Takes note of the files that are mapped anew. They can be read as long as the process lives.
    pub fn see(&mut self, space: &AddressSpace) {
        if space.module_count() == self.modules {
            return;
        }
        self.modules = space.module_count();
        for (_, module) in space.modules() {
            let path = module.path().to_string_lossy().into_owned();
            self.builds.entry(path).or_insert_with(|| Build::of(module));
        }
    }

    /// These files, by their paths beneath `root`.
    #[must_use]
    pub fn beneath(&self, root: PathBuf) -> Binaries {
        let builds = self.builds.iter();
        let builds = builds.map(|(path, build)| (PathBuf::from(path), build.clone()));
        Binaries::OnDisk {
            root,
            builds: builds.collect::<HashMap<_, _>>(),
        }
    }

    /// What is missing of them now, as far as a session found them mapped: one sentence for each.
    #[must_use]
    pub fn missing(&self, space: &AddressSpace) -> Vec<String> {
        let missing = space.modules().filter_map(|(_, module)| {
            let path = module.path().to_string_lossy();
            let read = self.builds.get(&*path) != Some(&Build::Unread);
            let error = module.image().err().filter(|_| read)?;
            Some(format!(
                "{error}: what ran in it has no names here, and its callers may be missing"
            ))
        });
        missing.take(MOST_NAMED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Progress;
    use crate::session::batch::Sleep;
    use awaitscope_sampler::{Avma, Pid, Registers, Sample, StackCopy, SwitchReason, Tid};
    use std::path::Path;

    const START: Nanos = Nanos(5_000_000_000);

    fn stack() -> StackCopy {
        StackCopy {
            start: Avma(0x7000),
            bytes: vec![7; 300],
        }
    }

    fn batch(time: u64) -> Batch {
        let (tid, time) = (Tid(8), Nanos(START.0 + time));
        let registers = Registers::from_ip_sp(Avma(0x1000), Avma(0x7000));
        Batch {
            events: vec![
                Event::Sample(Box::new(Sample {
                    pid: Pid(7),
                    tid,
                    time,
                    period: Nanos(10),
                    registers,
                    stack: stack(),
                    kernel_chain: vec![u64::MAX],
                })),
                Event::SwitchOut {
                    tid,
                    time,
                    reason: SwitchReason::Waiting,
                    registers: None,
                },
            ],
            pulses: vec![Pulse {
                tid,
                time,
                progress: Progress {
                    task: None,
                    epoch: 3,
                },
            }],
            off_stacks: vec![OffStack {
                tid,
                since: time,
                time,
                sleep: Sleep::Syscall(230),
                registers,
                stack: stack(),
                copy: Some(MemoryCopy::default()),
            }],
            moments: vec![Moment {
                tid,
                sampled: time,
                began: time,
                ended: time,
                copy: MemoryCopy::default(),
            }],
            horizon: time,
        }
    }

    fn kept(batches: &[Batch], path: &Path) -> CapturedBatches {
        let capture = Capture::create(path, Pid(7)).unwrap();
        batches.iter().for_each(|batch| batch.keep(&capture));
        capture.finish(&()).unwrap();
        let ((), replay) = Replay::open(path).unwrap();
        CapturedBatches::of(replay, START)
    }

    #[test]
    fn batches_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let batches = [
            batch(0),
            Batch {
                horizon: START,
                ..Batch::default()
            },
            batch(9),
        ];
        let mut again = kept(&batches, &folder.path().join("x"));
        for batch in &batches {
            assert_eq!(again.take_next().unwrap().as_ref(), Some(batch));
        }
        assert_eq!(again.take_next().unwrap(), None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |change: fn(&mut Batch)| {
            let mut bad = batch(0);
            change(&mut bad);
            let mut batches = kept(&[bad], &folder.path().join("x"));
            batches.take_next().unwrap_err().to_string()
        };
        let far = "past all measure";
        assert!(refused(|batch| batch.horizon = Nanos(u64::MAX)).contains(far));
        assert!(refused(|batch| batch.off_stacks[0].since = Nanos(1 << 52)).contains(far));
        assert!(refused(|batch| batch.pulses[0].time = Nanos(1 << 52)).contains(far));
        let long = refused(|batch| {
            if let Event::Sample(sample) = &mut batch.events[0] {
                sample.period = Nanos(u64::MAX);
            }
        });
        assert!(long.contains(far));
        let lost = refused(|batch| {
            let count = u64::MAX;
            batch.events.push(Event::Lost { count, time: START });
        });
        assert!(lost.contains("lost too much"), "{lost}");
    }

    #[test]
    fn a_batch_without_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let capture = Capture::create(&path, Pid(7)).unwrap();
        let throttled = Event::Throttled { time: START };
        capture.step(&Step::Event(Cow::Borrowed(&throttled)));
        capture.finish(&()).unwrap();
        let ((), replay) = Replay::open(&path).unwrap();
        let error = CapturedBatches::of(replay, START).take_next().unwrap_err();
        assert!(error.to_string().contains("ends within a look"), "{error}");

        let mut endless = Batch {
            events: vec![throttled; MOST_ITEMS + 1],
            ..Batch::default()
        };
        endless.horizon = START;
        let error = kept(&[endless], &path).take_next().unwrap_err();
        assert!(error.to_string().contains("more than can be"), "{error}");
    }
}
