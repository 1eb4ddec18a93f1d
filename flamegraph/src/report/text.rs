//! The report as a screenful for people.

use super::model::{Finding, Report, Severity};
use super::said::{
    class, facts, head, ms, quality, spot_details, spot_text, stay, wait_text, workers,
};
pub use super::table::Color;
use super::table::{Ink, Sheet, Table, shortened, wrapped};
use crate::printable::{count, number, percent, printable};

/// Rows of each part when no number is asked for.
const SPOTS: usize = 5;
const WAITS: usize = 6;
const KINDS: usize = 8;
const TASKS: usize = 5;
const WORKERS: usize = 8;

impl Report {
    /// The report as text, at most 100 columns wide: what matters most first,
    /// and of each part the first rows, or as many as asked for.
    #[must_use]
    pub fn to_text(&self, top: Option<usize>, color: Color) -> String {
        let mut page = Page {
            report: self,
            top,
            sheet: Sheet::new(color),
        };
        page.head();
        page.findings();
        page.stalls();
        page.waits();
        page.kinds();
        page.tasks();
        page.workers();
        page.quality();
        page.sheet.out
    }
}

struct Page<'a> {
    report: &'a Report,
    top: Option<usize>,
    sheet: Sheet,
}

impl Page<'_> {
    fn rows(&self, usual: usize) -> usize {
        self.top.unwrap_or(usual)
    }

    fn head(&mut self) {
        let report = self.report;
        let head = head(report);
        let head = self.sheet.color.ink(Ink::Bold, head.trim_start());
        self.sheet.line(&head);
        let facts = facts(report);
        wrapped(&mut self.sheet.out, "", 0, &printable(&facts.join(" · ")));
    }

    fn findings(&mut self) {
        let report = self.report;
        if report.findings.is_empty() {
            return;
        }
        self.sheet.title("FINDINGS", "");
        let shown = self.rows(SPOTS);
        for finding in report.findings.iter().take(shown) {
            self.finding(finding);
        }
        self.sheet.rest(shown, report.findings.len());
    }

    fn finding(&mut self, finding: &Finding) {
        let (name, ink) = match finding.severity {
            Severity::High => ("high", Ink::Red),
            Severity::Medium => ("medium", Ink::Yellow),
            Severity::Low => ("low", Ink::Cyan),
        };
        let name = self.sheet.color.ink(ink, &format!("{name:<6}"));
        wrapped(
            &mut self.sheet.out,
            &format!("  {name}  "),
            10,
            &printable(&finding.text),
        );
    }

    fn stalls(&mut self) {
        let report = self.report;
        if report.runtimes.is_empty() {
            return;
        }
        let threshold = ms(report.quality.stall_threshold_ms);
        if report.stalls.is_empty() {
            self.sheet.title(
                "STALLS",
                &format!("no poll held its worker for {threshold} or more"),
            );
            return;
        }
        self.sheet.title(
            "STALLS",
            &format!("polls that held their worker for {threshold} or more"),
        );
        let mut table = Table::new(&["count", "total", "median", "max", "cause, culprit and kind"]);
        let shown = self.rows(SPOTS);
        for spot in report.stalls.iter().take(shown) {
            table.row(vec![
                count(spot.count),
                ms(spot.total_ms),
                ms(spot.p50_ms),
                ms(spot.max_ms),
                spot_text(spot),
            ]);
            // The place and the kind on lines of their own: names are long.
            for more in spot_details(spot) {
                table.row(vec![
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    more,
                ]);
            }
        }
        table.write(&mut self.sheet.out, self.sheet.color);
        self.sheet.rest(shown, report.stalls.len());
    }

    fn waits(&mut self) {
        let report = self.report;
        if report.quality.snapshots == 0 {
            return;
        }
        if report.waits.is_empty() {
            self.sheet.title("WHERE TASKS WAIT", "no task was seen");
            return;
        }
        self.sheet.title(
            "WHERE TASKS WAIT",
            "tasks on average, and how long they were seen to stay",
        );
        let mut table = Table::new(&[
            "tasks",
            "share",
            "ready",
            "half stay",
            "most",
            "what for, and where",
        ]);
        let shown = self.rows(WAITS);
        for row in report.waits.iter().take(shown) {
            let [first, second] = wait_text(row);
            table.row(vec![
                number(row.mean_tasks),
                percent(row.share),
                number(row.ready_mean),
                row.stayed_ms
                    .as_ref()
                    .map_or_else(String::new, |stayed| stay(stayed, stayed.p50)),
                row.stayed_ms
                    .as_ref()
                    .map_or_else(String::new, |stayed| stay(stayed, stayed.max)),
                first,
            ]);
            let blank = String::new;
            table.row(vec![blank(), blank(), blank(), blank(), blank(), second]);
        }
        table.write(&mut self.sheet.out, self.sheet.color);
        self.sheet
            .rest(shown, report.waits_total.max(report.waits.len()));
    }

    fn kinds(&mut self) {
        let report = self.report;
        if report.kinds.is_empty() {
            return;
        }
        self.sheet
            .title("KINDS OF TASKS", "CPU time, with its 95 % interval");
        let mut heads = vec![
            "cpu", "share", "interval", "alive", "tasks", "stalls", "kind",
        ];
        let has_lives = report.kinds.iter().any(|row| row.live_mean.is_some());
        if !has_lives {
            heads.retain(|head| *head != "alive");
        }
        let mut table = Table::new(&heads);
        let shown = self.rows(KINDS);
        for row in report.kinds.iter().take(shown) {
            let [low, high] = row.cpu_share_ci95;
            let class = class(row.class);
            let mut cells = vec![
                ms(row.cpu_ms),
                percent(row.cpu_share),
                format!("{:.1} to {:.1}", low * 100.0, high * 100.0),
            ];
            if has_lives {
                cells.push(row.live_mean.map_or_else(String::new, number));
            }
            cells.extend([
                count(row.tasks_seen),
                count(row.stalls),
                format!("{}{class}", row.kind),
            ]);
            table.row(cells);
        }
        let outside = &report.outside_tasks;
        let mut cells = vec![ms(outside.cpu_ms), percent(outside.cpu_share)];
        cells.resize(heads.len() - 1, String::new());
        cells.push("[outside tasks]".to_owned());
        table.row(cells);
        table.write(&mut self.sheet.out, self.sheet.color);
        self.sheet.rest(shown, report.kinds.len());
    }

    fn tasks(&mut self) {
        let report = self.report;
        let shown = self.rows(TASKS);
        if report.tasks.is_empty() || shown == 0 {
            return;
        }
        self.sheet.title("BUSIEST TASKS", "");
        let mut table = Table::new(&["cpu", "share", "task", "kind"]);
        for row in report.tasks.iter().take(shown) {
            table.row(vec![
                ms(row.cpu_ms),
                percent(row.cpu_share),
                shortened(&row.id, 20),
                row.kind.clone(),
            ]);
        }
        table.write(&mut self.sheet.out, self.sheet.color);
    }

    fn workers(&mut self) {
        let report = self.report;
        if report.workers.is_empty() {
            return;
        }
        let about = workers(report);
        self.sheet.title("WORKERS", &about);
        let mut table = Table::new(&["busy", "stalled", "tid", "thread"]);
        let shown = self.rows(WORKERS);
        for row in report.workers.iter().take(shown) {
            table.row(vec![
                percent(row.busy_share),
                percent(row.stalled_share),
                row.tid.to_string(),
                row.thread.clone(),
            ]);
        }
        table.write(&mut self.sheet.out, self.sheet.color);
        self.sheet.rest(shown, report.workers.len());
    }

    fn quality(&mut self) {
        self.sheet.title("QUALITY", "");
        for text in quality(self.report) {
            wrapped(&mut self.sheet.out, "  ", 2, &text);
        }
        for note in &self.report.quality.notes {
            wrapped(&mut self.sheet.out, "  note: ", 8, &printable(note));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Cause, KindClass, ThreadRole};
    use crate::report::table::WIDTH;
    use crate::sample;

    fn page(top: Option<usize>) -> String {
        Report::of(&sample::service()).to_text(top, Color::Never)
    }

    #[test]
    fn a_screenful_says_what_matters_in_the_order_it_matters() {
        let page = page(None);
        let titles = [
            "FINDINGS",
            "STALLS",
            "KINDS OF TASKS",
            "BUSIEST TASKS",
            "WORKERS",
            "QUALITY",
        ];
        let places = titles.map(|title| {
            page.find(title)
                .unwrap_or_else(|| panic!("no {title}: {page}"))
        });
        assert!(places.is_sorted(), "{page}");
        assert!(page.lines().count() <= 50, "{page}");
        for said in [
            "app (pid 4711)  10.0 s recorded, 10.5 s on CPU",
            "tokio 1.54.1 multi_thread, 2 workers",
            "in clock_nanosleep: std::thread::sleep",
            "at src/mailer.rs:44, polling app::mailer::run",
            "use tokio::time::sleep",
            "[outside tasks]",
            "app::report::{closure#0} (blocking)",
            "lost 2 (0.2 %)",
        ] {
            assert!(page.contains(said), "{said}: {page}");
        }
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        assert!(!page(None).contains('\x1b'));
        let colored = Report::of(&sample::service()).to_text(None, Color::Always);
        assert!(colored.contains("\x1b[1;31mhigh"));
    }

    #[test]
    fn as_many_rows_as_asked_for() {
        let page = page(Some(1));
        assert!(page.contains("and 1 more (--top 2 shows them)"), "{page}");
        assert!(!page.contains("app::metrics"), "{page}");
    }

    #[test]
    fn no_line_is_too_long_and_no_name_drives_the_terminal() {
        let mut builder = sample::builder();
        let long = "very::".repeat(60);
        let nasty = format!("{long}name\x1b]0;owned\x07\r\n\u{202e}");
        builder.target_mut().name.clone_from(&nasty);
        builder.target_mut().exe.clone_from(&nasty);
        let kind = builder.kind(&nasty, KindClass::Async, Some(0));
        let thread = builder.thread(1, &nasty, ThreadRole::Worker { runtime: 0 });
        let task = builder.task(&nasty, kind);
        let line = format!("sync user {nasty} @ {nasty}.rs:1");
        let stack = sample::stack(&mut builder, &[&line]);
        builder.add_stall(crate::Stall {
            start_ns: 0,
            duration_ns: 1_000_000_000,
            uncertainty_ns: 0,
            kind: Some(kind),
            task,
            thread,
            cause: Cause::Syscall,
            syscall: Some(nasty.clone()),
            stacks: vec![(stack, 1_000_000_000)],
        });
        builder.quality_mut().notes.push(nasty);
        let report = Report::of(&builder.finish(2_000_000_000));
        let page = report.to_text(None, Color::Never);
        for line in page.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(
                !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{line:?}"
            );
        }
        assert!(page.contains("high"), "{page}");
    }

    #[test]
    fn a_native_program_has_a_report_too() {
        let mut builder = sample::builder();
        builder.set_runtimes(Vec::new());
        builder
            .quality_mut()
            .notes
            .push("no async runtime was found".to_owned());
        let page = Report::of(&builder.finish(1_000_000_000)).to_text(None, Color::Never);
        assert!(page.contains("note: no async runtime was found"), "{page}");
        assert!(
            !page.contains("STALLS") && !page.contains("KINDS"),
            "{page}"
        );
    }
}
