//! The comparison as a screenful for people.

use super::model::{Change, Diff, Fate, PartOf, SideRow, Unit, Value, Verdict};
use crate::printable::{count, duration, number, percent, printable};
use crate::report::{Color, Ink, Sheet, Table, shortened, wrapped};

/// Rows of each part when no number is asked for.
const ROWS: usize = 10;
/// Reasons that stand at the top.
const REASONS: usize = 3;

impl Diff {
    /// The comparison as text, at most 100 columns wide: the verdict, then what
    /// changed, the most first, as many rows of each sort as asked for.
    #[must_use]
    pub fn to_text(&self, top: Option<usize>, color: Color) -> String {
        let mut page = Page {
            diff: self,
            rows: top.unwrap_or(ROWS),
            sheet: Sheet::new(color),
        };
        page.head();
        page.rules();
        page.changes("cpu", "CPU TIME", "what changed, with its 95 % interval");
        page.changes("stall", "STALLS", "ms that workers were held, each second");
        page.changes("wait", "WHERE TASKS WAIT", "tasks on average");
        page.changes("tasks", "TASKS", "alive on average");
        page.changes("lag", "LAG", "ms that ready tasks wait for a worker");
        page.moved();
        page.quality();
        page.sheet.out
    }
}

struct Page<'a> {
    diff: &'a Diff,
    rows: usize,
    sheet: Sheet,
}

impl Page<'_> {
    fn head(&mut self) {
        let diff = self.diff;
        let (name, ink) = match diff.verdict {
            Verdict::Regressed => ("REGRESSED", Ink::Red),
            Verdict::Improved => ("IMPROVED", Ink::Cyan),
            Verdict::Unchanged => ("UNCHANGED", Ink::Bold),
            Verdict::Inconclusive => ("INCONCLUSIVE", Ink::Yellow),
        };
        let indent = name.len() + 2;
        for (index, reason) in diff.reasons.iter().take(REASONS).enumerate() {
            let first = match index {
                0 => format!("{}  ", self.sheet.color.ink(ink, name)),
                _ => " ".repeat(indent),
            };
            wrapped(&mut self.sheet.out, &first, indent, reason);
        }
        self.sheet.out.push('\n');
        self.side("base", &diff.base);
        self.side("new", &diff.new);
        let by = match diff.normalized_by {
            "wall" => "compared by wall time",
            "requests" => "compared by request",
            _ => "compared by CPU time: what did not change is held equal",
        };
        let by = self.sheet.color.ink(Ink::Dim, by);
        self.sheet.line(&format!("  {by}"));
    }

    fn side(&mut self, which: &str, side: &SideRow) {
        let sum = |of: fn(&super::model::RunRow) -> f64| side.runs.iter().map(of).sum::<f64>();
        let mut ids: Vec<&str> = side
            .runs
            .iter()
            .filter_map(|run| run.build_id.as_deref())
            .collect();
        ids.dedup();
        let ids: Vec<String> = ids
            .iter()
            .take(2)
            .map(|id| id.chars().take(8).collect())
            .collect();
        let runs = match side.runs.len() {
            1 => String::new(),
            runs => format!("{runs} recordings, "),
        };
        let ns = |ms: f64| duration((ms * 1e6).round() as u64);
        let line = format!(
            "{which:<4}  {} {}  {runs}{} recorded, {} on CPU, {} samples, {} windows",
            shortened(&side.target.name, 30),
            printable(&ids.join(" ")),
            ns(sum(|run| run.duration_s * 1e3)),
            ns(sum(|run| run.cpu_ms)),
            count(
                side.runs
                    .iter()
                    .map(|run| run.samples)
                    .fold(0, u64::saturating_add)
            ),
            side.windows,
        );
        wrapped(&mut self.sheet.out, "  ", 8, &line);
    }

    fn rules(&mut self) {
        let diff = self.diff;
        if diff.rules.is_empty() {
            return;
        }
        self.sheet.title("RULES", "");
        for rule in &diff.rules {
            let (name, ink) = match (rule.is_broken(), rule.is_unjudged()) {
                (true, _) => ("broken", Ink::Red),
                (_, true) => ("open  ", Ink::Yellow),
                _ => ("holds ", Ink::Dim),
            };
            let first = format!("  {}  ", self.sheet.color.ink(ink, name));
            wrapped(&mut self.sheet.out, &first, 10, rule.why());
        }
    }

    fn changes(&mut self, view: &str, title: &str, about: &str) {
        let of_view = self
            .diff
            .changes
            .iter()
            .filter(|change| change.view == view && change.leading);
        let changes: Vec<&Change> = of_view.collect();
        if changes.is_empty() {
            return;
        }
        self.sheet.title(title, about);
        let mut table = Table::new(&["base", "new", "change", "interval", "what"]);
        let shown = self.rows.min(changes.len());
        for change in &changes[..shown] {
            let value = &change.value;
            let [relative, interval] = relative(value);
            table.row(vec![
                amount(change.unit, value.base),
                amount(change.unit, value.new),
                relative,
                interval,
                format!("{}{}", change.function, aside(change)),
            ]);
            if let Some(more) = details(change) {
                let blank = String::new;
                table.row(vec![blank(), blank(), blank(), blank(), more]);
            }
        }
        table.write(&mut self.sheet.out, self.sheet.color);
        self.sheet.rest(shown, changes.len());
    }

    fn moved(&mut self) {
        let diff = self.diff;
        if diff.moved.is_empty() {
            return;
        }
        self.sheet
            .title("MOVED", "what calls both costs what it did");
        for moved in diff.moved.iter().take(self.rows) {
            let text = format!(
                "{} from {} to {}, within {}",
                amount(moved.unit, moved.amount),
                printable(&moved.from),
                printable(&moved.to),
                printable(&moved.within)
            );
            wrapped(&mut self.sheet.out, "  ", 4, &text);
        }
        self.sheet
            .rest(self.rows.min(diff.moved.len()), diff.moved.len());
    }

    fn quality(&mut self) {
        let diff = self.diff;
        self.sheet.title("QUALITY", "");
        for warning in &diff.warnings {
            wrapped(&mut self.sheet.out, "  note: ", 8, warning);
        }
        let grey = diff
            .changes
            .iter()
            .filter(|change| !change.significant)
            .count();
        let line = format!(
            "{} things were compared; {} of them did not change as far as can be told",
            count(diff.changes.len() as u64),
            count(grey as u64)
        );
        wrapped(&mut self.sheet.out, "  ", 2, &line);
    }
}

/// A number with its unit.
pub(super) fn amount(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => percent(value),
        Unit::Cpus => format!("{value:.3} CPUs"),
        Unit::MsPerRequest | Unit::Ms => duration((value * 1e6).round().max(0.0) as u64),
        Unit::Tasks => number(value),
        Unit::MsPerS => number(value),
    }
}

/// By how much, and between what and what.
pub(super) fn relative(value: &Value) -> [String; 2] {
    let signed = |ratio: f64| {
        let change = (ratio - 1.0) * 100.0;
        let digits = usize::from(change.abs() < 99.95);
        format!("{change:+.digits$}")
    };
    match (value.ratio, value.ratio_ci95) {
        (Some(ratio), Some([low, high])) if ratio < 10.0 => [
            format!("{} %", signed(ratio)),
            format!("{} to {}", signed(low), signed(high)),
        ],
        (Some(ratio), Some([low, high])) => [
            format!("×{}", number(ratio)),
            format!("×{} to ×{}", number(low), number(high)),
        ],
        _ if value.new > value.base => ["new".to_owned(), String::new()],
        _ => ["gone".to_owned(), String::new()],
    }
}

pub(super) fn aside(change: &Change) -> &'static str {
    match (change.part, change.moved) {
        (Some(PartOf::Own), false) => "  (by itself)",
        (Some(PartOf::Own), true) => "  (by itself; moved)",
        (_, true) => "  (moved)",
        _ => "",
    }
}

/// Where, on a line of its own.
pub(super) fn details(change: &Change) -> Option<String> {
    if let Some(stalls) = change.stalls {
        let polling = change
            .kind
            .as_deref()
            .unwrap_or("a task that could not be told");
        return Some(format!(
            "{} a second, {} before; {} ms at most, {} before; polling {polling}",
            number(stalls.new_per_s),
            number(stalls.base_per_s),
            number(stalls.new_max_ms),
            number(stalls.base_max_ms),
        ));
    }
    let callers = change.stack.len().checked_sub(1)?;
    match change.view {
        "wait" => change.kind.as_ref().map(|kind| format!("of {kind}")),
        "cpu" if callers > 0 => Some(format!("in {}", change.stack[..callers].join(" › "))),
        _ => None,
    }
}

/// A change in a sentence.
pub(super) fn words(change: &Change) -> String {
    let value = &change.value;
    let name = printable(&change.function);
    let (base, new) = (
        amount(change.unit, value.base),
        amount(change.unit, value.new),
    );
    match (change.view, change.fate) {
        ("cpu", Fate::Appeared) => format!("{name} is new and uses {new} {}", of_cpu(change.unit)),
        ("cpu", Fate::Vanished) => {
            format!("{name} is gone, which used {base} {}", of_cpu(change.unit))
        }
        ("cpu", _) => {
            let by_itself = match change.part {
                Some(PartOf::Own) => " by itself",
                _ => "",
            };
            format!("{name}{by_itself} costs {} CPU time", more_or_less(value))
        }
        ("stall", fate) => {
            let longest = change
                .stalls
                .map_or(0.0, |stalls| stalls.new_max_ms.max(stalls.base_max_ms));
            let longest = duration((longest * 1e6).round() as u64);
            match fate {
                Fate::Appeared => format!(
                    "{name} now holds workers, for {new} ms each second and up to {longest} at once"
                ),
                Fate::Vanished => {
                    format!("{name} no longer holds workers, as it did for {base} ms each second")
                }
                _ => format!(
                    "{name} holds workers for {new} ms each second, {base} before, and up to {longest} at once"
                ),
            }
        }
        ("wait", Fate::Appeared) => format!("{new} tasks wait at {name}, which is new"),
        ("wait", Fate::Vanished) => format!("no task waits at {name} any more, where {base} did"),
        ("wait", _) => format!("{new} tasks wait at {name}, {base} before"),
        ("tasks", _) => format!("{new} tasks of {name} are alive, {base} before"),
        _ => format!("ready tasks wait {new} for a worker, {base} before"),
    }
}

fn of_cpu(unit: Unit) -> &'static str {
    match unit {
        Unit::Share => "of the CPU time",
        Unit::MsPerRequest => "of CPU time for each request",
        _ => "",
    }
}

fn more_or_less(value: &Value) -> String {
    let (Some(ratio), Some([low, high])) = (value.ratio, value.ratio_ci95) else {
        return String::new();
    };
    let part = |ratio: f64| percent((ratio - 1.0).abs());
    match ratio {
        _ if ratio >= 10.0 => format!("{} times as much", number(ratio)),
        _ if ratio >= 1.0 => format!(
            "{} more (95 %: {} to {})",
            part(ratio),
            signed(low),
            signed(high)
        ),
        _ => format!(
            "{} less (95 %: {} to {})",
            part(ratio),
            signed(low),
            signed(high)
        ),
    }
}

fn signed(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}
