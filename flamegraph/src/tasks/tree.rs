//! The stacks of many tasks as one tree: what they have in common stands once.
//!
//! A tree divides in two ways, which mean different things. *Branches* are taken by
//! different tasks; in a *fork*, each of the tasks waits at every prong (`join!`,
//! `select!`).

use super::groups::Waits;
use std::collections::HashMap;

/// A part of the tree that tasks have in common, and how it goes on.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// How many tasks go through here.
    pub count: u64,
    /// Frames without a division between them, by number.
    pub run: Vec<u32>,
    /// How it goes on, what most tasks do first.
    pub ends: Vec<End<'a>>,
}

/// How a part of the tree goes on.
#[derive(Debug)]
pub(super) enum End<'a> {
    /// So many tasks wait here.
    Leaf(u64, &'a Waits<'a>),
    /// Of so many tasks is not known where they wait.
    Unknown(u64),
    /// Some tasks go on here.
    Branch(Node<'a>),
    /// So many tasks wait at each of these.
    Fork(u64, Vec<Node<'a>>),
}

/// A stack without machinery and without the leaf, and what is waited for at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    pub frames: &'a [u32],
    pub waits: &'a Waits<'a>,
}

/// Tasks that wait at the ends of the same paths.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub count: u64,
    pub paths: Vec<Path<'a>>,
}

impl End<'_> {
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Leaf(count, _) | Self::Unknown(count) | Self::Fork(count, _) => *count,
            Self::Branch(node) => node.count,
        }
    }
}

/// The tree of some tasks from `depth` frames below the root on, above which they are
/// all the same. It calls itself once for each division on the way to a leaf.
pub(super) fn grow<'a>(members: Vec<Member<'a>>, mut depth: usize) -> Node<'a> {
    let count = members.iter().map(|member| member.count);
    let count = count.fold(0, u64::saturating_add);
    let mut run = Vec::new();
    while let Some(next) = common(&members, depth) {
        run.push(next);
        depth += 1;
    }
    let mut ends = Vec::new();
    let mut branches: Vec<(u32, Vec<Member<'a>>)> = Vec::new();
    let mut places = HashMap::new();
    for member in members {
        match member.paths.as_slice() {
            [] => ends.push(End::Unknown(member.count)),
            [path] if path.frames.len() <= depth => ends.push(End::Leaf(member.count, path.waits)),
            _ => match next_of(&member, depth) {
                Some(next) => {
                    let place = *places.entry(next).or_insert(branches.len());
                    if place == branches.len() {
                        branches.push((next, Vec::new()));
                    }
                    branches[place].1.push(member);
                }
                None => ends.push(fork(member, depth)),
            },
        }
    }
    let branches = branches.into_iter();
    ends.extend(branches.map(|(_, members)| End::Branch(grow(members, depth))));
    ends.sort_by_key(|end| std::cmp::Reverse(end.count()));
    Node { count, run, ends }
}

/// The prongs at which each of a member's tasks waits, in the order of the source.
fn fork(member: Member<'_>, depth: usize) -> End<'_> {
    let mut prongs: Vec<Vec<Path<'_>>> = Vec::new();
    let mut places = HashMap::new();
    for path in member.paths {
        let place = match path.frames.get(depth) {
            Some(next) => *places.entry(*next).or_insert(prongs.len()),
            // What ends here ends by itself.
            None => prongs.len(),
        };
        match prongs.get_mut(place) {
            Some(paths) => paths.push(path),
            None => prongs.push(vec![path]),
        }
    }
    let count = member.count;
    let prongs = prongs.into_iter();
    let prongs = prongs.map(|paths| grow(vec![Member { count, paths }], depth));
    End::Fork(count, prongs.collect())
}

/// The frame that all paths of all members have at this depth.
fn common(members: &[Member<'_>], depth: usize) -> Option<u32> {
    let first = next_of(members.first()?, depth)?;
    let same = |member: &Member<'_>| next_of(member, depth) == Some(first);
    members.iter().all(same).then_some(first)
}

/// The frame that all paths of a member have at this depth.
fn next_of(member: &Member<'_>, depth: usize) -> Option<u32> {
    let mut next = member.paths.iter().map(|path| path.frames.get(depth));
    let first = next.next()??;
    next.all(|other| other == Some(first)).then_some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member<'a>(count: u64, paths: &[&'a [u32]], waits: &'a Waits<'a>) -> Member<'a> {
        let paths = paths.iter().map(|frames| Path { frames, waits });
        Member {
            count,
            paths: paths.collect(),
        }
    }

    #[test]
    fn what_tasks_have_in_common_stands_once() {
        let waits = Waits::default();
        let members = vec![
            member(2, &[&[1, 2, 3]], &waits),
            member(5, &[&[1, 2, 4, 5]], &waits),
            member(1, &[&[1, 2]], &waits),
        ];
        let tree = grow(members, 0);
        assert_eq!((tree.count, &*tree.run), (8, &[1, 2][..]));
        let counts: Vec<u64> = tree.ends.iter().map(End::count).collect();
        assert_eq!(counts, [5, 2, 1]);
        let End::Branch(most) = &tree.ends[0] else {
            panic!("{tree:?}");
        };
        assert_eq!(most.run, [4, 5]);
        assert!(matches!(tree.ends[2], End::Leaf(1, _)));
    }

    #[test]
    fn a_task_that_waits_for_several_things_is_a_fork_and_not_a_branch() {
        let waits = Waits::default();
        let members = vec![member(7, &[&[1, 2], &[1, 3, 4], &[1, 3, 5], &[1]], &waits)];
        let tree = grow(members, 0);
        assert_eq!(tree.run, [1]);
        let [End::Fork(7, prongs)] = tree.ends.as_slice() else {
            panic!("{tree:?}");
        };
        let runs: Vec<&[u32]> = prongs.iter().map(|prong| &*prong.run).collect();
        assert_eq!(runs, [&[2][..], &[3], &[]]);
        assert!(matches!(prongs[1].ends[..], [End::Fork(7, _)]));
        assert!(matches!(prongs[2].ends[..], [End::Leaf(7, _)]));
    }

    /// The tasks at all ends. Those of a fork are the same at each prong.
    fn tasks(node: &Node<'_>) -> u64 {
        let of = |end: &End<'_>| match end {
            End::Branch(node) => tasks(node),
            End::Fork(count, prongs) => {
                assert!(prongs.len() > 1);
                assert!(prongs.iter().all(|prong| tasks(prong) == *count));
                *count
            }
            End::Leaf(count, _) | End::Unknown(count) => *count,
        };
        node.ends.iter().map(of).sum()
    }

    proptest! {
        #[test]
        fn every_task_is_in_the_tree_once(
            shapes in prop::collection::vec((1u64..9, prop::collection::vec(
                prop::collection::vec(0u32..3, 0..6), 0..5)), 0..20),
        ) {
            let waits = Waits::default();
            let members = shapes.iter().map(|(count, paths)| {
                let paths: Vec<&[u32]> = paths.iter().map(Vec::as_slice).collect();
                member(*count, &paths, &waits)
            });
            let tree = grow(members.collect(), 0);
            let count: u64 = shapes.iter().map(|(count, _)| count).sum();
            prop_assert_eq!(tree.count, count);
            prop_assert_eq!(tasks(&tree), count);
        }
    }
}
