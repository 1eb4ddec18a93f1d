//! The comparison as one page that opens from disk.
//!
//! It has no script of its own; the pictures bring theirs, each in a frame by itself.

use super::model::{Change, Diff, Fate, Verdict};
use super::text::{amount, aside, details, relative};
use crate::printable::{count, duration, printable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Rows of each table at the most.
const ROWS: usize = 200;
/// Of what did not change.
const GREY: usize = 100;

/// The views, and what they are called.
const VIEWS: [(&str, &str); 5] = [
    ("cpu", "CPU time"),
    ("stall", "Stalls: ms that workers were held, each second"),
    ("wait", "Where tasks wait: tasks on average"),
    ("tasks", "Tasks alive on average"),
    ("lag", "Lag: how long ready tasks wait for a worker"),
];

/// Text for HTML: what is to be seen, and nothing else.
fn text(of: &str) -> String {
    quick_xml::escape::escape(&*printable(of)).into_owned()
}

/// The page with these pictures, each with what it is called.
pub(super) fn page(diff: &Diff, pictures: &[(&str, String)]) -> String {
    let mut page = String::new();
    let name = text(&diff.new.target.name);
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; script-src 'unsafe-inline'; frame-src data:\">\
         <title>{name}: what changed</title><style>{}</style></head><body>\n",
        include_str!("page.css")
    );
    head(&mut page, diff, &name);
    for (view, title) in VIEWS {
        table(&mut page, diff, view, title);
    }
    moved(&mut page, diff);
    for (title, svg) in pictures {
        picture(&mut page, title, svg);
    }
    quality(&mut page, diff);
    page.push_str("</body></html>\n");
    page
}

fn head(page: &mut String, diff: &Diff, name: &str) {
    let verdict = match diff.verdict {
        Verdict::Regressed => "regressed",
        Verdict::Improved => "improved",
        Verdict::Unchanged => "unchanged",
        Verdict::Inconclusive => "inconclusive",
    };
    let _ = write!(
        page,
        "<h1>{name} <span class=\"verdict {verdict}\">{verdict}</span></h1>\n<ul>"
    );
    for reason in &diff.reasons {
        let _ = write!(page, "<li>{}</li>", text(reason));
    }
    page.push_str("</ul>\n<p class=\"soft\">");
    for (which, side) in [("base", &diff.base), ("new", &diff.new)] {
        let ids: Vec<&str> = side
            .runs
            .iter()
            .filter_map(|run| run.build_id.as_deref())
            .take(1)
            .collect();
        let ms: f64 = side.runs.iter().map(|run| run.duration_s * 1e3).sum();
        let samples = side
            .runs
            .iter()
            .map(|run| run.samples)
            .fold(0, u64::saturating_add);
        let _ = write!(
            page,
            "{which}: {} {} · {} recorded in {} · {} samples · {} windows<br>",
            text(&side.target.exe),
            text(&ids.join(" ")),
            duration((ms * 1e6) as u64),
            side.runs.len(),
            count(samples),
            side.windows
        );
    }
    let _ = writeln!(page, "compared by {}</p>", diff.normalized_by);
    if diff.rules.is_empty() {
        return;
    }
    page.push_str("<h2>Rules</h2>\n<ul>");
    for rule in &diff.rules {
        let outcome = match (rule.is_broken(), rule.is_unjudged()) {
            (true, _) => "broken",
            (_, true) => "open",
            _ => "holds",
        };
        let _ = write!(page, "<li><b>{outcome}</b> {}</li>", text(rule.why()));
    }
    page.push_str("</ul>\n");
}

fn table(page: &mut String, diff: &Diff, view: &str, title: &str) {
    let of_view = || diff.changes.iter().filter(|change| change.view == view);
    if of_view().next().is_none() {
        return;
    }
    let _ = writeln!(page, "<h2>{title}</h2>");
    let leading: Vec<&Change> = of_view().filter(|change| change.leading).collect();
    if leading.is_empty() {
        page.push_str("<p class=\"soft\">No change that can be told.</p>\n");
    } else {
        rows(page, &leading, ROWS);
    }
    let others: Vec<&Change> = of_view().filter(|change| !change.leading).collect();
    if !others.is_empty() {
        let _ = writeln!(
            page,
            "<details><summary>{} others: callers and parts of these, and what did not \
             change</summary>",
            others.len()
        );
        rows(page, &others, GREY);
        page.push_str("</details>\n");
    }
}

fn rows(page: &mut String, changes: &[&Change], most: usize) {
    page.push_str(
        "<div class=\"table\"><table><thead><tr><th>base</th><th>new</th><th>change</th>\
         <th>95 % interval</th><th>what</th></tr></thead><tbody>\n",
    );
    for change in changes.iter().take(most) {
        let fate = match change.fate {
            Fate::Unchanged => "unchanged",
            Fate::Grown => "grown",
            Fate::Shrunk => "shrunk",
            Fate::Appeared => "appeared",
            Fate::Vanished => "vanished",
        };
        let value = &change.value;
        let [by, interval] = relative(value);
        let more = details(change).map_or_else(String::new, |more| {
            format!("<br><small>{}</small>", text(&more))
        });
        let _ = writeln!(
            page,
            "<tr class=\"{fate}\"><td>{}</td><td>{}</td><td class=\"{fate}\">{by}</td><td>{interval}</td>\
             <td>{}{}{more}</td></tr>",
            amount(change.unit, value.base),
            amount(change.unit, value.new),
            text(&change.function),
            aside(change),
        );
    }
    page.push_str("</tbody></table></div>\n");
    if changes.len() > most {
        let _ = writeln!(
            page,
            "<p class=\"soft\">and {} more</p>",
            changes.len() - most
        );
    }
}

fn moved(page: &mut String, diff: &Diff) {
    if diff.moved.is_empty() {
        return;
    }
    page.push_str("<h2>Moved</h2>\n<ul>");
    for moved in diff.moved.iter().take(ROWS) {
        let _ = write!(
            page,
            "<li>{} from {} to {}, within {}, which costs what it did</li>",
            amount(moved.unit, moved.amount),
            text(&moved.from),
            text(&moved.to),
            text(&moved.within)
        );
    }
    page.push_str("</ul>\n");
}

fn picture(page: &mut String, title: &str, svg: &str) {
    let height = svg
        .split_once("height=\"")
        .and_then(|(_, rest)| rest.split_once('"')?.0.parse::<u32>().ok());
    let _ = writeln!(
        page,
        "<h2>{title}</h2>\n<iframe title=\"{title}\" height=\"{}\" \
         src=\"data:image/svg+xml;base64,{}\"></iframe>",
        height.unwrap_or(600).min(4000).saturating_add(10),
        STANDARD.encode(svg)
    );
}

fn quality(page: &mut String, diff: &Diff) {
    if diff.warnings.is_empty() {
        return;
    }
    page.push_str("<h2>What may mislead</h2>\n<ul>");
    for warning in &diff.warnings {
        let _ = write!(page, "<li>{}</li>", text(warning));
    }
    page.push_str("</ul>\n");
}
