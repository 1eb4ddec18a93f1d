//! Lines and names of code, as we read them and as Python tells them.

use super::{Script, pythons};
use crate::frame::{FrameKind, Origin};
use crate::runtime::asyncio::code::{CodePlace, Codes, Roots};
use crate::runtime::asyncio::layout::{InstructionPlace, Instructions};
use crate::runtime::asyncio::threads::interpreters;
use awaitscope_sampler::Avma;

const CODE: &str = r#"
import asyncio, dis, json, logging, os, threading, types
class Shop:
    async def sell(self, many,
                   more=None):
        try:
            for one in range(many):
                if one % 2:
                    await asyncio.sleep(
                        one)
                else:
                    x = [y
                         for y in range(one)
                         if y]
        finally:
            print(
                "sold",
                x)

        return (many +
            1)

    async def goods(self):
        yield 1


def walk():
    with open("x") as f: a = 1; b = 2
    while a:
        a -= 1


    lambda: (
        a)
    return {k: v
            for k, v in f}

def functions(thing, depth=0):
    for value in list(vars(thing).values()):
        if isinstance(value, types.FunctionType):
            yield value
        elif isinstance(value, type) and depth < 2:
            for function in functions(value, depth + 1):
                yield function

def table(code):
    # The line of every instruction: what dis says, carried on.
    if hasattr(code, "co_lines"):
        lines = {}
        for start, end, line in code.co_lines():
            for at in range(start, end, 2):
                lines[at] = line
        return lines
    starts = dict(dis.findlinestarts(code))
    lines, line = {}, None
    for at in range(0, len(code.co_code), 2):
        line = starts.get(at, line)
        lines[at] = line
    return lines

import sys
main = sys.modules["__main__"]
for module in [main, asyncio.tasks, asyncio.base_events, asyncio.locks, json.decoder, logging, os]:
    for function in functions(module):
        code = function.__code__
        if function.__globals__ is not vars(module):
            continue
        lines = ",".join("%d:%d" % (a, l if l is not None else -1) for a, l in table(code).items())
        print(id(code), id(function.__globals__), id(function.__qualname__), function.__module__,
              function.__qualname__, code.co_filename, lines, sep="\t")
print("ready", flush=True)
threading.Event().wait(600)
"#;

#[test]
fn every_instruction_has_the_line_that_python_says() {
    for python in pythons() {
        let script = Script::start(&python, CODE);
        let detected = script.detected();
        let heap = script.heap(&detected);
        let layout = &detected.layout;
        let mut codes = Codes::default();
        let interpreter = interpreters(&heap, detected.runtime)[0];
        codes.set_roots(Roots::read(&heap, interpreter).expect("sys.path"));
        let mut compared = 0;
        for line in &script.said {
            let parts: Vec<&str> = line.split('\t').collect();
            let address = |index: usize| Avma(parts[index].parse().expect("an address"));
            let code = address(0);
            for pair in parts[6].split(',') {
                let (at, line) = pair.split_once(':').expect("a pair");
                let at: u64 = at.parse().expect("an offset");
                let instruction = match (layout.frame.instruction, layout.code.instructions) {
                    (InstructionPlace::Bytes(_), _) => at,
                    (InstructionPlace::Units(_), _) => at / 2,
                    (_, Instructions::Inside(first)) => code.0 + first + at,
                    _ => panic!("no such layout"),
                };
                let place = CodePlace {
                    code,
                    instruction,
                    globals: Some(address(1)),
                    qualname: Some(address(2)),
                };
                let frame = codes.frame(place, &heap).expect("a frame");
                let said = line.parse::<u32>().ok();
                let of = format!("{} {} at {at}", python.display(), parts[4]);
                assert_eq!(frame.line, said, "{of}");
                let module = match parts[3] {
                    "__main__" => "service",
                    module => module,
                };
                let named = format!("{module}.{}", parts[4]);
                assert_eq!(frame.code.function.path.readable, named, "{of}");
                compared += 1;
            }
        }
        assert!(compared > 10_000, "{}: {compared}", python.display());
        let service = |name: &str| {
            let named = |said: &&String| said.contains(&format!("\t{name}\t"));
            let said = script.said.iter().find(named).expect("it was said");
            let mut parts = said.split('\t').map(|part| part.parse().ok().map(Avma));
            let place = CodePlace {
                code: parts.next().flatten().expect("an address"),
                instruction: 0,
                globals: parts.next().flatten(),
                qualname: None,
            };
            codes.frame(place, &heap).expect("a frame").frame()
        };
        let mut service = service;
        let sell = service("Shop.sell");
        let own = (Some("service.py"), FrameKind::Async, Origin::User);
        assert_eq!((sell.file.as_deref(), sell.kind, sell.origin), own);
        assert_eq!(service("Shop.goods").kind, FrameKind::Async);
        assert_eq!(service("walk").kind, FrameKind::Sync);
        let sleep = service("sleep");
        let library = (Some("asyncio/tasks.py"), FrameKind::Async, Origin::Std);
        assert_eq!((sleep.file.as_deref(), sleep.kind, sleep.origin), library);
        assert_eq!(
            service("BaseEventLoop.run_forever").kind,
            FrameKind::Runtime
        );
    }
}
