//! How long ready tasks waited for a worker.
//!
//! Little's law: tasks that are ready, on average, are polls per time × the mean time
//! that each was ready. Snapshots tell the first, the workers' ticks the second. Only the
//! mean follows from that, and only for all workers together.

use super::{Making, SECOND};
use awaitscope_symbolizer::session::Turns;
use awaitscope_symbolizer::snapshot::Waiting;
use std::collections::BTreeMap;

/// Where more of the turns than this found nothing to do, it is not told how many did:
/// then hardly anybody waits.
const IDLE: f64 = 0.9;
/// With fewer polls in a stretch, their mean says nothing.
const FEWEST: f64 = 20.0;

impl Making<'_> {
    /// Adds the mean lag of each stretch in which it can be told.
    pub(super) fn lag(&mut self, waiting: &Waiting) {
        let stretch = waiting.stretch.max(1);
        let mut turns: BTreeMap<u32, (Turns, u32)> = BTreeMap::new();
        for (second, seen) in &self.outcome.turns {
            let (sum, seconds) = turns.entry(second - second % stretch).or_default();
            sum.turns += seen.turns;
            sum.sleeps += seen.sleeps;
            *seconds += 1;
        }
        for moment in &waiting.moments {
            let Some((turns, seconds)) = turns.get(&moment.second) else {
                continue;
            };
            // At the ends of a recording a stretch is not whole, and its rate not known.
            let is_whole = moment.covered.0 >= u64::from(stretch) * SECOND / 2;
            let polls = polls(*turns) / f64::from(*seconds);
            if !is_whole || polls * f64::from(*seconds) < FEWEST {
                continue;
            }
            let ready = moment.ready.0 as f64 / moment.covered.0 as f64;
            let at = u64::from(moment.second) * SECOND;
            self.builder.add_point("lag_ms", at, ready / polls * 1e3);
            self.builder.add_point("polls_per_s", at, polls);
        }
    }
}

/// The turns in which a task was polled.
fn polls(turns: Turns) -> f64 {
    let (turned, slept) = (turns.turns as f64, turns.sleeps as f64);
    match slept <= turned * IDLE {
        true => turned - slept,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::Profile;
    use crate::sample::waits::{QUERY, recorded};
    use awaitscope_symbolizer::session::Turns;
    use awaitscope_symbolizer::snapshot::{Detail, TaskState};

    /// Four tasks are ready all the time.
    fn lag(turns: Turns) -> Option<f64> {
        let profile: Profile = recorded(4, |stage, _| {
            stage.turns = Some(turns);
            for id in 0..4 {
                let task = stage.waits("app::serve", id, QUERY, Detail::Descriptor(1));
                task.state = TaskState::Ready;
            }
        });
        let series = profile
            .series
            .iter()
            .find(|series| series.name == "lag_ms")?;
        assert_eq!(series.points.len(), 4);
        Some(series.points[2].sum)
    }

    #[test]
    fn four_ready_tasks_at_a_thousand_polls_a_second_waited_four_milliseconds_each() {
        let lag = lag(Turns {
            turns: 1200,
            sleeps: 200,
        })
        .expect("it can be told");
        assert!((lag - 4.0).abs() < 1e-9, "{lag}");
    }

    #[test]
    fn lag_is_not_told_where_polls_are_not_known() {
        assert_eq!(lag(Turns::default()), None);
        assert_eq!(
            lag(Turns {
                turns: 1000,
                sleeps: 990
            }),
            None
        );
        assert_eq!(
            lag(Turns {
                turns: 15,
                sleeps: 0
            }),
            None
        );
    }
}
