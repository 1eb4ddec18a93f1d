//! Whole stacks.

use crate::report::Frame;
use crate::truth::ExpectedFrame;
use std::iter::Peekable;

/// What is wrong with a stack, root first; `None` when it is as expected.
///
/// Only the frames of the service's own files are compared, and all of those,
/// except frames above the root of the task: they belong to the thread that runs
/// it. Machinery is told apart by its kind. With `names` false only the lines are
/// compared: where there are no types, inlined functions have no whole name.
#[must_use]
pub fn stack_mismatch(expected: &[&ExpectedFrame], found: &[Frame], names: bool) -> Option<String> {
    let own = found
        .iter()
        .filter(|frame| matches!(frame.kind.as_str(), "async" | "sync"))
        .filter(|frame| {
            frame
                .file
                .as_deref()
                .is_some_and(|file| file.starts_with("src/"))
        });
    let mut left = own
        .skip_while(|frame| !expected.first().is_some_and(|root| is_at(root, frame)))
        .peekable();
    if left.peek().is_none() {
        let optional = expected.first().is_some_and(|root| root.optional);
        return match expected {
            [_, rest @ ..] if optional => stack_mismatch(rest, found, names),
            _ => Some(format!("the root is missing in {}", shown(found))),
        };
    }
    for frame in expected {
        if let Some(wrong) = take(frame, &mut left, names) {
            return Some(format!("{wrong} in {}", shown(found)));
        }
    }
    left.next()
        .map(|frame| format!("{} is too much in {}", frame.function, shown(found)))
}

/// Takes the frames that `expected` stands for.
fn take<'a>(
    expected: &ExpectedFrame,
    left: &mut Peekable<impl Iterator<Item = &'a Frame>>,
    names: bool,
) -> Option<String> {
    let mut count = 0;
    while let Some(frame) = left.next_if(|frame| is_at(expected, frame)) {
        count += 1;
        let same_name = without_generics(&frame.function) == without_generics(&expected.function);
        if names && !same_name {
            return Some(format!(
                "{} is called {}",
                expected.function, frame.function
            ));
        }
        if frame.kind != expected.kind {
            return Some(format!("{} is told as {}", expected.function, frame.kind));
        }
        if !expected.repeated {
            break;
        }
    }
    (count == 0 && !expected.optional)
        .then(|| format!("{} line {} is missing", expected.function, expected.line))
}

fn is_at(expected: &ExpectedFrame, frame: &Frame) -> bool {
    frame.file.as_deref() == Some(expected.file.as_str()) && frame.line == Some(expected.line)
}

/// A path without generic arguments: `a::b::<u8>` and `a::b<u8>` are `a::b`. The
/// brackets of `<T as Trait>` stay.
pub(super) fn without_generics(path: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0_usize;
    for (at, letter) in path.char_indices() {
        match letter {
            '<' if at == 0 => kept.push(letter),
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
    }
    kept.replace("::::", "::").trim_end_matches("::").to_owned()
}

fn shown(stack: &[Frame]) -> String {
    let lines: Vec<String> = stack
        .iter()
        .map(|frame| {
            format!(
                "{} {}:{} ({})",
                frame.function,
                frame.file.as_deref().unwrap_or("?"),
                frame.line.unwrap_or(0),
                frame.kind
            )
        })
        .collect();
    format!("\n  {}", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(depth: u32, function: &str, line: u32) -> ExpectedFrame {
        ExpectedFrame {
            shape: "test".into(),
            depth,
            repeated: false,
            optional: false,
            kind: "async".into(),
            function: function.into(),
            file: "src/main.rs".into(),
            line,
        }
    }

    fn found(function: &str, file: &str, line: u32) -> Frame {
        Frame {
            function: function.into(),
            file: Some(file.into()),
            line: Some(line),
            kind: "async".into(),
        }
    }

    fn mismatch(expected: &[ExpectedFrame], found: &[Frame]) -> Option<String> {
        stack_mismatch(&expected.iter().collect::<Vec<_>>(), found, true)
    }

    #[test]
    fn frames_of_others_and_those_above_the_root_are_left_out() {
        let stack = [
            found("app::main", "src/main.rs", 3),
            found("tokio::run", "tokio-1.54.1/src/run.rs", 3),
            found("app::root", "src/main.rs", 10),
            found("std::poll", "core/src/future.rs", 3),
            found("app::leaf::<u8>", "src/main.rs", 20),
        ];
        let plan = [expected(0, "app::root", 10), expected(1, "app::leaf", 20)];
        assert_eq!(mismatch(&plan, &stack), None);
    }

    #[test]
    fn a_wrong_line_a_wrong_name_and_a_frame_too_much_are_told() {
        let plan = [expected(0, "app::root", 10), expected(1, "app::leaf", 20)];
        let root = found("app::root", "src/main.rs", 10);
        let line = mismatch(
            &plan,
            &[root.clone(), found("app::leaf", "src/main.rs", 21)],
        );
        assert!(line.unwrap().contains("app::leaf line 20 is missing"));
        let name = mismatch(
            &plan,
            &[root.clone(), found("app::loaf", "src/main.rs", 20)],
        );
        assert!(name.unwrap().contains("is called app::loaf"));
        let leaf = found("app::leaf", "src/main.rs", 20);
        let extra = found("app::extra", "src/main.rs", 30);
        let more = mismatch(&plan, &[root, leaf, extra]);
        assert!(more.unwrap().contains("app::extra is too much"));
    }

    #[test]
    fn a_repeated_frame_may_stand_often_and_an_optional_one_not_at_all() {
        let mut wrapper = expected(0, "app::Wrapper::poll", 5);
        wrapper.optional = true;
        let mut again = expected(1, "app::again", 10);
        again.repeated = true;
        let plan = [wrapper, again];
        let frame = found("app::again", "src/main.rs", 10);
        assert_eq!(
            mismatch(&plan, &[frame.clone(), frame.clone(), frame.clone()]),
            None
        );
        let wrapper = found("app::Wrapper<F>::poll", "src/main.rs", 5);
        assert_eq!(mismatch(&plan, &[wrapper, frame]), None);
    }

    #[test]
    fn generics_do_not_count_and_qualified_paths_do() {
        assert_eq!(without_generics("a::b::<u8>"), "a::b");
        assert_eq!(without_generics("a::B<u8>::c"), "a::B::c");
        assert_eq!(
            without_generics("<a::B<u8> as a::C>::d"),
            "<a::B as a::C>::d"
        );
    }
}
