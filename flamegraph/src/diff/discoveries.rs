//! How sure one must be of each of many things.

/// The largest p that is a discovery when all of these are asked at once, so that
/// among the discoveries at most a share of `rate` is expected to be false (Y.
/// Benjamini and Y. Hochberg, *Controlling the false discovery rate*, 1995). It
/// holds for things that grow together, as callers and callees do (Benjamini and
/// Yekutieli 2001).
pub(super) fn threshold(p: impl Iterator<Item = f64>, rate: f64) -> f64 {
    let mut sorted: Vec<f64> = p.collect();
    sorted.sort_by(f64::total_cmp);
    let all = sorted.len() as f64;
    let ranked = sorted.iter().enumerate();
    let mut found = ranked
        .rev()
        .filter(|&(rank, &p)| p <= rate * (rank + 1) as f64 / all);
    found.next().map_or(-1.0, |(_, &p)| p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_questions_need_surer_answers_and_many_answers_less() {
        let ask = |p: &[f64]| threshold(p.iter().copied(), 0.05);
        assert_eq!(ask(&[0.04]), 0.04);
        assert_eq!(ask(&[0.04, 0.5]), -1.0);
        assert_eq!(ask(&[0.04, 0.03]), 0.04);
        // The example of the paper.
        let paper = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262,
            0.5719, 0.6528, 0.759, 1.0,
        ];
        assert_eq!(ask(&paper), 0.0095);
        assert_eq!(ask(&[]), -1.0);
    }
}
