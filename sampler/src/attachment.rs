//! Watching a live process.

use crate::assemble::process_of;
use crate::ended::Ended;
use crate::error::Error;
use crate::event::Event;
use crate::guard::{Guard, SwitchDetail};
use crate::ids::{Nanos, Pid, Tid};
use crate::lineage::{Lineage, Verdict};
use crate::moments::{AtSample, Moments, Waited};
use crate::open::{self, Begin, Plan};
use crate::options::{Children, Clocks, Options};
use crate::order::Order;
use crate::preparation::{grant, living_threads, make_room};
use crate::procfs::{self, Folder};
use crate::record::{Kind, NamedBy, Parser, Record, What};
use crate::ring::Sane;
use crate::rings::{CpuRing, open_rings};
use crate::source::{Abilities, SampleSource};
use crate::sys;
use crate::wide::CpuClocks;
use perf_event::Counter;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// A CPU needs this long, at most, from looking at the clock for a record to having written
/// it. Longer ones (a virtual CPU that lost its host in between) are caught by [`Order::hold`].
const WRITING: Nanos = Nanos(1_000_000);

/// How often threads that escaped us are looked for. None should.
const RECONCILE: Nanos = Nanos::from_millis(1000);

/// While attaching, the threads are listed again until no new ones show up, but not
/// more often than this: what a process that starts threads without pause has by then
/// is found by the later look.
const ROUNDS: usize = 8;

/// Our hold on a live process: its events come out of it. Letting it go lets the process
/// go; neither stops it for a moment.
#[derive(Debug)]
pub struct Attachment {
    pid: Pid,
    folder: Folder,
    children: Children,
    plan: Plan,
    parser: Parser,
    rings: Vec<CpuRing>,
    ring_bytes: usize,
    /// Where the samples come from, if not from the threads' events.
    clocks: Option<CpuClocks>,
    /// By the number of the clock event.
    events: HashMap<u64, Events>,
    lineage: Lineage,
    order: Order,
    ended: Ended,
    guard: Guard,
    reconciled: Nanos,
    suspects: Vec<Tid>,
}

/// The events on one thread and CPU; dropped, they are closed.
#[derive(Debug)]
struct Events {
    /// It samples, or only tells of what happens ([`Plan::clocks_of_cpus`]).
    _clock: Counter,
    switch: Option<Counter>,
}

/// What it takes to watch a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Open perf events.
    pub descriptors: usize,
    /// Those among them that are clocks of CPUs; none where each thread has its own clock.
    pub clocks: usize,
    /// CPUs watched, each with a ring.
    pub rings: usize,
    /// How many bytes each ring holds.
    pub ring_bytes: usize,
}

impl Attachment {
    /// Begins to watch all threads of a running process, and those it will start.
    ///
    /// # Errors
    /// The process is not there, or may not be watched, or the system does not allow for
    /// it; each case is an error of its own, with advice.
    pub fn attach(pid: Pid, options: &Options) -> Result<Self, Error> {
        Self::begin(pid, options, Begin::Now)
    }

    pub(crate) fn begin(pid: Pid, options: &Options, begin: Begin) -> Result<Self, Error> {
        let folder = Folder::open(pid)?;
        let threads = living_threads(pid, &folder)?;
        let cpus = procfs::online_cpus()?;
        let mut plan = grant(Plan::wished(options, begin)?, pid, &threads, &cpus)?;
        make_room(&mut plan, threads.len(), cpus.len(), 0)?;
        let record = plan.stack_bytes as usize + 1024;
        let (rings, ring_bytes) = open_rings(&cpus, options.ring_bytes, record)?;
        let mut attachment = Self {
            pid,
            folder,
            children: options.children,
            parser: Parser::new(plan.kernel),
            plan,
            rings,
            ring_bytes,
            clocks: None,
            events: HashMap::new(),
            lineage: Lineage::default(),
            order: Order::default(),
            ended: Ended::default(),
            guard: Guard::new(sys::now(), options.registers_up_to),
            reconciled: sys::now(),
            suspects: Vec::new(),
        };
        // A process that we start would be sampled before it runs its program.
        let may_be_wide = begin == Begin::Now && options.children == Children::Ignore;
        if may_be_wide && options.clocks == Clocks::OfCpusIfPermitted && attachment.plan.kernel {
            attachment.open_clocks();
        }
        attachment.open_all()?;
        if let Some(clocks) = &mut attachment.clocks {
            clocks.start();
        }
        attachment.plan.begin = Begin::Now;
        Ok(attachment)
    }

    /// The process that is watched.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it takes to watch it.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let clocks = self.clocks.as_ref().map_or(0, CpuClocks::count);
        let of_threads = self.events.values();
        let of_threads = of_threads.map(|events| 1 + usize::from(events.switch.is_some()));
        Footprint {
            descriptors: of_threads.sum::<usize>() + clocks,
            clocks,
            rings: self.rings.len(),
            ring_bytes: self.ring_bytes,
        }
    }

    /// Opens a clock on each CPU, if that is permitted. Else each thread gets its own.
    fn open_clocks(&mut self) {
        let clocks = CpuClocks::open(&self.plan, self.pid, &self.rings, &mut self.lineage);
        self.clocks = clocks.ok();
        self.plan.clocks_of_cpus = self.clocks.is_some();
    }

    /// Opens the events on every thread, until no thread is left without.
    fn open_all(&mut self) -> Result<(), Error> {
        let mut attached = 0;
        for _ in 0..ROUNDS {
            let mut news = 0;
            for tid in self.folder.threads()? {
                if !self.lineage.knows(tid) {
                    news += 1;
                    if self.open_thread(tid)? == Opened::Wholly {
                        attached += 1;
                    }
                }
            }
            if news == 0 {
                break;
            }
        }
        if attached == 0 {
            return Err(Error::Exited(self.pid));
        }
        Ok(())
    }

    /// Opens all events on a thread. Gives up the registers of switches when descriptors
    /// run out.
    fn open_thread(&mut self, tid: Tid) -> Result<Opened, Error> {
        self.lineage.note(tid);
        for index in 0..self.rings.len() {
            let mut result = self.open_on(tid, index);
            if result.as_ref().is_err_and(open::is_out_of_descriptors) {
                self.find_room()?;
                result = self.open_on(tid, index);
            }
            match result {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                    return Ok(Opened::Gone);
                }
                // The CPU went off line.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(open::explain(error, Kind::Clock, self.pid)),
            }
        }
        Ok(Opened::Wholly)
    }

    fn find_room(&mut self) -> Result<(), Error> {
        let threads = self.folder.threads()?.len();
        let open = self.footprint().descriptors;
        make_room(&mut self.plan, threads, self.rings.len(), open)?;
        if !self.plan.switch_registers {
            self.events
                .values_mut()
                .for_each(|events| events.switch = None);
        }
        Ok(())
    }

    /// Opens the events on a thread and CPU: the one for switches first, so that who inherited the
    /// clock event has inherited both.
    fn open_on(&mut self, tid: Tid, index: usize) -> io::Result<()> {
        let switch = if self.plan.switch_registers {
            let mut switch = self.open_event(Kind::Switch, tid, index)?;
            if self.guard.detail() == SwitchDetail::TimesOnly {
                set_detail(&mut switch, SwitchDetail::TimesOnly);
            }
            self.lineage.opened(switch.id(), tid, Kind::Switch);
            Some(switch)
        } else {
            None
        };
        let clock = self.open_event(Kind::Clock, tid, index)?;
        self.lineage.opened(clock.id(), tid, Kind::Clock);
        self.events.insert(
            clock.id(),
            Events {
                _clock: clock,
                switch,
            },
        );
        Ok(())
    }

    fn open_event(&self, kind: Kind, tid: Tid, index: usize) -> io::Result<Counter> {
        let ring = &self.rings[index];
        let counter = self.plan.open(kind, tid, ring.cpu)?;
        sys::set_output(&counter, ring.descriptor())?;
        Ok(counter)
    }

    /// Takes all records out of the rings.
    fn read_rings(&mut self) {
        let Self {
            rings,
            parser,
            lineage,
            order,
            events,
            guard,
            ..
        } = self;
        let mut surplus = Vec::new();
        for CpuRing {
            ring, assembler, ..
        } in rings
        {
            let sane = ring.read(&mut |raw| {
                let Some(record) = parser.parse(raw, |id| lineage.kind_of(id)) else {
                    return;
                };
                let ours = self.children == Children::Follow
                    || process_of(&record).is_none_or(|pid| pid == self.pid);
                if !ours {
                    return;
                }
                match judge(lineage, &record) {
                    Verdict::Take => {
                        if matches!(record.what, What::Out(_)) {
                            guard.count_switch();
                        }
                        assembler.take(record, &mut |event| order.hold(event));
                    }
                    Verdict::Skip => {}
                    Verdict::SkipAndClose(id) => surplus.push(id),
                }
            });
            if sane == Sane::No {
                order.hold(Event::Lost {
                    count: 1,
                    time: sys::now(),
                });
            }
        }
        for id in surplus {
            events.remove(&id);
        }
    }

    /// Takes the registers of switches, or not, by how many there are.
    fn guard(&mut self, now: Nanos) {
        if let Some(detail) = self.guard.decide(now) {
            for events in self.events.values_mut() {
                if let Some(switch) = &mut events.switch {
                    set_detail(switch, detail);
                }
            }
        }
    }

    /// Looks for threads that we do not watch: none inherited, none found while attaching.
    /// A thread is under suspicion when it is listed and no record has told of it; a
    /// record on its way has until the next drain.
    fn reconcile(&mut self, now: Nanos) {
        for tid in std::mem::take(&mut self.suspects) {
            if !self.lineage.knows(tid) {
                // It may have ended, and if descriptors are short it stays unwatched.
                let _ = self.open_thread(tid);
            }
        }
        if now.since(self.reconciled) >= RECONCILE {
            self.reconciled = now;
            let mut listed = self.folder.threads().unwrap_or_default();
            listed.retain(|&tid| !self.lineage.knows(tid));
            self.suspects = listed;
        }
    }
}

impl SampleSource for Attachment {
    fn drain(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        let now = sys::now();
        self.read_rings();
        self.guard(now);
        self.reconcile(now);
        let ended = &mut self.ended;
        Ok(self
            .order
            .release(now - WRITING, &mut |event| pass(ended, event, sink)))
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        self.read_rings();
        let ended = &mut self.ended;
        Ok(self
            .order
            .release_all(sys::now(), &mut |event| pass(ended, event, sink)))
    }

    fn moments(&self, reader: &Arc<dyn AtSample>) -> Option<Moments> {
        let rings = self.rings.iter().map(CpuRing::waited);
        let rings: io::Result<Vec<Waited>> = rings.collect();
        Moments::begin(self.pid, rings.ok()?, reader).ok()
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            kernel: self.plan.kernel,
            switch_registers: self.plan.switch_registers,
        }
    }
}

fn pass(ended: &mut Ended, event: Event, sink: &mut dyn FnMut(Event)) {
    if ended.admits(&event) {
        sink(event);
    }
}

/// Lets a switch event, and those inherited from it, count or not.
fn set_detail(switch: &mut Counter, detail: SwitchDetail) {
    // The ioctl cannot fail on an open event. If it did, the event would go on as it was, which costs
    // something and spoils nothing.
    let _ = match detail {
        SwitchDetail::WithRegisters => switch.enable(),
        SwitchDetail::TimesOnly => switch.disable(),
    };
}

/// How far the events of a thread could be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    Wholly,
    /// It ended meanwhile.
    Gone,
}

fn judge(lineage: &mut Lineage, record: &Record) -> Verdict {
    let &Record {
        id, cpu, tid, time, ..
    } = record;
    match record.what {
        // A loss is one of the ring, whichever event reports it. And a second sample of one
        // switch says the same as the first, but may bear its number: the kernel hands one record from
        // event to event and fills in what is missing (`do_perf_sw_event`, `perf_prepare_sample`).
        What::Lost(_) | What::Leaving(_) => Verdict::Take,
        What::Sample(_) if lineage.is_of_cpu(id) => Verdict::Take,
        What::Name {
            pid,
            by: NamedBy::Exec,
            ..
        } => lineage.judge_exec(id, pid, cpu, time),
        What::Start { tid: started, .. } => {
            lineage.note(started);
            lineage.judge(id, tid, cpu)
        }
        What::Exit { tid: ended, .. } => {
            let verdict = lineage.judge(id, tid, cpu);
            if verdict == Verdict::Take {
                lineage.ended(ended);
            }
            verdict
        }
        _ => lineage.judge(id, tid, cpu),
    }
}
