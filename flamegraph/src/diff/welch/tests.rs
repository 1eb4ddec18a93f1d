use super::*;
use crate::diff::chance::Chance;

/// Windows of a part that is `share` of the whole, in bursts of `burst` samples.
fn windows(chance: &mut Chance, share: f64, burst: f64, count: usize, rate: usize) -> Vec<f64> {
    let mut inside = chance.below_one() < share;
    (0..count)
        .map(|_| {
            let mut hits = 0.0;
            for _ in 0..rate {
                if chance.below_one() < 1.0 / burst {
                    inside = chance.below_one() < share;
                }
                hits += f64::from(u8::from(inside));
            }
            hits
        })
        .collect()
}

/// All windows are of one run.
fn one_run(windows: usize) -> Vec<Range<usize>> {
    std::iter::once(0..windows).collect()
}

fn compared(
    base: &[f64],
    new: &[f64],
    runs: &[Range<usize>],
    between: Option<BetweenRuns>,
) -> Compared {
    let (whole_base, whole_new) = (vec![99.0; base.len()], vec![99.0; new.len()]);
    let seen = |part, whole| Seen {
        part,
        whole,
        runs,
        grain: 1.0,
    };
    compare(
        [seen(base, &whole_base), seen(new, &whole_new)],
        between,
        0.0,
    )
}

/// How often of a thousand times nothing is taken for something at 5 %.
fn false_alarms(burst: f64, count: usize) -> usize {
    let mut chance = Chance(burst.to_bits() ^ count as u64);
    (0..1000)
        .filter(|_| {
            let base = windows(&mut chance, 0.2, burst, count, 99);
            let new = windows(&mut chance, 0.2, burst, count, 99);
            compared(&base, &new, &one_run(count), None).p < 0.05
        })
        .count()
}

#[test]
fn bursts_raise_no_false_alarms() {
    for burst in [1.0, 3.0, 10.0, 30.0] {
        let alarms = false_alarms(burst, 20);
        assert!(alarms <= 65, "bursts of {burst}: {alarms}");
    }
}

#[test]
fn what_lasts_for_several_windows_raises_few() {
    // Twenty windows have seen about ten bursts: a test that takes the windows for
    // independent calls a third of these changed.
    let alarms = false_alarms(200.0, 20);
    assert!(alarms <= 130, "{alarms}");
}

#[test]
fn a_rise_by_a_fifth_is_seen() {
    let mut chance = Chance(5);
    let found = (0..200).filter(|_| {
        let base = windows(&mut chance, 0.2, 3.0, 30, 999);
        let new = windows(&mut chance, 0.24, 3.0, 30, 999);
        compared(&base, &new, &one_run(30), None).p < 0.001
    });
    assert!(found.count() >= 190);
}

#[test]
fn the_interval_holds_the_truth_nineteen_times_of_twenty() {
    let mut chance = Chance(11);
    let held = (0..1000).filter(|_| {
        let base = windows(&mut chance, 0.2, 10.0, 20, 99);
        let new = windows(&mut chance, 0.25, 10.0, 20, 99);
        let [low, high] = compared(&base, &new, &one_run(20), None).ci95;
        low <= 0.05 && 0.05 <= high
    });
    let held = held.count();
    assert!(held >= 935, "{held}");
}

#[test]
fn runs_that_differ_more_than_their_windows_are_not_taken_for_a_change() {
    let mut chance = Chance(3);
    let runs: Vec<Range<usize>> = (0..4).map(|run| run * 20..(run + 1) * 20).collect();
    let mut side = |things: usize| -> Vec<Vec<f64>> {
        let thing = |_| {
            let runs = 0..4;
            let of_run = |_| {
                let share = 0.2 * (1.0 + 0.2 * (chance.below_one() - 0.5));
                windows(&mut chance, share, 3.0, 20, 499)
            };
            runs.flat_map(of_run).collect()
        };
        (0..things).map(thing).collect()
    };
    let (base, new) = (side(1000), side(1000));
    let whole = vec![499.0; 80];
    let seen = |part| Seen {
        part,
        whole: &whole,
        runs: &runs,
        grain: 1.0,
    };
    let pairs = || {
        base.iter()
            .zip(&new)
            .map(|(base, new)| [seen(base), seen(new)])
    };
    let alarms = |between| {
        pairs()
            .filter(|pair| compare(*pair, between, 0.0).p < 0.05)
            .count()
    };
    let (blind, seeing) = (alarms(None), alarms(BetweenRuns::of(pairs())));
    assert!(blind > 150, "windows alone do not see it: {blind}");
    assert!(seeing <= 65, "{seeing}");
}

#[test]
fn the_other_way_round_is_the_other_sign() {
    let mut chance = Chance(2);
    let base = windows(&mut chance, 0.2, 3.0, 20, 99);
    let new = windows(&mut chance, 0.3, 3.0, 20, 99);
    let there = compared(&base, &new, &one_run(20), None);
    let back = compared(&new, &base, &one_run(20), None);
    assert_eq!(
        (there.p, there.t, there.delta),
        (back.p, back.t, -back.delta)
    );
    assert_eq!(there.ci95, [-back.ci95[1], -back.ci95[0]]);
}

#[test]
fn what_was_never_there_before_is_judged_too() {
    let base = [0.0; 20];
    let new: Vec<f64> = (0..20).map(|window| 5.0 + f64::from(window % 3)).collect();
    let appeared = compared(&base, &new, &one_run(20), None);
    assert!(
        appeared.p < 1e-6 && appeared.ratio.is_none(),
        "{appeared:?}"
    );
    let mut once = base.to_vec();
    once[7] = 1.0;
    assert!(
        compared(&base, &once, &one_run(20), None).p > 0.1,
        "a single sample is nothing"
    );
}

#[test]
fn nothing_at_all_is_no_change() {
    for windows in [0, 1, 2] {
        let none = vec![0.0; windows];
        let compared = compare(
            [Seen {
                part: &none,
                whole: &none,
                runs: &one_run(windows),
                grain: 0.0,
            }; 2],
            None,
            0.0,
        );
        assert_eq!((compared.p, compared.delta), (1.0, 0.0));
    }
}
