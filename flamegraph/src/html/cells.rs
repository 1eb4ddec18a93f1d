//! Numbers of rows over time, in little room.

use serde::Serialize;

/// Times of the rows of a table in each stretch of the recording, where there are any: by
/// columns, which are short as text.
#[derive(Debug, Default, Serialize)]
pub(super) struct Cells {
    /// For each stretch, and at last for the times that are in none that is known: where its
    /// cells end.
    ends: Vec<usize>,
    /// The cells' rows, each as the difference to the one before in its stretch.
    rows: Vec<usize>,
    /// Their times, in microseconds.
    us: Vec<u64>,
}

/// A time of a row in a stretch; `None` where the stretch is not known.
pub(super) type Cell = (Option<u32>, usize, u64);

impl Cells {
    /// The sums of such cells, in nanoseconds, over `count` stretches.
    pub(super) fn of(mut cells: Vec<Cell>, count: usize) -> Self {
        let place = |stretch: Option<u32>| stretch.map_or(count, |at| (at as usize).min(count));
        cells.sort_unstable_by_key(|&(stretch, row, _)| (place(stretch), row));
        let mut all = Self::default();
        // What is rounded off goes on to the next cell, so that sums are right.
        let mut carried = 0;
        let mut cells = cells.into_iter().peekable();
        for stretch in 0..=count {
            let mut before = 0;
            while let Some((_, row, ns)) = cells.next_if(|cell| place(cell.0) == stretch) {
                let mut ns = ns.saturating_add(carried);
                while let Some((_, _, more)) =
                    cells.next_if(|cell| place(cell.0) == stretch && cell.1 == row)
                {
                    ns = ns.saturating_add(more);
                }
                carried = ns % 1000;
                if ns >= 1000 {
                    all.rows.push(row - before);
                    all.us.push(ns / 1000);
                    before = row;
                }
            }
            all.ends.push(all.rows.len());
        }
        all
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_row_and_stretch_are_summed_and_nothing_is_rounded_away() {
        let cells = vec![
            (Some(1), 7, 1600),
            (None, 2, 5000),
            (Some(1), 3, 1000),
            (Some(1), 7, 900),
            (Some(0), 4, 2500),
            (Some(9), 1, 1000),
        ];
        let cells = Cells::of(cells, 2);
        assert_eq!(cells.ends, [1, 3, 5]);
        assert_eq!(cells.rows, [4, 3, 4, 1, 1]);
        assert_eq!(cells.us.iter().sum::<u64>(), 12);
        assert_eq!(cells.us, [2, 1, 3, 1, 5]);
        assert_eq!(cells.len(), 5);
    }
}
