//! What can be typed to compare.

use awaitscope_flamegraph::{Normalization, Rule};
use clap::{ArgGroup, Args, ValueEnum};
use std::path::PathBuf;

/// `awaitscope diff`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["files", "base"])))]
pub struct DiffArgs {
    /// A profile or a capture of each, that `record` wrote
    #[arg(value_names = ["BASE", "NEW"], num_args = 2, conflicts_with_all = ["base", "new"])]
    pub files: Vec<PathBuf>,
    /// A recording of the base; more of them tell how much one run differs from the next
    #[arg(long, value_name = "FILE", requires = "new")]
    pub base: Vec<PathBuf>,
    /// A recording of the new release
    #[arg(long, value_name = "FILE", requires = "base")]
    pub new: Vec<PathBuf>,
    /// As what
    #[arg(long, value_enum, default_value_t = DiffFormatArg::Text)]
    pub format: DiffFormatArg,
    /// As which side the flamegraph of `--format svg` is drawn: what is gone is only in the base
    #[arg(long, value_enum, default_value_t = WidthsArg::New)]
    pub widths: WidthsArg,
    /// Where the comparison goes [default: standard output]
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// How many rows each table has at the most
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// End with exit code 3 if this is so, as `cpu:app::parse>5%`; may be given several times
    ///
    /// cpu:PATTERN>5%     a function or kind with PATTERN in its name costs more CPU than in the
    ///                    base, surely, and by more than 5 % (or >1.5x: so many times as much).
    /// stall:PATTERN>50ms in the new release a poll held its worker for longer than that, of a
    ///                    kind or by a function with PATTERN in its name.
    /// lag-mean>20ms      in the new release ready tasks waited longer than that for a worker, on
    ///                    average. Percentiles of lag are not known.
    /// tasks:PATTERN>2x   of a kind with PATTERN in its name so many times as many tasks are alive
    ///                    as in the base, surely (or >50%: so much more).
    ///
    /// A * in PATTERN stands for anything. What cannot be judged is an error (exit code 1).
    #[arg(long, value_name = "RULE", verbatim_doc_comment)]
    pub fail_on: Vec<Rule>,
    /// What times are divided by: the CPU time of what did not change (cpu), the time that passed
    /// (wall), or requests at these rates a second (requests=BASE,NEW)
    #[arg(long, value_name = "cpu|wall|requests=BASE,NEW", default_value = "cpu", value_parser = normalization)]
    pub normalize: Normalization,
    /// What changed by less than this, in percent of what it was, is not called a change
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    pub min_change: f64,
    /// What changed by less than this, in percent of all CPU time, is not called a change
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, value_parser = percent)]
    pub min_share: f64,
    /// A separate debug file of a binary, for captures
    #[arg(long, value_name = "FILE")]
    pub debug_file: Vec<PathBuf>,
}

/// As what a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormatArg {
    /// For people
    Text,
    /// For programs
    Json,
    /// A flamegraph, red where a stack costs more CPU and blue where it costs less
    Svg,
    /// A page with everything
    Html,
}

fn normalization(text: &str) -> Result<Normalization, String> {
    let rates = match text {
        "cpu" => return Ok(Normalization::Cpu),
        "wall" => return Ok(Normalization::Wall),
        _ => text.strip_prefix("requests="),
    };
    let rate = |text: &str| {
        text.trim()
            .parse::<f64>()
            .ok()
            .filter(|rate| rate.is_normal() && *rate > 0.0)
    };
    let rates = rates.and_then(|rates| rates.split_once(','));
    match rates.and_then(|(base, new)| Some((rate(base)?, rate(new)?))) {
        Some((base, new)) => Ok(Normalization::Requests { base, new }),
        None => Err(
            "it is cpu, wall, or requests=BASE,NEW with the requests a second of each side, \
                     as in requests=120,150"
                .to_owned(),
        ),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    match number {
        Ok(number) if (0.0..=1000.0).contains(&number) => Ok(number),
        _ => Err("it takes a percentage, as in 5".to_owned()),
    }
}

/// Whose times the widths of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WidthsArg {
    /// The new release's
    New,
    /// The base's
    Base,
}
