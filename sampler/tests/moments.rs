//! What is read at the moments of samples, against a program that never stops changing it.

mod target;

use awaitscope_sampler::{
    AtSample, Attachment, Avma, Event, MemoryCopy, Moment, Nanos, Options, Process, ReadMemory,
    SampleSource as _, Tid,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use target::Target;

/// Reads a counter, and once more a while later.
struct ReadCounter(Avma);

impl AtSample for ReadCounter {
    fn copy(&self, _: Tid, memory: &dyn Process) -> Option<MemoryCopy> {
        let mut copy = MemoryCopy::default();
        for at in [0, 8] {
            let count = memory.read_word(self.0)?;
            copy.push(Avma(at), count.to_le_bytes().to_vec());
            let until = Instant::now() + Duration::from_micros(30);
            while Instant::now() < until {}
        }
        Some(copy)
    }
}

#[test]
fn what_is_read_while_the_thread_lies_still_is_what_the_sample_saw() {
    let mut target = Target::start(&["count"]);
    let counter = Avma(target.line().parse().expect("an address"));
    let options = Options {
        rate_hz: 997,
        ..Options::default()
    };
    let mut attachment = Attachment::attach(target.pid(), &options).expect("attached");
    let reader: Arc<dyn AtSample> = Arc::new(ReadCounter(counter));
    let moments = attachment
        .moments(&reader)
        .expect("it can wait for samples");
    let mut read: HashMap<(Tid, Nanos), Moment> = HashMap::new();
    let mut events = Vec::new();
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(3));
        attachment
            .drain(&mut |event| events.push(event))
            .expect("drained");
        let taken = moments.take().into_iter();
        read.extend(taken.map(|moment| ((moment.tid, moment.sampled), moment)));
    }
    let (mut samples, mut still) = (0, 0);
    for (index, event) in events.iter().enumerate() {
        let Event::Sample(sample) = event else {
            continue;
        };
        samples += 1;
        let Some(moment) = read.get(&(sample.tid, sample.time)) else {
            continue;
        };
        if !moment.lay_still(sample, &events[index + 1..]) {
            continue;
        }
        still += 1;
        let then = sample.stack.word(counter);
        assert_eq!(moment.copy.read_word(Avma(0)), then, "at the sample");
        assert_eq!(moment.copy.read_word(Avma(8)), then, "a while later");
    }
    assert!(samples > 300, "{samples} samples");
    assert!(still * 10 >= samples * 8, "{still} of {samples} lay still");
}

#[test]
fn nobody_waits_any_more_when_the_moments_are_let_go() {
    let mut target = Target::start(&["count"]);
    let counter = Avma(target.line().parse().expect("an address"));
    let attachment = Attachment::attach(target.pid(), &Options::default()).expect("attached");
    let reader: Arc<dyn AtSample> = Arc::new(ReadCounter(counter));
    let moments = attachment
        .moments(&reader)
        .expect("it can wait for samples");
    drop(moments);
    assert_eq!(Arc::strong_count(&reader), 1, "its threads have ended");
}
