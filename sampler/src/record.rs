//! From the bytes of a record to what it says.
//!
//! Two kinds of events write into our rings (see [`Kind`]). Their samples differ in
//! layout, so a sample begins with the number of its event
//! (`PERF_SAMPLE_IDENTIFIER`). All other records end with the same trailer for both:
//! pid, tid, time, cpu, number of the event (`sample_id_all`).

use crate::arch::{PERF_REGISTERS, Registers};
use crate::event::{Sample, StackCopy, SwitchReason};
use crate::ids::{Avma, Nanos, Pid, Tid};
use crate::ring::RawRecord;
use linux_perf_event_reader::{
    BranchSampleFormat, Endianness, EventRecord, RawData, RawEventRecord, ReadFormat,
    RecordIdParseInfo, RecordParseInfo, RecordType, SampleFormat, SampleRecord,
};

/// What an event of ours does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Samples a running thread by the clock, and tells of everything else.
    Clock,
    /// Takes the registers of a thread that leaves its CPU.
    Switch,
}

/// `PERF_RECORD_LOST_SAMPLES` of `linux/perf_event.h`.
const LOST_SAMPLES: u32 = 13;

/// Addresses from here on in a call chain are marks, not addresses
/// (`PERF_CONTEXT_MAX`).
const CHAIN_MARKS: u64 = -4095_i64 as u64;

/// `PROT_EXEC` of `sys/mman.h`, as a record of a mapping shows it.
const EXECUTABLE: u32 = 4;

/// A record, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The event that wrote it; an inherited one has the number of the event it
    /// comes from (`primary_event_id` in `kernel/events/core.c`).
    pub id: u64,
    /// The CPU it was written on.
    pub cpu: u32,
    /// The process of the thread that ran as it was written.
    pub pid: Pid,
    /// That thread.
    pub tid: Tid,
    /// When.
    pub time: Nanos,
    /// What happened.
    pub what: What,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Sample(Box<Sample>),
    /// The registers with which the thread is about to leave its CPU.
    Leaving(Option<Box<Registers>>),
    Out(SwitchReason),
    In,
    Start {
        pid: Pid,
        tid: Tid,
    },
    Exit {
        pid: Pid,
        tid: Tid,
    },
    Name {
        pid: Pid,
        tid: Tid,
        name: Box<str>,
        by: NamedBy,
    },
    Mapped {
        pid: Pid,
        start: Avma,
        length: u64,
    },
    Lost(u64),
    Throttled,
}

/// How a thread came to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// It asked for it.
    Itself,
    /// It runs a new program.
    Exec,
}

/// What a sample of the given kind carries (`perf_event_attr.sample_type`).
pub(crate) fn sample_format(kind: Kind, kernel: bool) -> SampleFormat {
    let both = SampleFormat::IDENTIFIER
        | SampleFormat::TID
        | SampleFormat::TIME
        | SampleFormat::CPU
        | SampleFormat::REGS_USER;
    match kind {
        Kind::Switch => both,
        Kind::Clock => {
            let chain = if kernel {
                SampleFormat::CALLCHAIN
            } else {
                SampleFormat::empty()
            };
            both | SampleFormat::IP | SampleFormat::PERIOD | SampleFormat::STACK_USER | chain
        }
    }
}

/// Understands the records of our rings.
#[derive(Debug)]
pub(crate) struct Parser {
    clock: RecordParseInfo,
    switch: RecordParseInfo,
}

impl Parser {
    /// `kernel`: whether the samples carry the kernel's call chain.
    pub(crate) fn new(kernel: bool) -> Self {
        Self {
            clock: parse_info(sample_format(Kind::Clock, kernel)),
            switch: parse_info(sample_format(Kind::Switch, kernel)),
        }
    }

    /// What `raw` says; `None` if it is of no interest, comes from an event that
    /// `kind_of` does not know, or makes no sense.
    pub(crate) fn parse(
        &self,
        raw: RawRecord<'_>,
        kind_of: impl Fn(u64) -> Option<Kind>,
    ) -> Option<Record> {
        let record_type = RecordType(raw.kind);
        if record_type == RecordType::SWITCH {
            return switch(raw);
        }
        let kind = if record_type == RecordType::SAMPLE {
            kind_of(u64::from_le_bytes(raw.body.get(..8)?.try_into().ok()?))?
        } else {
            Kind::Clock
        };
        let info = match kind {
            Kind::Clock => &self.clock,
            Kind::Switch => &self.switch,
        };
        if !is_sound(raw, info) {
            return None;
        }
        let body = RawData::from(raw.body);
        let record = RawEventRecord::new(record_type, raw.misc, body, *info);
        let common = record.common_data().ok()?;
        let what = if raw.kind == LOST_SAMPLES {
            What::Lost(u64::from_le_bytes(raw.body.get(..8)?.try_into().ok()?))
        } else {
            understand(record.parse().ok()?, kind)?
        };
        Some(Record {
            id: common.id?,
            cpu: common.cpu?,
            pid: pid(common.pid?),
            tid: tid(common.tid?),
            time: Nanos(common.timestamp?),
            what,
        })
    }
}

/// Understands a switch, which is nothing but a trailer: nearly all records are of this kind, and
/// each costs us as much time as it costs the thread that it is about, so they take no detour
/// (`PERF_RECORD_SWITCH` of `linux/perf_event.h`).
fn switch(raw: RawRecord<'_>) -> Option<Record> {
    /// `PERF_RECORD_MISC_SWITCH_OUT`
    const OUT: u16 = 1 << 13;
    /// `PERF_RECORD_MISC_SWITCH_OUT_PREEMPT`
    const PREEMPTED: u16 = 1 << 14;
    let body: &[u8; 32] = raw.body.try_into().ok()?;
    let (words, _) = body.as_chunks::<4>();
    let short = |index: usize| u32::from_le_bytes(words[index]);
    let long = |index: usize| u64::from(short(index)) | u64::from(short(index + 1)) << 32;
    Some(Record {
        pid: Pid(short(0)),
        tid: Tid(short(1)),
        time: Nanos(long(2)),
        cpu: short(4),
        id: long(6),
        what: match (raw.misc & OUT != 0, raw.misc & PREEMPTED != 0) {
            (false, _) => What::In,
            (true, false) => What::Out(SwitchReason::Waiting),
            (true, true) => What::Out(SwitchReason::Preempted),
        },
    })
}

/// Whether a record has none of the two things with which `linux-perf-event-reader` trusts the
/// kernel: it multiplies the length of a call chain unchecked, and asserts that of a build id (which we
/// do not ask for).
fn is_sound(raw: RawRecord<'_>, info: &RecordParseInfo) -> bool {
    /// After the numbers of event, ip, pid with tid, time, cpu, and the period.
    const CHAIN: std::ops::Range<usize> = 48..56;
    /// `PERF_RECORD_MISC_MMAP_BUILD_ID`
    const BUILD_ID: u16 = 1 << 14;
    match RecordType(raw.kind) {
        RecordType::MMAP2 => raw.misc & BUILD_ID == 0,
        RecordType::SAMPLE if info.sample_format.contains(SampleFormat::CALLCHAIN) => raw
            .body
            .get(CHAIN)
            .and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)))
            .is_some_and(|length| length <= raw.body.len() as u64 / 8),
        _ => true,
    }
}

fn understand(record: EventRecord<'_>, kind: Kind) -> Option<What> {
    Some(match record {
        EventRecord::Sample(sample) => match kind {
            Kind::Clock => What::Sample(Box::new(take_sample(&sample)?)),
            Kind::Switch => What::Leaving(registers(&sample).map(Box::new)),
        },
        EventRecord::Fork(fork) => What::Start {
            pid: pid(fork.pid),
            tid: tid(fork.tid),
        },
        EventRecord::Exit(exit) => What::Exit {
            pid: pid(exit.pid),
            tid: tid(exit.tid),
        },
        EventRecord::Comm(comm) => What::Name {
            pid: pid(comm.pid),
            tid: tid(comm.tid),
            name: String::from_utf8_lossy(&comm.name.as_slice()).into(),
            by: if comm.is_execve {
                NamedBy::Exec
            } else {
                NamedBy::Itself
            },
        },
        EventRecord::Mmap2(map) if map.protection & EXECUTABLE != 0 => What::Mapped {
            pid: pid(map.pid),
            start: Avma(map.address),
            length: map.length,
        },
        EventRecord::Lost(lost) => What::Lost(lost.count),
        EventRecord::Throttle(_) => What::Throttled,
        _ => return None,
    })
}

fn take_sample(sample: &SampleRecord<'_>) -> Option<Sample> {
    // Without registers a sample tells nothing: a thread that has no user part
    // yet, or is just losing it.
    let registers = registers(sample)?;
    let bytes = match &sample.user_stack {
        Some((copied, written)) => {
            let written = usize::try_from(*written).ok()?.min(copied.len());
            copied.get(0..written)?.as_slice().into_owned()
        }
        None => Vec::new(),
    };
    let kernel_chain = sample.callchain.map_or_else(Vec::new, |chain| {
        (0..chain.len())
            .filter_map(|index| chain.get(index))
            .filter(|&address| address < CHAIN_MARKS)
            .collect()
    });
    Some(Sample {
        pid: pid(sample.pid?),
        tid: tid(sample.tid?),
        time: Nanos(sample.timestamp?),
        period: Nanos(sample.period?),
        registers,
        stack: StackCopy {
            start: registers.sp(),
            bytes,
        },
        kernel_chain,
    })
}

fn registers(sample: &SampleRecord<'_>) -> Option<Registers> {
    let values = sample.user_regs.as_ref()?;
    Registers::from_perf(|register| values.get(register))
}

/// The kernel's `pid_t` is never negative in a record of a living thread; one
/// that is just going shows as -1, which then is no number we know.
fn pid(number: i32) -> Pid {
    Pid(number.cast_unsigned())
}

fn tid(number: i32) -> Tid {
    Tid(number.cast_unsigned())
}

fn parse_info(format: SampleFormat) -> RecordParseInfo {
    // The trailer of records that are no samples, from its end: identifier, cpu,
    // time, and pid with tid; eight bytes each.
    const IDENTIFIER: u8 = 8;
    const TIME: u8 = 24;
    const WHOLE: u8 = 32;
    // A sample begins with the identifier, then the ip if asked for, then pid
    // and tid, then the time.
    let before_time = if format.contains(SampleFormat::IP) {
        24
    } else {
        16
    };
    RecordParseInfo {
        endian: Endianness::LittleEndian,
        sample_format: format,
        branch_sample_format: BranchSampleFormat::empty(),
        read_format: ReadFormat::empty(),
        common_data_offset_from_end: Some(WHOLE),
        sample_regs_user: PERF_REGISTERS,
        user_regs_count: PERF_REGISTERS.count_ones() as u8,
        sample_regs_intr: 0,
        intr_regs_count: 0,
        id_parse_info: RecordIdParseInfo {
            nonsample_record_id_offset_from_end: Some(IDENTIFIER),
            sample_record_id_offset_from_start: Some(0),
        },
        nonsample_record_time_offset_from_end: Some(TIME),
        sample_record_time_offset_from_start: Some(before_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Register;
    use proptest::prelude::*;

    const CLOCK: u64 = 70;
    const SWITCH: u64 = 71;

    fn kind_of(id: u64) -> Option<Kind> {
        match id {
            CLOCK => Some(Kind::Clock),
            SWITCH => Some(Kind::Switch),
            _ => None,
        }
    }

    fn parse(kind: RecordType, misc: u16, body: &[u8]) -> Option<Record> {
        Parser::new(true).parse(
            RawRecord {
                kind: kind.0,
                misc,
                body,
            },
            kind_of,
        )
    }

    /// pid and tid, time, cpu, number of the event: at the end of records that are no samples.
    fn trailer(id: u64) -> Vec<u8> {
        words(&[(12 << 32) | 10, 5555, 3, id])
    }

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The value of each register is a hundred and its number in the kernel's order.
    fn register_words() -> Vec<u64> {
        let numbers = (0..64).filter(|number| PERF_REGISTERS & (1 << number) != 0);
        std::iter::once(2)
            .chain(numbers.map(|number| 100 + number))
            .collect()
    }

    fn clock_sample(stack: &[u8], written: u64) -> Vec<u8> {
        let mut body = words(&[CLOCK, 0xabc, (12 << 32) | 10, 5555, 3, 1_000_000]);
        let chain = [
            -128_i64 as u64,
            0xffff_ffff_8100_0000,
            0xffff_ffff_8100_0010,
        ];
        body.extend(words(&[chain.len() as u64]));
        body.extend(words(&chain));
        body.extend(words(&register_words()));
        body.extend(words(&[stack.len() as u64]));
        body.extend(stack);
        body.extend(words(&[written]));
        body
    }

    #[test]
    fn a_sample_has_its_registers_by_dwarf_number_and_its_stack_as_far_as_it_was_written() {
        let record = parse(RecordType::SAMPLE, 2, &clock_sample(b"0123456789abcdef", 8));
        let Some(Record {
            id: CLOCK,
            cpu: 3,
            what: What::Sample(sample),
            ..
        }) = record
        else {
            panic!("not a sample: {record:?}");
        };
        assert_eq!(
            (sample.pid, sample.tid, sample.time),
            (Pid(10), Tid(12), Nanos(5555))
        );
        assert_eq!(sample.period, Nanos(1_000_000));
        assert_eq!(
            (sample.registers.ip(), sample.registers.sp()),
            (Avma(108), Avma(107))
        );
        let kernel_numbers = [0, 3, 2, 1, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 8];
        for (dwarf, kernel) in (0..).zip(kernel_numbers) {
            assert_eq!(sample.registers.get(Register(dwarf)), Some(100 + kernel));
        }
        assert_eq!(sample.stack.bytes, b"01234567");
        assert_eq!(sample.stack.start, sample.registers.sp());
        assert_eq!(
            sample.kernel_chain,
            [0xffff_ffff_8100_0000, 0xffff_ffff_8100_0010]
        );
    }

    #[test]
    fn more_stack_written_than_copied_is_what_was_copied() {
        let record = parse(RecordType::SAMPLE, 2, &clock_sample(b"01234567", 1 << 40));
        assert!(
            matches!(record, Some(Record { what: What::Sample(sample), .. }) if sample.stack.bytes == b"01234567")
        );
    }

    #[test]
    fn the_switch_event_gives_registers_only() {
        let mut body = words(&[SWITCH, (12 << 32) | 10, 5555, 3]);
        body.extend(words(&register_words()));
        let record = parse(RecordType::SAMPLE, 1, &body);
        let Some(Record {
            id: SWITCH,
            what: What::Leaving(Some(registers)),
            time,
            ..
        }) = record
        else {
            panic!("no registers: {record:?}");
        };
        assert_eq!((registers.ip(), time), (Avma(108), Nanos(5555)));
    }

    #[test]
    fn a_switch_tells_the_thread_that_waits_from_the_one_pushed_off() {
        let what =
            |misc| parse(RecordType::SWITCH, misc, &trailer(CLOCK)).map(|record| record.what);
        assert_eq!(what(0), Some(What::In));
        assert_eq!(what(1 << 13), Some(What::Out(SwitchReason::Waiting)));
        assert_eq!(what(3 << 13), Some(What::Out(SwitchReason::Preempted)));
    }

    #[test]
    fn a_switch_of_another_length_is_none() {
        assert_eq!(parse(RecordType::SWITCH, 0, &trailer(CLOCK)[8..]), None);
        assert_eq!(parse(RecordType::SWITCH, 0, &[0; 40]), None);
    }

    #[test]
    fn a_switch_has_its_thread_time_and_cpu() {
        let record = parse(RecordType::SWITCH, 0, &trailer(SWITCH | 1 << 40));
        let expected = Record {
            id: SWITCH | 1 << 40,
            cpu: 3,
            pid: Pid(10),
            tid: Tid(12),
            time: Nanos(5555),
            what: What::In,
        };
        assert_eq!(record, Some(expected));
    }

    #[test]
    fn losses_are_counted_whoever_reports_them() {
        let mut lost = words(&[CLOCK, 17]);
        lost.extend(trailer(SWITCH));
        let record = parse(RecordType::LOST, 0, &lost).map(|record| record.what);
        assert_eq!(record, Some(What::Lost(17)));
        let mut lost = words(&[3]);
        lost.extend(trailer(CLOCK));
        let record = parse(RecordType(LOST_SAMPLES), 0, &lost).map(|record| record.what);
        assert_eq!(record, Some(What::Lost(3)));
    }

    #[test]
    fn a_name_given_by_exec_is_told_from_one_a_thread_gave_itself() {
        let mut body = words(&[(12 << 32) | 10]);
        body.extend(b"worker\xff\0");
        body.extend(trailer(CLOCK));
        let by = |misc| match parse(RecordType::COMM, misc, &body)?.what {
            What::Name { name, by, .. } => Some((name, by)),
            _ => None,
        };
        assert_eq!(by(0), Some(("worker\u{fffd}".into(), NamedBy::Itself)));
        assert_eq!(by(1 << 13), Some(("worker\u{fffd}".into(), NamedBy::Exec)));
    }

    #[test]
    fn only_mappings_that_can_run_are_told() {
        let mapped = |protection: u32| {
            let mut body = words(&[(12 << 32) | 10, 0x7000, 0x2000, 0, 0, 0, 0]);
            body.extend(protection.to_le_bytes());
            body.extend([0; 4]);
            body.extend(b"/lib/x\0\0");
            body.extend(trailer(CLOCK));
            parse(RecordType::MMAP2, 0, &body).map(|record| record.what)
        };
        let expected = What::Mapped {
            pid: Pid(10),
            start: Avma(0x7000),
            length: 0x2000,
        };
        assert_eq!(mapped(5), Some(expected));
        assert_eq!(mapped(1), None);
    }

    #[test]
    fn a_sample_of_a_stranger_or_without_registers_is_none() {
        let mut stranger = clock_sample(b"", 0);
        stranger[0] = 99;
        assert_eq!(parse(RecordType::SAMPLE, 2, &stranger), None);
        let bare = words(&[CLOCK, 0xabc, (12 << 32) | 10, 5555, 3, 1_000_000, 0, 0, 0]);
        assert_eq!(parse(RecordType::SAMPLE, 2, &bare), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            kind in 0u32..25,
            misc in any::<u16>(),
            id in 69u64..73,
            body in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut whole = id.to_le_bytes().to_vec();
            whole.extend(body);
            let _ = parse(RecordType(kind), misc, &whole);
        }
    }
}
