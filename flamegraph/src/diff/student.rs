//! Student's distribution.

use distrs::StudentsT;

/// How likely it is to be at least so far off, to either side, by chance.
pub(super) fn two_sided(t: f64, degrees: f64) -> f64 {
    if t.is_nan() {
        return 1.0;
    }
    // Farther off than this, it is nothing but rounding.
    let t = t.abs().min(1e4);
    (2.0 * StudentsT::cdf(-t, fit(degrees))).clamp(0.0, 1.0)
}

/// How far 95 % lie from the middle at the most.
pub(super) fn t95(degrees: f64) -> f64 {
    StudentsT::ppf(0.975, fit(degrees))
}

/// Degrees that the library can take: it knows none below 1, and its series for
/// whole numbers overflows for some (0.2.3, a counter of eight bits).
fn fit(degrees: f64) -> f64 {
    let degrees = if degrees.is_nan() { 1.0 } else { degrees };
    let degrees = degrees.clamp(1.0, 1e6);
    if degrees.fract() == 0.0 {
        degrees + 1e-6
    } else {
        degrees
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_one_of_the_tables() {
        for (degrees, t, p) in [
            (4.0, 2.776, 0.05),
            (10.0, 2.228, 0.05),
            (19.0, 3.883, 0.001),
            (38.0, 2.024, 0.05),
            (38.5, 4.2, 0.000_155),
        ] {
            let found = two_sided(t, degrees);
            assert!((found / p - 1.0).abs() < 0.02, "{degrees} {t}: {found}");
            assert_eq!(found, two_sided(-t, degrees));
        }
        for (degrees, t) in [(4.0, 2.776), (19.0, 2.093), (1000.0, 1.962)] {
            assert!(
                (t95(degrees) - t).abs() < 0.003,
                "{degrees}: {}",
                t95(degrees)
            );
        }
    }

    #[test]
    fn nothing_makes_it_panic_or_leave_its_bounds() {
        for t in [0.0, 1e-9, 2.0, 4.1, 40.0, 1e300, f64::INFINITY, f64::NAN] {
            for degrees in [f64::NAN, -1.0, 0.0, 1.0, 3.0, 19.0, 200.0, 1e9] {
                let p = two_sided(t, degrees);
                assert!((0.0..=1.0).contains(&p), "{t} {degrees}: {p}");
            }
        }
    }
}
