//! From types to shapes.

use super::containers;
use super::name::{self, CoroutineName};
use super::shape::{
    Choice, Coroutine, DetailPath, FrameKey, Leaf, LeafKind, Part, Shape, ShapeId, State, Suspended,
};
use crate::frame::{Frame, FrameKind, Origin};
use crate::module::{DwarfReader, Svma};
use crate::names::SourceFile;
use crate::snapshot::WaitsOn;
use crate::types::{Declared, Form, Member, TypeId, Types};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How deep types are looked into by value and by pointer.
const DEEPEST: usize = 48;

/// The most types that are looked at to tell the shape of one.
const MOST_TYPES: usize = 20_000;

/// The most elements of an array that is held by value.
const MOST_INLINE: u64 = 256;

/// What a runtime knows of types that wait.
pub(crate) trait Knowledge: Send {
    /// Whether the type with this path (without its arguments) waits by itself, for what,
    /// and where it says on which.
    fn leaf(&self, path: &str) -> Option<Known>;

    /// What a type waits for that is not known, from its name, and from the function of
    /// a library that awaits it.
    fn classify(&self, type_path: &str, library: Option<&str>) -> WaitsOn;

    /// Of a guard of a lock, the member that leads to the lock, and the type that
    /// stands for the lock.
    fn guard(&self, path: &str) -> Option<(&'static str, &'static str)>;

    /// Whether an async function in this file is the runtime's machinery.
    fn is_glue(&self, file: &SourceFile) -> bool;

    /// Whether an async body, by the path of its type, only runs tasks of others: who
    /// awaits it waits for something else.
    fn only_works(&self, path: &str) -> bool;
}

/// A type that waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// For what; `None` where that depends on who awaits it.
    pub what: Option<WaitsOn>,
    /// Where it says on which.
    pub detail: Rule,
}

/// Where a type says on which thing it waits. Members are looked for in all that it
/// holds by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It does not.
    None,
    /// In an `Instant` of this name.
    Deadline(&'static str),
    /// In the descriptor that it owns.
    Descriptor,
    /// In the descriptor that is owned by what the first pointer in the member of this name
    /// leads to.
    DescriptorBehind(&'static str),
    /// Behind the first pointer in the member of this name.
    Task(&'static str),
    /// The same, for what others share.
    Object(&'static str),
    /// The same, for what is registered with the kernel.
    Registered(&'static str),
}

/// The shapes of a module's types, worked out when they are first met.
pub(crate) struct Shapes {
    types: Types<DwarfReader>,
    knowledge: Box<dyn Knowledge>,
    shapes: Vec<Shape>,
    sizes: Vec<u64>,
    known: HashMap<TypeId, ShapeId>,
    /// Coroutines whose states are not worked out yet.
    pending: HashMap<ShapeId, TypeId>,
    /// Types that are being worked out, and whether one of them was met again.
    open: HashSet<TypeId>,
    met_open: bool,
    visited: usize,
    frames: Vec<(Frame, Arc<str>)>,
    frame_keys: HashMap<(Frame, Arc<str>), FrameKey>,
    names: HashMap<TypeId, Arc<CoroutineName>>,
    vtables: HashMap<Svma, Option<(ShapeId, u64)>>,
}

impl std::fmt::Debug for Shapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shapes")
            .field("shapes", &self.shapes.len())
            .finish_non_exhaustive()
    }
}

/// The shape of what holds nothing that waits.
pub(super) const NOTHING: ShapeId = ShapeId(0);

impl Shapes {
    /// No shapes yet.
    pub fn new(types: Types<DwarfReader>, knowledge: Box<dyn Knowledge>) -> Self {
        Self {
            types,
            knowledge,
            shapes: vec![Shape::Nothing],
            sizes: vec![0],
            known: HashMap::new(),
            pending: HashMap::new(),
            open: HashSet::new(),
            met_open: false,
            visited: 0,
            frames: Vec::new(),
            frame_keys: HashMap::new(),
            names: HashMap::new(),
            vtables: HashMap::new(),
        }
    }

    /// The types.
    pub fn types(&mut self) -> &mut Types<DwarfReader> {
        &mut self.types
    }

    /// The readable name of the async body whose values have this type.
    pub fn coroutine_name(&mut self, id: TypeId) -> Arc<CoroutineName> {
        if let Some(known) = self.names.get(&id) {
            return Arc::clone(known);
        }
        let name = Arc::new(CoroutineName::of(&mut self.types, id));
        self.names.insert(id, Arc::clone(&name));
        name
    }

    /// The shape of a type.
    pub fn of(&mut self, id: TypeId) -> ShapeId {
        self.visited = 0;
        self.met_open = false;
        self.inner(id, 0)
    }

    /// The shape of a root future: never nothing.
    pub fn of_root(&mut self, future: TypeId) -> ShapeId {
        match self.of(future) {
            NOTHING => self.leaf_of(future),
            shape => shape,
        }
    }

    /// The same of one in an enum, of which only the variant `alive` holds it.
    pub fn root(&mut self, holder: TypeId, alive: &str, future: TypeId) -> Option<ShapeId> {
        let shape = self.of_root(future);
        let variants = self.types.variants(holder)?;
        let mut choice = Choice {
            discriminant: variants.discriminant,
            variants: Vec::new(),
            otherwise: None,
        };
        for variant in variants.variants {
            let here = variant.name == alive || self.types.name(variant.type_id)? == alive;
            let at = match here {
                true => self.types.walk(variant.type_id, &["__0"])?.0,
                false => 0,
            };
            let part = Part {
                offset: variant.offset.checked_add(at)?,
                shape: if here { shape } else { NOTHING },
            };
            match variant.value {
                Some(value) => choice.variants.push((value, part)),
                None => choice.otherwise = Some(part),
            }
        }
        let size = self.types.size(holder)?;
        Some(self.add(Shape::Choice(Arc::new(choice)), size))
    }

    /// Whether a shape leads anywhere.
    pub fn holds_something(&self, shape: ShapeId) -> bool {
        shape != NOTHING
    }

    /// Where a value of the type `path` stands in `outer`.
    pub fn type_within(&mut self, outer: TypeId, path: &str) -> Option<(u64, TypeId)> {
        containers::type_within(&mut self.types, outer, path)
    }

    /// A leaf for a root future that holds nothing known to wait.
    pub(super) fn leaf_of(&mut self, id: TypeId) -> ShapeId {
        let path = self.path(id);
        let leaf = self.leaf(id, &path, None);
        self.add(Shape::Leaf(Arc::new(leaf)), 0)
    }

    pub(super) fn shape(&self, id: ShapeId) -> Shape {
        self.shapes
            .get(id.0 as usize)
            .cloned()
            .unwrap_or(Shape::Nothing)
    }

    /// Bytes of a value of a shape.
    pub(super) fn size(&self, id: ShapeId) -> u64 {
        self.sizes.get(id.0 as usize).copied().unwrap_or(0)
    }

    /// The states of a coroutine, which are worked out now if they are not yet.
    pub(super) fn coroutine(&mut self, id: ShapeId) -> Option<Arc<Coroutine>> {
        if let Some(type_id) = self.pending.remove(&id) {
            let states = self.states(type_id);
            self.shapes[id.0 as usize] = match states {
                Some(coroutine) => Shape::Coroutine(Arc::new(coroutine)),
                None => Shape::Nothing,
            };
        }
        match self.shape(id) {
            Shape::Coroutine(coroutine) => Some(coroutine),
            _ => None,
        }
    }

    /// The shape and size of the value behind a vtable; `None` if the debug information
    /// does not tell it for certain.
    pub(super) fn behind_vtable(&mut self, vtable: Svma) -> Option<(ShapeId, u64)> {
        if let Some(known) = self.vtables.get(&vtable) {
            return *known;
        }
        let found = self.only_type_of(vtable).map(|id| {
            let shape = match self.of(id) {
                NOTHING => self.leaf_of(id),
                shape => shape,
            };
            (shape, self.types.size(id).unwrap_or(0))
        });
        self.vtables.insert(vtable, found);
        found
    }

    /// The linker may have made one of several equal vtables; then the type is not known.
    fn only_type_of(&mut self, vtable: Svma) -> Option<TypeId> {
        let candidates = self.types.vtable(vtable);
        let first = *candidates.first()?;
        let path = self.types.path(first)?;
        let same = |types: &mut Types<DwarfReader>, id: TypeId| {
            types.path(id).is_some_and(|other| other == path)
        };
        candidates
            .iter()
            .all(|id| same(&mut self.types, *id))
            .then_some(first)
    }

    pub(super) fn frame(&self, key: FrameKey) -> &Frame {
        &self.frames[key.0 as usize].0
    }

    /// The path of the function or type that a frame shows.
    pub(super) fn frame_path(&self, key: FrameKey) -> &str {
        &self.frames[key.0 as usize].1
    }

    pub(super) fn classify(&self, type_path: &str, library: Option<&str>) -> WaitsOn {
        self.knowledge.classify(type_path, library)
    }

    fn path(&mut self, id: TypeId) -> Arc<str> {
        self.types.path(id).unwrap_or_else(|| Arc::from(""))
    }

    fn add(&mut self, shape: Shape, size: u64) -> ShapeId {
        let id = ShapeId(u32::try_from(self.shapes.len()).unwrap_or(u32::MAX));
        self.shapes.push(shape);
        self.sizes.push(size);
        id
    }

    fn frame_key(&mut self, frame: Frame, path: Arc<str>) -> FrameKey {
        let both = (frame, path);
        if let Some(key) = self.frame_keys.get(&both) {
            return *key;
        }
        let key = FrameKey(u32::try_from(self.frames.len()).unwrap_or(u32::MAX));
        self.frames.push(both.clone());
        self.frame_keys.insert(both, key);
        key
    }

    /// The shape of a type that may be inside one that is being worked out.
    pub(super) fn inner(&mut self, id: TypeId, depth: usize) -> ShapeId {
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        if self.open.contains(&id) {
            // A type that holds itself holds nothing new.
            self.met_open = true;
            return NOTHING;
        }
        self.visited += 1;
        if depth >= DEEPEST || self.visited > MOST_TYPES {
            self.met_open = true;
            return NOTHING;
        }
        self.open.insert(id);
        let outside = std::mem::replace(&mut self.met_open, false);
        let shape = self.work_out(id, depth);
        self.open.remove(&id);
        let size = self.types.size(id).unwrap_or(0);
        let found = match shape {
            Some(Shape::Nothing) | None => NOTHING,
            Some(shape) => self.add(shape, size),
        };
        if let Some(Shape::Coroutine(_)) = self.shapes.get(found.0 as usize) {
            self.pending.insert(found, id);
        }
        // Nothing was found, but only because the search stopped where it had begun:
        // asked for by itself it may hold something.
        let whole = !self.met_open || self.open.is_empty();
        if found != NOTHING || whole {
            self.known.insert(id, found);
        }
        self.met_open |= outside;
        found
    }

    fn work_out(&mut self, id: TypeId, depth: usize) -> Option<Shape> {
        match self.types.form(id) {
            Form::Pointer { to } => self.pointer(id, to?, depth),
            Form::Array { element, count } => self.array(element, count, depth),
            Form::Enum => {
                let path = self.path(id);
                if name::is_coroutine(&path) {
                    if self.knowledge.only_works(name::without_arguments(&path)) {
                        return None;
                    }
                    // A placeholder: the states come when they are asked for.
                    return Some(Shape::Coroutine(Arc::new(Coroutine {
                        discriminant: (0, 0),
                        states: Vec::new(),
                    })));
                }
                self.known_leaf(id, &path)
                    .or_else(|| self.choice(id, depth))
            }
            Form::Struct => {
                let path = self.path(id);
                if let Some(leaf) = self.known_leaf(id, &path) {
                    return Some(leaf);
                }
                if let Some(container) = containers::container(self, id, &path, depth) {
                    return Some(container);
                }
                let members = self.types.members(id);
                match wide_pointer(&members) {
                    Some(wide) => self.wide(&path, wide, depth),
                    None => self.parts(&members, depth),
                }
            }
            Form::Union | Form::Base { .. } | Form::Other => None,
        }
    }

    /// Only who has a future for himself can poll it.
    fn pointer(&mut self, id: TypeId, to: TypeId, depth: usize) -> Option<Shape> {
        let name = self.types.name(id)?;
        if !is_followed(&name) {
            return None;
        }
        match self.inner(to, depth + 1) {
            NOTHING => None,
            shape => Some(Shape::Pointer(shape)),
        }
    }

    fn array(&mut self, element: TypeId, count: u64, depth: usize) -> Option<Shape> {
        let shape = self.inner(element, depth + 1);
        let stride = self.types.size(element)?;
        if shape == NOTHING || count > MOST_INLINE {
            return None;
        }
        let parts = (0..count)
            .map(|index| {
                Some(Part {
                    offset: index.checked_mul(stride)?,
                    shape,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Shape::Parts(parts.into()))
    }

    fn wide(&mut self, path: &str, wide: Wide, depth: usize) -> Option<Shape> {
        if !is_followed(path) {
            return None;
        }
        match wide {
            Wide::Object { pointer, vtable } => {
                holds_future(path).then_some(Shape::Dyn { pointer, vtable })
            }
            Wide::Slice {
                pointer,
                element,
                count,
            } => {
                let element = self.types.pointee(element)?;
                let shape = self.inner(element, depth + 1);
                let stride = self.types.size(element)?;
                (shape != NOTHING).then(|| {
                    Shape::Elements(Arc::new(super::shape::Elements {
                        pointer,
                        count,
                        element: shape,
                        stride,
                    }))
                })
            }
        }
    }

    fn parts(&mut self, members: &[Member], depth: usize) -> Option<Shape> {
        let mut parts = Vec::new();
        for member in members {
            let shape = self.inner(member.type_id, depth + 1);
            if shape != NOTHING {
                parts.push(Part {
                    offset: member.offset,
                    shape,
                });
            }
        }
        (!parts.is_empty()).then(|| Shape::Parts(parts.into()))
    }

    fn choice(&mut self, id: TypeId, depth: usize) -> Option<Shape> {
        let variants = self.types.variants(id)?;
        let mut choice = Choice {
            discriminant: variants.discriminant,
            variants: Vec::new(),
            otherwise: None,
        };
        let mut any = false;
        for variant in variants.variants {
            let shape = self.inner(variant.type_id, depth + 1);
            any |= shape != NOTHING;
            let part = Part {
                offset: variant.offset,
                shape,
            };
            match variant.value {
                Some(value) => choice.variants.push((value, part)),
                None => choice.otherwise = Some(part),
            }
        }
        any.then(|| Shape::Choice(Arc::new(choice)))
    }

    fn known_leaf(&mut self, id: TypeId, path: &str) -> Option<Shape> {
        let known = self.knowledge.leaf(name::without_arguments(path))?;
        let leaf = self.leaf(id, path, Some(known));
        Some(Shape::Leaf(Arc::new(leaf)))
    }

    fn leaf(&mut self, id: TypeId, path: &str, known: Option<Known>) -> Leaf {
        let what = known.map(|known| known.what);
        let detail = known.and_then(|known| self.detail(id, known.detail));
        let path: Arc<str> = Arc::from(path);
        let frame = Frame {
            function: name::readable_type(&path).into(),
            file: None,
            line: None,
            kind: FrameKind::Leaf,
            origin: Origin::Library,
        };
        Leaf {
            what: what
                .flatten()
                .unwrap_or_else(|| self.knowledge.classify(&path, None)),
            is_certain: what.flatten().is_some(),
            type_name: Arc::from(name::readable_type(&path)),
            detail,
            frame: self.frame_key(frame, path),
        }
    }

    fn detail(&mut self, id: TypeId, rule: Rule) -> Option<DetailPath> {
        let direct = |offset: u64, kind: LeafKind| DetailPath {
            through: Vec::new(),
            offset,
            kind,
        };
        match rule {
            Rule::None => None,
            Rule::Deadline(member) => {
                let (offset, instant) = containers::member_within(&mut self.types, id, member)?;
                let (seconds, _) = containers::member_within(&mut self.types, instant, "tv_sec")?;
                let (nanoseconds, _) =
                    containers::member_within(&mut self.types, instant, "tv_nsec")?;
                Some(direct(
                    offset.checked_add(seconds)?,
                    LeafKind::Deadline {
                        nanoseconds: nanoseconds.wrapping_sub(seconds),
                    },
                ))
            }
            Rule::Descriptor => Some(direct(self.descriptor_in(id)?, LeafKind::Descriptor)),
            Rule::DescriptorBehind(member) => {
                let (through, owner) = self.pointer_in(id, member)?;
                Some(DetailPath {
                    through: vec![through],
                    offset: self.descriptor_in(owner)?,
                    kind: LeafKind::Descriptor,
                })
            }
            Rule::Task(member) => self.behind(id, member, LeafKind::Task),
            Rule::Object(member) => self.behind(id, member, LeafKind::Object),
            Rule::Registered(member) => self.behind(id, member, LeafKind::Registered),
        }
    }

    /// Where the descriptor stands that a value owns.
    fn descriptor_in(&mut self, id: TypeId) -> Option<u64> {
        let (owner, fd) =
            containers::type_within(&mut self.types, id, "std::os::fd::owned::OwnedFd")?;
        let (offset, _) = containers::member_within(&mut self.types, fd, "fd")?;
        owner.checked_add(offset)
    }

    /// The first pointer in the member `member`: where, and what it points to.
    fn pointer_in(&mut self, id: TypeId, member: &str) -> Option<(u64, TypeId)> {
        let (offset, found) = containers::member_within(&mut self.types, id, member)?;
        let (inside, to) = containers::pointer_within(&mut self.types, found)?;
        Some((offset.checked_add(inside)?, to))
    }

    fn behind(&mut self, id: TypeId, member: &str, kind: LeafKind) -> Option<DetailPath> {
        Some(DetailPath {
            through: vec![self.pointer_in(id, member)?.0],
            offset: 0,
            kind,
        })
    }

    fn states(&mut self, id: TypeId) -> Option<Coroutine> {
        let name = self.coroutine_name(id);
        let variants = self.types.variants(id)?;
        let mut states = Vec::new();
        for variant in variants.variants {
            let value = variant.value?;
            let state = match variant_name(&mut self.types, &variant) {
                Some(text) if text == "Unresumed" => {
                    let frame = self.coroutine_frame(&name, None);
                    State::Unresumed { frame }
                }
                Some(text) if text.starts_with("Suspend") => {
                    let at = variant.declared.as_ref();
                    let frame = self.coroutine_frame(&name, at);
                    self.suspended(frame, variant.type_id, variant.offset)
                }
                _ => State::Ended,
            };
            states.push((value, state));
        }
        Some(Coroutine {
            discriminant: variants.discriminant?,
            states,
        })
    }

    fn suspended(&mut self, frame: FrameKey, payload: TypeId, offset: u64) -> State {
        let members = self.types.members(payload);
        let mut guards = Vec::new();
        for member in members.iter().filter(|member| member.name != "__awaitee") {
            guards.extend(self.guard(member, offset));
        }
        let awaited = members.iter().find(|member| member.name == "__awaitee");
        let (awaitee, leaf) = match awaited {
            Some(member) => {
                let shape = self.of(member.type_id);
                let path = self.path(member.type_id);
                let leaf = self.leaf(member.type_id, &path, None);
                let part = offset.checked_add(member.offset);
                (part.map(|offset| Part { offset, shape }), leaf)
            }
            None => (None, self.leaf(payload, "yield", None)),
        };
        State::Suspended(Suspended {
            frame,
            awaitee,
            leaf: Arc::new(leaf),
            guards: guards.into(),
        })
    }

    /// The lock that a variable of a suspended body holds, if it is a guard.
    fn guard(&mut self, member: &Member, offset: u64) -> Option<DetailPath> {
        let path = self.path(member.type_id);
        let (to_lock, lock) = self.knowledge.guard(name::without_arguments(&path))?;
        let (at, to) = self.pointer_in(member.type_id, to_lock)?;
        let (in_lock, _) = containers::type_within(&mut self.types, to, lock)?;
        let pointer = offset.checked_add(member.offset)?.checked_add(at)?;
        Some(DetailPath {
            through: vec![pointer],
            offset: in_lock,
            kind: LeafKind::Object,
        })
    }

    fn coroutine_frame(&mut self, name: &CoroutineName, at: Option<&Declared>) -> FrameKey {
        let body = name.declared.as_ref();
        // An `.await` that a macro of another file wrote is nowhere in the function's
        // own file.
        let own = at.filter(|at| body.is_none_or(|body| body.file.short == at.file.short));
        let file = own.or(body).map(|place| &place.file);
        let origin = file.map_or(Origin::Unknown, |file| file.origin);
        let glue = file.is_some_and(|file| self.knowledge.is_glue(file));
        let frame = Frame {
            function: Arc::clone(&name.readable),
            file: file.map(|file| Arc::from(file.short.as_str())),
            line: match (own, at) {
                (Some(own), _) => Some(own.line),
                (None, Some(_)) => None,
                (None, None) => body.map(|body| body.line),
            },
            kind: if glue {
                FrameKind::Runtime
            } else {
                FrameKind::Async
            },
            origin,
        };
        self.frame_key(frame, Arc::clone(&name.path))
    }
}

fn variant_name(types: &mut Types<DwarfReader>, variant: &crate::types::Variant) -> Option<String> {
    types.name(variant.type_id)
}

/// The members of a wide pointer.
enum Wide {
    Object {
        pointer: u64,
        vtable: u64,
    },
    Slice {
        pointer: u64,
        element: TypeId,
        count: u64,
    },
}

fn wide_pointer(members: &[Member]) -> Option<Wide> {
    let [first, second] = members else {
        return None;
    };
    match (first.name.as_str(), second.name.as_str()) {
        ("pointer", "vtable") => Some(Wide::Object {
            pointer: first.offset,
            vtable: second.offset,
        }),
        ("data_ptr", "length") => Some(Wide::Slice {
            pointer: first.offset,
            element: first.type_id,
            count: second.offset,
        }),
        _ => None,
    }
}

/// Whether a pointer of this name has its target for itself: `&mut T`, `Box<T>`.
fn is_followed(name: &str) -> bool {
    name.starts_with("&mut ") || name.starts_with("alloc::boxed::Box<")
}

/// Whether a trait object is something that is polled.
fn holds_future(path: &str) -> bool {
    ["Future<", "Stream<", "::Future", "::Stream", "::Sink"]
        .iter()
        .any(|mark| path.contains(mark))
}
