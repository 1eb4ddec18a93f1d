use super::*;
use crate::top::sample::{model, seen, window};

fn selected(model: &Model) -> String {
    model.kinds()[model.place(Panel::Kinds).row].name.clone()
}

#[test]
fn a_selected_row_stays_selected_when_others_pass_it() {
    let mut model = model();
    model.go(Step::Down);
    assert_eq!(selected(&model), "app::thumbnail");
    let mut next = window();
    next.kinds[2].cpu_ms = 4000.0;
    model.see(seen(next));
    assert_eq!(selected(&model), "app::thumbnail");
    assert_eq!(model.place(Panel::Kinds).row, 2);
}

#[test]
fn the_first_row_is_whoever_is_first() {
    let mut model = model();
    let mut next = window();
    next.kinds[2].cpu_ms = 4000.0;
    model.see(seen(next));
    assert_eq!(selected(&model), "app::sweep");
}

#[test]
fn a_row_that_is_gone_leaves_its_place_to_the_next() {
    let mut model = model();
    model.go(Step::Last);
    let mut next = window();
    next.kinds.truncate(1);
    model.see(seen(next));
    assert_eq!(selected(&model), "app::serve");
    let mut none = window();
    none.kinds.clear();
    model.see(seen(none));
    model.go(Step::Down);
    model.drill();
    assert!(model.drill.is_none());
}

#[test]
fn what_is_held_stays_and_then_the_newest_is_shown() {
    let mut model = model();
    model.pause();
    for samples in [1, 2] {
        let mut next = window();
        next.quality.samples = samples;
        model.see(seen(next));
    }
    let samples = |model: &Model| model.seen.as_ref().map(|seen| seen.window.quality.samples);
    assert_eq!(samples(&model), Some(495));
    model.pause();
    assert_eq!(samples(&model), Some(2));
}

#[test]
fn rows_are_sorted_by_what_is_asked_for_and_the_other_way_around() {
    let mut model = model();
    model.sort();
    assert_eq!(model.kinds()[0].live, Some(120.0));
    model.reverse();
    assert_eq!(model.kinds()[0].live, None);
    model.focus(Panel::Waits);
    model.sort();
    assert_eq!(model.waits()[0].last, 130);
}

#[test]
fn stacks_are_cut_anew_with_each_profile_and_say_why_there_are_none() {
    let mut model = model();
    model.drill();
    let lines = |model: &Model| {
        let drill = model.drill.as_ref().expect("it is open");
        drill.lines.as_ref().map(Vec::len).map_err(Clone::clone)
    };
    assert_eq!(lines(&model), Ok(3));
    model.next();
    assert!(lines(&model).is_err_and(|why| !why.is_empty()));
    model.next();
    model.see(seen(window()));
    assert_eq!(lines(&model), Ok(3));
}
