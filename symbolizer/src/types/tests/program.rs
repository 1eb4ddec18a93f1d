//! `tests/programs/awaits.rs`, optimized, in several codegen units.

use crate::debugfile::DebugFiles;
use crate::frame::Origin;
use crate::module::{DwarfReader, FileOrigin, Module, Svma};
use crate::names::{body_chain, function_path};
use crate::types::{Form, TypeCache, TypeId, Types};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

struct Built {
    folder: tempfile::TempDir,
    module: Module,
}

fn open(program: &Path) -> Module {
    let origin = FileOrigin::Recorded {
        root: "/".into(),
        path: program.into(),
        build: None,
    };
    Module::new(origin, DebugFiles::none())
}

pub(super) fn build(flags: &[&str]) -> (tempfile::TempDir, Module) {
    let folder = tempfile::tempdir().expect("there is room");
    let program = folder.path().join("awaits");
    let built = Command::new("rustc")
        .args(["--edition=2024", "tests/programs/awaits.rs", "-o"])
        .arg(&program)
        .args(flags)
        .status();
    assert!(built.is_ok_and(|status| status.success()), "{flags:?}");
    let module = open(&program);
    (folder, module)
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (folder, module) = build(&["-O", "-g", "-Ccodegen-units=8"]);
        Built { folder, module }
    })
}

fn types() -> Types<DwarfReader> {
    Types::of_module(&built().module, Origin::User, None).expect("it has debug information")
}

/// The line of the source that ends in this mark.
fn line(mark: &str) -> u32 {
    let source = include_str!("../../../tests/programs/awaits.rs");
    let mark = format!("// {mark}");
    let at = source.lines().position(|line| line.ends_with(&mark));
    at.unwrap_or_else(|| panic!("{mark}")) as u32 + 1
}

fn find(types: &mut Types<DwarfReader>, path: &str) -> TypeId {
    let found = types.find(path);
    found.unwrap_or_else(|| panic!("there is no {path}"))
}

/// The points where a coroutine can wait, with their lines.
fn awaits(types: &mut Types<DwarfReader>, path: &str) -> Vec<(String, u32)> {
    let id = find(types, path);
    assert_eq!(types.form(id), Form::Enum);
    let variants = types.variants(id).expect("it has states").variants;
    let mut found = Vec::new();
    for variant in variants {
        let name = types.name(variant.type_id).expect("a state has a name");
        let declared = variant.declared.expect("a state has a line");
        assert_eq!(declared.file.origin, Origin::User);
        assert_eq!(declared.file.short, "tests/programs/awaits.rs");
        if name.starts_with("Suspend") {
            found.push((name, declared.line));
        }
    }
    found
}

#[test]
fn every_await_has_its_line() {
    let mut types = types();
    let point = |number: u32, mark: &str| (format!("Suspend{number}"), line(mark));
    assert_eq!(
        awaits(&mut types, "awaits::generic::{async_fn_env#0}<u32>"),
        [point(0, "generic awaits"), point(1, "generic awaits again")]
    );
    assert_eq!(
        awaits(&mut types, "awaits::boxed::{async_block_env#0}"),
        [point(0, "block awaits")]
    );
    let closure = "awaits::root::{async_fn#0}::{closure#0}::{async_closure_env#0}";
    assert_eq!(awaits(&mut types, closure), [point(0, "closure awaits")]);
}

#[test]
fn what_a_coroutine_awaits_is_a_member_of_its_state() {
    let mut types = types();
    let id = find(&mut types, "awaits::boxed::{async_block_env#0}");
    let states = types.variants(id).expect("it has states");
    let (_, size) = states.discriminant.expect("a coroutine has a state word");
    assert_eq!(size, 1);
    let waiting = states.variants.iter().find(|v| v.value == Some(3));
    let waiting = waiting.expect("the first state after the three usual ones");
    let awaitee = types
        .member(waiting.type_id, "__awaitee")
        .expect("it waits");
    let path = types.path(awaitee.type_id).expect("it has a name");
    assert_eq!(&*path, "awaits::generic::{async_fn_env#0}<u32>");
    let generic = find(&mut types, &path);
    assert!(types.same(awaitee.type_id, generic));
    assert!(!types.same(awaitee.type_id, id));
    assert_eq!(
        types.representative(awaitee.type_id),
        types.representative(generic)
    );
}

#[test]
fn a_coroutine_leads_to_the_function_that_runs_it() {
    let mut types = types();
    let id = find(&mut types, "awaits::generic::{async_fn_env#0}<u8>");
    let body = types.body(id).expect("it is run");
    assert_eq!(&*body.path, "awaits::generic::{async_fn#0}<u8>");
    let declared = body.declared.expect("it was written somewhere");
    assert_eq!(declared.line, line("generic begins"));
    let name = function_path(body.linkage_name.as_deref(), &body_chain(&body.path));
    assert_eq!(name.readable, "awaits::generic");
    assert!(name.is_async);
    let plain = find(&mut types, "awaits::numbers::Numbered");
    assert_eq!(types.body(plain), None);
}

#[test]
fn a_vtable_leads_to_the_type_behind_it() {
    let mut types = types();
    let addresses = types.index.vtables.keys.clone();
    assert!(!addresses.is_empty());
    let mut futures = Vec::new();
    for address in addresses {
        let concrete = types.vtable(Svma(address));
        assert!(!concrete.is_empty(), "at {address:#x}");
        futures.extend(concrete.into_iter().filter_map(|id| types.path(id)));
    }
    assert!(
        futures
            .iter()
            .any(|path| &**path == "awaits::boxed::{async_block_env#0}")
    );
    assert!(types.vtable(Svma(0)).is_empty());
    assert!(types.vtable(Svma(0x10)).is_empty());
}

#[test]
fn a_function_tells_what_it_was_made_for() {
    let mut types = types();
    let symbols = built().module.symbols().functions();
    let symbol = symbols.into_iter().find(|s| s.name.contains("run_to_end"));
    let svma = symbol.expect("it was not inlined").svma;
    let function = types.function_at(svma).expect("it is told of");
    assert!(
        function
            .path
            .starts_with("awaits::run_to_end<awaits::root::{async_fn_env#0}, ")
    );
    assert_eq!(&function.path[8..], function.name);
    let mut arguments = Vec::new();
    for (name, id) in function.arguments {
        arguments.push((name, types.path(id).expect("it has a name").to_string()));
    }
    let argument = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    assert_eq!(
        arguments,
        [
            argument("F", "awaits::root::{async_fn_env#0}"),
            argument("S", "awaits::Holder<u64>")
        ]
    );
    // Only where a function begins.
    assert_eq!(types.function_at(Svma(svma.0 + 1)), None);
    assert_eq!(types.function_at(Svma(0)), None);
}

#[test]
fn statics_are_found_by_their_name_and_by_their_path() {
    let mut types = types();
    let found = types.statics("NEXT_NUMBER");
    let [only] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(&*only.path, "awaits::numbers::{impl#0}::next::NEXT_NUMBER");
    let symbol = built()
        .module
        .symbols()
        .variables()
        .find(|s| s.svma == only.svma);
    assert!(
        symbol
            .expect("it stands there")
            .name
            .contains("NEXT_NUMBER")
    );
    assert_eq!(types.static_at(&only.path).as_ref(), Some(only));
    assert_eq!(types.static_at("awaits::NEXT_NUMBER"), None);
    assert_eq!(types.size(only.type_id), Some(8));
    assert_eq!(types.thread_locals("awaits::DEPTH").len(), 1);
    assert!(types.thread_locals("awaits::WIDTH").is_empty());
}

#[test]
fn every_form_is_told() {
    let mut types = types();
    let holder = find(&mut types, "awaits::Holder<u64>");
    assert_eq!(types.form(holder), Form::Struct);
    assert_eq!(types.arguments(holder).len(), 1);
    assert_eq!(types.arguments(holder)[0].0, "T");
    let mut form = |member: &str| {
        let member = types.member(holder, member).expect("it is there");
        types.form(member.type_id)
    };
    assert!(matches!(
        form("value"),
        Form::Base {
            size: 8,
            encoding: Some(gimli::DW_ATE_unsigned)
        }
    ));
    assert!(matches!(form("list"), Form::Array { count: 5, .. }));
    assert_eq!(form("either"), Form::Union);
    assert_eq!(form("next"), Form::Enum);
    let list = types.member(holder, "list").expect("it is there");
    assert_eq!(types.size(list.type_id), Some(10));
    let next = types.member(holder, "next").expect("it is there");
    let options = types.variants(next.type_id).expect("it is an option");
    let some = options
        .variants
        .iter()
        .find(|v| v.name == "Some")
        .expect("one of two");
    let inner = types.member(some.type_id, "__0").expect("it holds one");
    // A box of itself.
    let pointee = types.pointee(inner.type_id).expect("a box is a pointer");
    assert!(types.same(pointee, holder));
    let either = find(&mut types, "awaits::Either");
    assert!(
        types
            .members(either)
            .iter()
            .all(|member| member.offset == 0)
    );
}

#[test]
fn a_negative_discriminant_is_the_bytes_that_stand_there() {
    let mut types = types();
    let signed = find(&mut types, "awaits::Signed");
    let variants = types.variants(signed).expect("it is an enum");
    assert_eq!(variants.discriminant, Some((0, 1)));
    let values: Vec<_> = variants.variants.iter().map(|v| v.value).collect();
    assert_eq!(values, [Some(0xff), Some(1)]);
}

#[test]
fn a_type_that_is_only_declared_here_is_found_where_it_is_defined() {
    let types = types();
    let dwarf = Arc::clone(&types.dwarf);
    let mut types = types;
    let (mut declared, mut defined) = (0, 0);
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        let start = header.debug_info_offset().expect("it has types").0;
        let unit = dwarf.unit(header).expect("it is whole");
        let mut entries = unit.entries();
        while let Ok(Some(entry)) = entries.next_dfs() {
            let is_struct = entry.tag() == gimli::DW_TAG_structure_type;
            if !is_struct || entry.attr_value(gimli::DW_AT_declaration).is_none() {
                continue;
            }
            let id = TypeId {
                unit: start,
                offset: entry.offset().0,
            };
            declared += 1;
            if types.size(id).is_some() {
                defined += 1;
                let other = types.representative(id);
                assert_ne!(other, id);
                assert_eq!(types.path(other), types.path(id));
                assert!(types.same(other, id));
            }
        }
    }
    assert!(
        declared > 0,
        "rustc declares types in optimized builds since 1.88"
    );
    assert!(defined * 2 > declared, "{defined} of {declared}");
}

#[test]
fn the_second_look_takes_the_index_from_disk() {
    let base = built().folder.path();
    let cache = TypeCache::beneath(base).expect("the folder is ours");
    let module = &built().module;
    let of_module = || Types::of_module(module, Origin::User, Some(&cache)).expect("it has types");
    let first = of_module();
    let files = || {
        std::fs::read_dir(base.join("awaitscope"))
            .expect("it is there")
            .flatten()
    };
    let file = files().next().expect("the index was kept").path();
    assert_eq!(files().count(), 1);
    let second = of_module();
    assert_eq!(first.index, second.index);

    // An index that lacks everything shows which one was taken.
    let kept = std::fs::read(&file).expect("it can be read");
    std::fs::write(&file, &kept[..kept.len() - 1]).expect("it can be written");
    assert_eq!(of_module().index, first.index);
    assert_eq!(std::fs::read(&file).expect("it was made again"), kept);
}

#[test]
fn debug_information_of_version_5_tells_the_same() {
    let (_folder, module) = build(&["-O", "-g", "-Ccodegen-units=8", "-Cdwarf-version=5"]);
    let mut types = Types::of_module(&module, Origin::User, None).expect("it has types");
    let found = awaits(&mut types, "awaits::generic::{async_fn_env#0}<u32>");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].1, line("generic awaits"));
    assert_eq!(types.statics("NEXT_NUMBER").len(), 1);
    assert_eq!(types.thread_locals("awaits::DEPTH").len(), 1);
}
