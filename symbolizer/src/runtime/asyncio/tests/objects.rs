//! Objects as we read them, and as they are.

use super::{Script, pythons};
use crate::runtime::asyncio::objects::{Heap, Types};
use crate::runtime::asyncio::threads::{interpreters, threads};
use awaitscope_sampler::Avma;

/// Prints what kind of object it is, where it stands, and what is in it.
const OBJECTS: &str = r#"
import asyncio, collections, platform, sys, threading, weakref
kept = []
def tell(what, thing, said):
    kept.append(thing)
    print(what, id(thing), said, sep="\t")
print("version", 0, platform.python_version(), sep="\t")
for text in ["", "plain", "caf\u00e9", "\u0416\u0416", "\U0001f40d!", "x" * 5000]:
    tell("text", text, text[:4096])
tell("text", sys.intern("interned_here"), "interned_here")
for number in [0, 1, -1, 255, -70000, 2**30, 2**40 + 7, -(2**59)]:
    tell("int", number, number)
tell("float", 2.5, 2.5)
tell("bytes", b"\x01\x02\xff", "1,2,255")
tell("tuple", (1, 2, 3), "1,2,3")
tell("list", [], "")
tell("list", list(range(300)), ",".join(map(str, range(300))))
s = set(range(1000))
for n in range(0, 1000, 3): s.discard(n)
tell("set", s, ",".join(map(str, sorted(s))))
tell("set", frozenset([7]), "7")
tell("set", set(), "")
q = collections.deque(range(1000))
for n in range(130): q.popleft()
q.appendleft(5)
tell("deque", q, ",".join(map(str, q)))
tell("deque", collections.deque(), "")
d = {"k%d" % n: n for n in range(400)}
for n in range(0, 400, 7): del d["k%d" % n]
tell("dict", d, ",".join(sorted("%s=%d" % kv for kv in d.items())))
tell("dict", {}, "")
tell("dict", {"a": 1, 2: 2}, "a=1")
class Plain:
    def __init__(self):
        self.one = 1
        self.two = 2
class Slotted:
    __slots__ = ("first", "second")
class Below(Slotted):
    pass
class Late:
    pass
class Wide:
    pass
tell("object:__main__.Plain", Plain(), "one=1,two=2")
p = Plain(); p.three = 3; del p.one
tell("object:__main__.Plain", p, "three=3,two=2")
p = Plain(); p.__dict__["four"] = 4
tell("object:__main__.Plain", p, "four=4,one=1,two=2")
t = Slotted(); t.first = 1; t.second = 22
tell("object:__main__.Slotted", t, "first=1,second=22")
b = Below(); b.second = 2; b.extra = 9
tell("object:__main__.Below", b, "extra=9,second=2")
l = Late()
for n in range(50): setattr(l, "a%d" % n, n)
tell("object:__main__.Late", l, ",".join(sorted("a%d=%d" % (n, n) for n in range(50))))
class Error(Exception):
    pass
e = Error("x"); e.code = 5
tell("object:__main__.Error", e, "code=5")
loop = asyncio.new_event_loop()
f = asyncio.Future(loop=loop)
class Own(asyncio.Future):
    pass
o = Own(loop=loop); o.mark = 3
tell("object:__main__.Own", o, "mark=3")
async def c(): pass
coroutine = c()
tell("type", coroutine, "coroutine")
tell("type", f, "_asyncio.Future")
tell("type", loop, "asyncio.unix_events._UnixSelectorEventLoop")
tell("type", asyncio.Lock, "type")
lock = asyncio.Lock()
tell("type", lock, "asyncio.locks.Lock")
tell("base:asyncio.locks.Lock", lock, True)
tell("base:_asyncio.Future", o, True)
tell("base:_asyncio.Task", o, False)
tell("refers", weakref.ref(lock), id(lock))
handle = loop.call_later(1000, print)
tell("slot:_when", handle, handle._when)
for other in range(2):
    threading.Thread(target=input if other == 0 else threading.Event().wait, daemon=True).start()
print("threads", 0, 3, sep="\t")
print("ready", flush=True)
threading.Event().wait(600)
"#;

#[test]
fn every_object_reads_as_the_interpreter_says_it_is() {
    for python in pythons() {
        let script = Script::start(&python, OBJECTS);
        let detected = script.detected();
        assert!(detected.checked);
        let heap = script.heap(&detected);
        let mut types = Types::default();
        assert!(script.said.len() > 40, "{}", python.display());
        for line in &script.said {
            let mut parts = line.splitn(3, '\t');
            let (what, at) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let said = parts.next().expect("three parts");
            let object = Avma(at.parse().expect("an address"));
            let read = match what {
                "version" => detected.version.to_string(),
                "threads" => {
                    let interpreter = interpreters(&heap, detected.runtime)[0];
                    threads(&heap, interpreter).len().to_string()
                }
                _ => read(what, object, &heap, &mut types).unwrap_or_default(),
            };
            if what == "version" && said != read {
                // Without a symbol that tells more.
                assert!(said.starts_with(&read), "{said} {read}");
                continue;
            }
            assert_eq!(said, read, "{}: {what}", python.display());
        }
    }
}

fn read(what: &str, object: Avma, heap: &Heap<'_>, types: &mut Types) -> Option<String> {
    let int = |object: &Avma| heap.int(*object).map(|int| int.to_string());
    let joined = |items: Vec<Avma>| items.iter().map(int).collect::<Option<Vec<_>>>();
    let listed = |items: Vec<(Avma, Avma)>| {
        let mut items: Vec<String> = items
            .iter()
            .filter_map(|(key, value)| {
                let name = heap.text(*key).filter(|name| !name.is_empty())?;
                Some(format!("{name}={}", int(value)?))
            })
            .collect();
        items.sort();
        items
    };
    let most = 2000;
    match what.split(':').next()? {
        "text" => heap.text(object),
        "int" => int(&object),
        "float" => heap.float(object).map(|float| float.to_string()),
        "bytes" => Some(
            heap.bytes(object)?
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(","),
        ),
        "tuple" => Some(joined(heap.tuple(object, most)?)?.join(",")),
        "list" => Some(joined(heap.list(object, most)?)?.join(",")),
        "deque" => Some(joined(heap.deque(object, most)?)?.join(",")),
        "set" => {
            let mut items: Vec<i64> = heap
                .set(object, most)?
                .iter()
                .filter_map(|item| heap.int(*item))
                .collect();
            items.sort_unstable();
            Some(
                items
                    .iter()
                    .map(i64::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
            )
        }
        "dict" => {
            let entries = heap.dict(object, most)?;
            let texts = entries.into_iter().filter(|(key, _)| {
                let class = heap.type_of(*key).and_then(|class| heap.type_name(class));
                class.as_deref() == Some("str")
            });
            Some(listed(texts.collect()).join(","))
        }
        "type" => Some(types.of(object, heap)?.name.to_string()),
        "base" => Some(
            match types.of(object, heap)?.is_a(what.split_once(':')?.1) {
                true => "True".to_owned(),
                false => "False".to_owned(),
            },
        ),
        "refers" => Some(heap.weakref(object)?.0.to_string()),
        "slot" => {
            let name = what.split_once(':')?.1;
            heap.float(types.get(object, name, heap)?)
                .map(|float| float.to_string())
        }
        "object" => {
            let class = types.of(object, heap)?;
            if what.split_once(':')?.1 != &*class.name {
                return Some(format!("of class {}", class.name));
            }
            let mut all = listed(heap.attributes(object, &class)?);
            for name in ["first", "second"] {
                let slot = class.slot(name).and_then(|at| heap.pointer(object, at));
                if let Some(value) = slot {
                    all.push(format!("{name}={}", int(&value)?));
                }
            }
            all.sort();
            Some(all.join(","))
        }
        _ => None,
    }
}
