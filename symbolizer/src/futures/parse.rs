//! From the bytes of a suspended future to the tree of what it waits for.

use super::compile::Shapes;
use super::shape::{
    Choice, DetailPath, Elements, FrameKey, Leaf, LeafKind, List, Part, Shape, ShapeId, State,
    Suspended,
};
use crate::module::{AddressSpace, ModuleId};
use crate::snapshot::{AwaitPoint, AwaitTable, Detail, PointId, StackNode, Wait, WaitsOn};
use awaitscope_sampler::{Avma, Nanos, ReadMemory};
use std::collections::HashMap;
use std::sync::Arc;

/// What stands for the type of a leaf that was never polled: a future in somebody's hands.
pub(crate) const NOT_POLLED: &str = "not polled yet";

/// How deep shapes are followed. Each step is a call of ours.
const DEEPEST: u32 = 600;

/// The most leaves of one task.
const MOST_LEAVES: usize = 4096;

/// The most elements of one container.
const MOST_ELEMENTS: u64 = 4096;

/// The most memory that is read for one task.
const MOST_BYTES: u64 = 8 << 20;

/// What a task waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Its leaves, in the order of the source.
    pub waits: Vec<Wait>,
    /// The locks it holds meanwhile.
    pub holds: Vec<u64>,
    /// Some of it could not be followed.
    pub unresolved: bool,
    /// A leaf does not tell on which thing it waits, as those of its type do; or it is an
    /// async body that has ended, for which nobody waits.
    pub untold: bool,
}

/// Memory that was read.
#[derive(Debug)]
pub(super) struct Object {
    pub address: u64,
    pub bytes: Vec<u8>,
}

impl Object {
    /// The `length` bytes at `address`.
    pub fn get(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}

/// A word that led the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Witness {
    pub address: u64,
    pub length: u8,
}

/// Numbers of stacks and points that were asked for before: the table compares names.
#[derive(Debug, Default)]
pub(super) struct Memo {
    stacks: HashMap<(Option<StackNode>, FrameKey), Option<StackNode>>,
    points: HashMap<(StackNode, WaitsOn), Option<PointId>>,
}

/// Where the process is read, and what comes of it.
pub(super) struct World<'a> {
    pub shapes: &'a mut Shapes,
    pub table: &'a mut AwaitTable,
    pub memo: &'a mut Memo,
    pub space: &'a AddressSpace,
    /// The module that the shapes are of.
    pub module: ModuleId,
    pub memory: &'a dyn ReadMemory,
}

/// Reads the tree of one task.
pub(super) struct Parser<'a, 'w> {
    pub world: &'a mut World<'w>,
    pub objects: &'a mut Vec<Object>,
    /// Memory that is not there yet.
    pub wants: Vec<(u64, u64)>,
    pub witnesses: Vec<Witness>,
    pub tree: Tree,
    /// What was read cannot be: it changed meanwhile.
    pub torn: bool,
}

/// Where in the tree we are.
#[derive(Debug, Clone, Copy)]
struct Inside {
    stack: Option<StackNode>,
    /// The outermost of the library functions around, down from the last of the
    /// user's own.
    library: Option<FrameKey>,
    depth: u32,
}

impl Inside {
    fn deeper(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

impl<'a, 'w> Parser<'a, 'w> {
    pub fn new(world: &'a mut World<'w>, objects: &'a mut Vec<Object>) -> Self {
        Self {
            world,
            objects,
            wants: Vec::new(),
            witnesses: Vec::new(),
            tree: Tree::default(),
            torn: false,
        }
    }

    /// Reads the tree from its root.
    pub fn root(&mut self, shape: ShapeId, address: u64) {
        let inside = Inside {
            stack: None,
            library: None,
            depth: 0,
        };
        if self.visit(shape, address, inside) == 0 && self.wants.is_empty() {
            self.tree.unresolved = true;
        }
    }

    /// Follows what stands at `address`; returns how many leaves there were.
    fn visit(&mut self, id: ShapeId, address: u64, inside: Inside) -> usize {
        if self.torn || self.tree.waits.len() >= MOST_LEAVES {
            return 0;
        }
        if inside.depth >= DEEPEST {
            self.tree.unresolved = true;
            return 0;
        }
        match self.world.shapes.shape(id) {
            Shape::Nothing => 0,
            Shape::Coroutine(_) => self.coroutine(id, address, inside.deeper()),
            Shape::Parts(parts) => self.parts(&parts, address, inside.deeper()),
            Shape::Choice(choice) => match self.variant(&choice, address) {
                Some(part) => self.part(part, address, inside.deeper()),
                None => 0,
            },
            Shape::Pointer(to) => {
                let size = self.world.shapes.size(to);
                let target = self.pointer(address);
                self.target(to, target, size, inside.deeper())
            }
            Shape::Dyn { pointer, vtable } => {
                self.object_behind(address, pointer, vtable, inside.deeper())
            }
            Shape::Elements(elements) => self.elements(&elements, address, inside.deeper()),
            Shape::List(list) => self.list(&list, address, inside.deeper()),
            Shape::Leaf(leaf) => self.leaf(&leaf, address, inside),
        }
    }

    fn coroutine(&mut self, id: ShapeId, address: u64, inside: Inside) -> usize {
        let Some(coroutine) = self.world.shapes.coroutine(id) else {
            self.tree.unresolved = true;
            return 0;
        };
        let (offset, size) = coroutine.discriminant;
        let Some(number) = self.number(address, offset, size) else {
            return 0;
        };
        let state = coroutine.states.iter().find(|(own, _)| *own == number);
        match state.map(|(_, state)| state) {
            Some(State::Suspended(suspended)) => self.suspended(suspended, address, inside),
            Some(State::Unresumed { frame }) => self.unresumed(*frame, inside),
            Some(State::Ended) => 0,
            None => {
                self.torn = true;
                0
            }
        }
    }

    fn suspended(&mut self, at: &Suspended, address: u64, inside: Inside) -> usize {
        let Some(within) = self.entered(at.frame, inside) else {
            return 0;
        };
        for guard in at.guards.iter() {
            // An argument that was moved into a variable is noted twice.
            if let Some(Detail::Object(lock)) = self.detail(guard, address)
                && !self.tree.holds.contains(&lock)
            {
                self.tree.holds.push(lock);
            }
        }
        let found = match at.awaitee {
            Some(part) => self.part(part, address, within),
            None => 0,
        };
        if found == 0 && self.wants.is_empty() && !self.torn {
            // Nobody waits for an async body that has ended: this is no future that waits.
            let awaited = at.awaitee.map(|part| self.world.shapes.shape(part.shape));
            self.tree.untold |= matches!(awaited, Some(Shape::Coroutine(_)));
            let offset = at.awaitee.map_or(0, |part| part.offset);
            return self.leaf(&at.leaf, address.wrapping_add(offset), within);
        }
        found
    }

    /// A future that somebody holds and nobody has polled yet.
    fn unresumed(&mut self, frame: FrameKey, inside: Inside) -> usize {
        let Some(stack) = self.entered(frame, inside).and_then(|within| within.stack) else {
            return 0;
        };
        self.wait(
            stack,
            WaitsOn::Other,
            &Arc::from(NOT_POLLED),
            Detail::Unknown,
        )
    }

    /// Inside of one more function.
    fn entered(&mut self, frame: FrameKey, inside: Inside) -> Option<Inside> {
        use crate::frame::Origin;
        let stack = self.push(inside.stack, frame)?;
        let own = self.world.shapes.frame(frame).origin == Origin::User;
        Some(Inside {
            stack: Some(stack),
            library: match own {
                true => None,
                false => inside.library.or(Some(frame)),
            },
            depth: inside.depth,
        })
    }

    fn push(&mut self, parent: Option<StackNode>, frame: FrameKey) -> Option<StackNode> {
        let World {
            shapes,
            table,
            memo,
            ..
        } = &mut *self.world;
        let known = memo.stacks.entry((parent, frame));
        let pushed = *known.or_insert_with(|| table.push(parent, shapes.frame(frame).clone()));
        self.tree.unresolved |= pushed.is_none();
        pushed
    }

    fn parts(&mut self, parts: &[Part], address: u64, inside: Inside) -> usize {
        parts
            .iter()
            .map(|part| self.part(*part, address, inside))
            .sum()
    }

    fn part(&mut self, part: Part, address: u64, inside: Inside) -> usize {
        match address.checked_add(part.offset) {
            Some(at) => self.visit(part.shape, at, inside),
            None => 0,
        }
    }

    fn variant(&mut self, choice: &Choice, address: u64) -> Option<Part> {
        let Some((offset, size)) = choice.discriminant else {
            return choice
                .otherwise
                .or(choice.variants.first().map(|(_, p)| *p));
        };
        let number = self.number(address, offset, size)?;
        let exact = choice.variants.iter().find(|(value, _)| *value == number);
        exact.map(|(_, part)| *part).or(choice.otherwise)
    }

    /// Follows a pointer to a value of `size` bytes.
    fn target(&mut self, to: ShapeId, target: Option<u64>, size: u64, inside: Inside) -> usize {
        match target {
            Some(target) if target != 0 && self.has(target, size) => self.visit(to, target, inside),
            _ => 0,
        }
    }

    fn object_behind(&mut self, address: u64, data: u64, table: u64, inside: Inside) -> usize {
        let data = self.pointer(address.wrapping_add(data));
        let vtable = self.pointer(address.wrapping_add(table));
        let (Some(data), Some(vtable)) = (data, vtable) else {
            return 0;
        };
        if data == 0 || vtable == 0 {
            return 0;
        }
        let place = self.world.space.lookup(Avma(vtable));
        let here = place.filter(|(module, _)| *module == self.world.module);
        match here.and_then(|(_, svma)| self.world.shapes.behind_vtable(svma)) {
            // Of a value without size, nothing has to be read.
            Some((shape, size)) => self.target(shape, Some(data), size, inside),
            None => {
                self.tree.unresolved = true;
                let unknown = Arc::from("dyn Future");
                match inside.stack {
                    Some(stack) => self.wait(stack, WaitsOn::Other, &unknown, Detail::Unknown),
                    None => 0,
                }
            }
        }
    }

    fn elements(&mut self, elements: &Elements, address: u64, inside: Inside) -> usize {
        let count = self.pointer(address.wrapping_add(elements.count));
        let first = self.pointer(address.wrapping_add(elements.pointer));
        let (Some(count), Some(first)) = (count, first) else {
            return 0;
        };
        self.tree.unresolved |= count > MOST_ELEMENTS;
        let count = count.min(MOST_ELEMENTS);
        let Some(size) = count.checked_mul(elements.stride) else {
            return 0;
        };
        if count == 0 || !self.has(first, size) {
            return 0;
        }
        (0..count)
            .map(|index| {
                let at = first.wrapping_add(index.wrapping_mul(elements.stride));
                self.visit(elements.element, at, inside)
            })
            .sum()
    }

    /// Nodes are read here and now: each tells only where the next one is.
    fn list(&mut self, list: &List, address: u64, inside: Inside) -> usize {
        let mut owner = address;
        for offset in &list.through {
            let reach = list
                .heads
                .iter()
                .max()
                .map_or(8, |last| last.wrapping_add(8));
            match self.pointer(owner.wrapping_add(*offset)) {
                Some(next) if next != 0 && self.has_now(next, reach) => owner = next,
                _ => return 0,
            }
        }
        let mut found = 0;
        let mut left = MOST_ELEMENTS;
        for head in &list.heads {
            let mut next = self.pointer(owner.wrapping_add(*head));
            while let Some(node) = next.filter(|node| *node != 0) {
                if left == 0 || !self.has_now(node, list.size) {
                    self.tree.unresolved = true;
                    break;
                }
                left -= 1;
                found += self.part(list.part, node, inside);
                next = self.pointer(node.wrapping_add(list.next));
            }
        }
        found
    }

    fn leaf(&mut self, leaf: &Leaf, address: u64, inside: Inside) -> usize {
        let Some(stack) = self.push(inside.stack, leaf.frame) else {
            return 0;
        };
        let what = match leaf.is_certain {
            true => leaf.what,
            false => {
                let shapes = &self.world.shapes;
                let library = inside.library.map(|frame| shapes.frame_path(frame));
                shapes.classify(&leaf.type_name, library)
            }
        };
        let path = leaf.detail.as_ref();
        let detail = path.and_then(|path| self.detail(path, address));
        self.tree.untold |= path.is_some() && detail.is_none();
        self.wait(stack, what, &leaf.type_name, detail.unwrap_or_default())
    }

    fn wait(
        &mut self,
        stack: StackNode,
        what: WaitsOn,
        type_name: &Arc<str>,
        detail: Detail,
    ) -> usize {
        let table = &mut self.world.table;
        let known = self.world.memo.points.entry((stack, what));
        let point = *known.or_insert_with(|| {
            table.point(AwaitPoint {
                stack,
                what,
                type_name: Arc::clone(type_name),
            })
        });
        match point {
            Some(point) => {
                self.tree.waits.push(Wait { point, detail });
                1
            }
            None => {
                self.tree.unresolved = true;
                0
            }
        }
    }

    fn detail(&mut self, path: &DetailPath, address: u64) -> Option<Detail> {
        let mut at = address;
        for offset in &path.through {
            at = self.pointer(at.checked_add(*offset)?)?;
            // What is shared lives on the heap, aligned.
            self.torn |= at == 0 || !at.is_multiple_of(4);
        }
        let place = at.checked_add(path.offset)?;
        Some(match path.kind {
            LeafKind::Object => Detail::Object(place),
            LeafKind::Task => Detail::Task(place),
            LeafKind::Registered => Detail::Registered(place),
            LeafKind::Descriptor => {
                let number = u32::try_from(self.number(place, 0, 4)?).ok()?;
                Detail::Descriptor(number.cast_signed())
            }
            LeafKind::Deadline { nanoseconds } => {
                let seconds = self.word(place)?;
                let bytes = self.bytes(place.wrapping_add(nanoseconds), 4)?;
                let nanoseconds = u32::from_le_bytes(bytes.try_into().ok()?);
                // No `Instant` has more.
                self.torn |= nanoseconds >= 1_000_000_000;
                let whole = seconds.checked_mul(1_000_000_000)?;
                Detail::Deadline(Nanos(whole.checked_add(u64::from(nanoseconds))?))
            }
        })
    }

    /// A number of `size` bytes that leads the way.
    fn number(&mut self, address: u64, offset: u64, size: u64) -> Option<u64> {
        let at = address.checked_add(offset)?;
        let length = usize::try_from(size).ok().filter(|length| *length <= 8)?;
        let mut word = [0; 8];
        match self.bytes(at, length) {
            Some(bytes) => word[..length].copy_from_slice(bytes),
            None => {
                self.missing(at, size);
                return None;
            }
        }
        self.witnesses.push(Witness {
            address: at,
            length: length as u8,
        });
        Some(u64::from_le_bytes(word))
    }

    /// A word that leads the way.
    fn pointer(&mut self, address: u64) -> Option<u64> {
        self.number(address, 0, 8)
    }

    fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.objects
            .iter()
            .find_map(|object| object.get(address, length))
    }

    /// Whether `size` bytes at `address` were read; if not, they are asked for.
    fn has(&mut self, address: u64, size: u64) -> bool {
        let Some(length) = usize::try_from(size).ok() else {
            return false;
        };
        if size == 0 || self.bytes(address, length).is_some() {
            return true;
        }
        self.missing(address, size);
        false
    }

    /// The same, but read at once.
    fn has_now(&mut self, address: u64, size: u64) -> bool {
        let length = usize::try_from(size).ok();
        let Some(length) = length.filter(|_| size <= MOST_BYTES) else {
            return false;
        };
        if self.bytes(address, length).is_some() {
            return true;
        }
        if !self.has_room(size) {
            return false;
        }
        let mut bytes = vec![0; length];
        if !self.world.memory.read(Avma(address), &mut bytes) {
            self.torn = true;
            return false;
        }
        self.objects.push(Object { address, bytes });
        true
    }

    fn missing(&mut self, address: u64, size: u64) {
        if self.has_room(size) {
            self.wants.push((address, size));
        } else {
            self.tree.unresolved = true;
        }
    }

    fn has_room(&self, size: u64) -> bool {
        let have = self.objects.iter().map(|object| object.bytes.len() as u64);
        let asked = self.wants.iter().map(|(_, size)| *size);
        let all = have.chain(asked).fold(size, u64::saturating_add);
        all <= MOST_BYTES
    }
}
