//! What of a type can lead to something that waits.

use crate::snapshot::WaitsOn;
use std::sync::Arc;

/// A shape, by its number in [`Shapes`](super::Shapes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ShapeId(pub u32);

/// What of a type can lead to something that waits. Offsets are bytes from the start of
/// a value of the type.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Nothing of it.
    Nothing,
    /// It is an async body. Its states are worked out when the first is met.
    Coroutine(Arc<Coroutine>),
    /// All of these parts.
    Parts(Arc<[Part]>),
    /// The parts of one variant.
    Choice(Arc<Choice>),
    /// What a thin pointer points to.
    Pointer(ShapeId),
    /// What a wide pointer points to, whose second word tells the type.
    Dyn { pointer: u64, vtable: u64 },
    /// What a pointer and a number of elements tell.
    Elements(Arc<Elements>),
    /// Nodes, each of which points to the next.
    List(Arc<List>),
    /// It is what waits.
    Leaf(Arc<Leaf>),
}

/// A part of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub offset: u64,
    pub shape: ShapeId,
}

/// An enum.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub discriminant: Option<(u64, u64)>,
    /// By the discriminant's value.
    pub variants: Vec<(u64, Part)>,
    /// What all other values mean.
    pub otherwise: Option<Part>,
}

/// An async body.
#[derive(Debug, Clone)]
pub(super) struct Coroutine {
    /// Where the number of the state stands, and how many bytes it has.
    pub discriminant: (u64, u64),
    /// By the number.
    pub states: Vec<(u64, State)>,
}

/// A state of an async body.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// Nothing polled it yet.
    Unresumed { frame: FrameKey },
    /// It ended.
    Ended,
    /// It awaits something.
    Suspended(Suspended),
}

/// An await point.
#[derive(Debug, Clone)]
pub(super) struct Suspended {
    pub frame: FrameKey,
    /// What it awaits; `None` for a generator that yielded.
    pub awaitee: Option<Part>,
    /// The leaf to show where the awaitee holds nothing that is known to wait.
    pub leaf: Arc<Leaf>,
    /// The locks that it holds meanwhile, as guards among its variables.
    pub guards: Arc<[DetailPath]>,
}

/// A frame in the list of a [`Shapes`](super::Shapes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FrameKey(pub u32);

/// Elements one after the other.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    /// Where the pointer to the first stands.
    pub pointer: u64,
    /// Where their number stands.
    pub count: u64,
    pub element: ShapeId,
    pub stride: u64,
}

/// Nodes that are linked.
#[derive(Debug, Clone)]
pub(super) struct List {
    /// Pointers to follow from the value to the one that holds the head: each the offset
    /// of a pointer.
    pub through: Vec<u64>,
    /// Where the pointers to the first nodes stand.
    pub heads: Vec<u64>,
    /// Bytes of a node.
    pub size: u64,
    /// In a node, where the pointer to the next stands.
    pub next: u64,
    /// In a node, what it holds.
    pub part: Part,
}

/// Something that waits.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub what: WaitsOn,
    /// Whatever awaits it.
    pub is_certain: bool,
    pub type_name: Arc<str>,
    pub detail: Option<DetailPath>,
    pub frame: FrameKey,
}

/// The way from a value to what identifies what it waits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetailPath {
    /// Offsets of the pointers to follow, each in what the one before points to.
    pub through: Vec<u64>,
    /// In what the last points to, where it stands.
    pub offset: u64,
    /// What it is.
    pub kind: LeafKind,
}

/// How a detail is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafKind {
    /// An `Instant`: seconds and, at this offset from them, nanoseconds.
    Deadline { nanoseconds: u64 },
    /// A descriptor, in 32 bits.
    Descriptor,
    /// The address of something that the kernel reports under that address.
    Registered,
    /// A pointer to a task.
    Task,
    /// The place itself is what is waited on: its address counts.
    Object,
}
