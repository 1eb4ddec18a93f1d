//! The profile model and its file, flamegraphs and reports.
