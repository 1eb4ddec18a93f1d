//! The files of real processes: found through the process, whatever happened on
//! disk, and their debug files beside them.

mod target;

use awaitscope_sampler::{Avma, Mapped, Mapping, Permissions};
use awaitscope_symbolizer::{
    AddressSpace, Binaries, Build, BuildId, DebugFiles, DebugTier, DwarfReader, Module,
    ModuleError, Place, Svma, SymbolKind,
};
use gimli::{Reader, Section};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use target::{Target, build, run};

/// A program that waits, with debug information and one thread-local variable.
fn program(folder: &Path) -> PathBuf {
    build("gcc", "waits.c", &["-g", "-O1", "-Wl,--build-id"], folder)
}

fn start(program: &Path) -> Target {
    let target = Target::start(&mut Command::new(program));
    // The loader is done when the program waits.
    for _ in 0..1000 {
        let state = std::fs::read_to_string(format!("/proc/{}/wchan", target.pid()));
        if state.is_ok_and(|state| state.contains("pause") || state.contains("read")) {
            return target;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    target
}

fn main_module(space: &AddressSpace, program: &Path) -> Arc<Module> {
    let (_, module) = space
        .modules()
        .find(|(_, module)| module.path() == program)
        .expect("the program is one of its modules");
    Arc::clone(module)
}

fn has_function(module: &Module, name: &str) -> bool {
    module
        .symbols()
        .functions()
        .any(|symbol| symbol.name == name)
}

fn debug_info_size(module: &Module) -> usize {
    let dwarf = module.dwarf().expect("the file is readable");
    dwarf.map_or(0, |dwarf| dwarf.debug_info.reader().len())
}

#[test]
fn addresses_of_a_program_and_its_libraries_lead_to_their_functions() {
    let folder = tempfile::tempdir().unwrap();
    for flags in [
        &["-pie", "-fPIE"][..],
        &["-no-pie"],
        &["-static-pie"],
        &["-static"],
    ] {
        let program = build("gcc", "waits.c", flags, folder.path());
        let target = start(&program);
        let space = target.space();
        let main = main_module(&space, &program);
        let symbols = main.symbols();
        let waits = symbols.functions().find(|s| s.name == "waits").unwrap();
        let (id, _) = space
            .modules()
            .find(|(_, m)| Arc::ptr_eq(m, &main))
            .unwrap();
        let avma = space.avma(id, waits.svma).unwrap();
        assert_eq!(space.lookup(avma), Some((id, waits.svma)), "{flags:?}");
        let inside = Svma(waits.svma.0 + 1);
        assert_eq!(symbols.function_at(inside).unwrap().name, "waits");
        // The bytes in memory are those of the file: the address is right.
        let mut bytes = [0; 16];
        assert!(awaitscope_sampler::ReadMemory::read(
            &target.memory(),
            avma,
            &mut bytes
        ));
        let file = std::fs::read(&program).unwrap();
        assert!(file.windows(16).any(|window| window == bytes), "{flags:?}");
        // A static variable stands in a segment of its own.
        let marked = symbols.variables().find(|s| s.name == "marked").unwrap();
        assert_eq!(marked.kind, SymbolKind::Data);
        let at = space.avma(id, marked.svma).unwrap();
        let word = awaitscope_sampler::ReadMemory::read_word(&target.memory(), at);
        assert_eq!(word, Some(0x6177_6169_7473_636f), "{flags:?}");
    }
}

#[test]
fn thread_local_variables_come_with_their_block() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path());
    let target = start(&program);
    let main = main_module(&target.space(), &program);
    let symbols = main.symbols();
    let own = symbols
        .variables()
        .find(|s| s.name == "of_each_thread")
        .unwrap();
    assert_eq!(own.kind, SymbolKind::Tls);
    let tls = main.tls().unwrap();
    assert!(own.svma.0 + own.size <= tls.memory_size);
    assert!(tls.align >= 8);
}

#[test]
fn the_vdso_is_a_module_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let target = start(&program(folder.path()));
    let space = target.space();
    let vdso = target
        .mappings()
        .into_iter()
        .find(|m| matches!(&m.what, Mapped::Anonymous { name: Some(n) } if n == "[vdso]"))
        .unwrap();
    let Place::Module(_, module, _) = space.place(vdso.start) else {
        panic!("the vDSO is mapped")
    };
    assert_eq!(module.name(), "[vdso]");
    assert!(module.build_id().is_some());
    assert!(has_function(module, "__vdso_clock_gettime") || has_function(module, "clock_gettime"));
}

#[test]
fn a_deleted_program_is_read_through_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path());
    let target = start(&program);
    std::fs::remove_file(&program).unwrap();
    let main = main_module(&target.space(), &program);
    assert!(has_function(&main, "waits"));
    assert_eq!(main.debug_tier(), DebugTier::Dwarf);
}

#[test]
fn a_replaced_library_is_never_read_in_place_of_the_one_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let library = build(
        "gcc",
        "visitor.c",
        &["-O2", "-shared", "-fPIC", "-Wl,--build-id"],
        folder.path(),
    );
    let program = program(folder.path());
    let target = Target::start(Command::new(&program).arg(&library));
    let space = || -> Option<(AddressSpace, Arc<Module>)> {
        let space = target.space();
        let module = space.modules().find(|(_, m)| m.path() == library)?.1;
        let module = Arc::clone(module);
        Some((space, module))
    };
    let loaded = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        space().is_some()
    });
    assert!(loaded);
    let before = space().unwrap().1.build_id().unwrap().clone();
    // A new build takes its place, as package managers and linkers do it.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let new = build(
        "gcc",
        "waits.c",
        &["-shared", "-fPIC", "-Wl,--build-id"],
        &other,
    );
    std::fs::rename(&new, &library).unwrap();
    let (_, module) = space().unwrap();
    match module.image() {
        // With the privilege to open `/proc/PID/map_files`.
        Ok(image) => assert_eq!(image.build_id(), Some(&before)),
        Err(error) => assert!(matches!(error, ModuleError::Replaced { .. }), "{error}"),
    }
}

#[test]
fn a_stripped_program_finds_its_debug_file_by_the_link() {
    let folder = tempfile::tempdir().unwrap();
    for (place, build_id) in [("", "-Wl,--build-id"), (".debug", "-Wl,--build-id=none")] {
        let program = build("gcc", "waits.c", &["-g", build_id], folder.path());
        let kept = folder.path().join(place).join("waits.debug");
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        strip(&program, &kept);
        let target = start(&program);
        let main = main_module(&target.space(), &program);
        assert_eq!(main.debug_file().unwrap().0, kept);
        assert_eq!(main.debug_tier(), DebugTier::Dwarf);
        assert!(debug_info_size(&main) > 100);
        assert!(has_function(&main, "waits"));
        std::fs::remove_file(&kept).unwrap();
    }
}

#[test]
fn the_debug_file_of_another_build_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    for build_id in ["-Wl,--build-id", "-Wl,--build-id=none"] {
        let program = build("gcc", "waits.c", &["-g", build_id], folder.path());
        let kept = folder.path().join("waits.debug");
        strip(&program, &kept);
        let other = folder.path().join("other");
        std::fs::create_dir_all(&other).unwrap();
        let other = build("gcc", "waits.c", &["-g", "-O3", build_id], &other);
        run(Command::new("objcopy")
            .arg("--only-keep-debug")
            .arg(&other)
            .arg(&kept));
        let target = start(&program);
        let main = main_module(&target.space(), &program);
        assert!(main.debug_file().is_none());
        assert_ne!(main.debug_tier(), DebugTier::Dwarf);
    }
}

#[test]
fn a_given_debug_file_is_matched_and_one_too_many_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path());
    let kept = folder.path().join("somewhere-else.debug");
    run(Command::new("objcopy")
        .arg("--only-keep-debug")
        .arg(&program)
        .arg(&kept));
    run(Command::new("strip").arg(&program));
    let foreign = build(
        "gcc",
        "visitor.c",
        &["-g", "-shared", "-fPIC"],
        folder.path(),
    );
    let files = DebugFiles::open(&[&kept, &foreign]).unwrap();
    let target = start(&program);
    let space = target.space_with(Arc::clone(&files));
    for (_, module) in space.modules() {
        let _ = module.debug_file();
    }
    let main = main_module(&space, &program);
    assert_eq!(main.debug_file().unwrap().0, kept);
    assert!(has_function(&main, "waits"));
    assert_eq!(files.unmatched().collect::<Vec<_>>(), [foreign.as_path()]);
}

#[test]
fn compressed_debug_sections_are_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path());
    let plain = {
        let target = start(&program);
        debug_info_size(&main_module(&target.space(), &program))
    };
    assert!(plain > 100);
    let kinds = [("zlib", "zlib-gabi"), ("zstd", "zstd")];
    for (name, kind) in kinds {
        let packed = folder.path().join(name);
        let mut objcopy = Command::new("objcopy");
        let objcopy = objcopy.arg(format!("--compress-debug-sections={kind}"));
        run(objcopy.arg(&program).arg(&packed));
        let target = start(&packed);
        let main = main_module(&target.space(), &packed);
        assert_eq!(debug_info_size(&main), plain, "{name}");
    }
}

#[test]
fn a_module_keeps_its_id_while_others_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path());
    let target = start(&program);
    let all = target.mappings();
    let libc = |path: &Path| path.to_str().is_some_and(|path| path.contains("libc.so"));
    let without: Vec<_> = all
        .iter()
        .filter(|m| !matches!(&m.what, Mapped::File { path, .. } if libc(path)))
        .cloned()
        .collect();
    assert!(without.len() < all.len());
    let mut space = target.space();
    let ids = |space: &AddressSpace| space.modules().map(|(id, _)| id).collect::<Vec<_>>();
    let (before, generation) = (ids(&space), space.generation());
    space.update(&all, &target.memory());
    assert_eq!(
        (ids(&space), space.generation()),
        (before.clone(), generation)
    );
    space.update(&without, &target.memory());
    let fewer = ids(&space);
    assert_eq!(fewer.len(), before.len() - 1);
    assert!(fewer.iter().all(|id| before.contains(id)));
    assert_ne!(space.generation(), generation);
    let generation = space.generation();
    space.update(&all, &target.memory());
    assert_eq!(ids(&space).len(), before.len());
    assert!(fewer.iter().all(|id| ids(&space).contains(id)));
    assert_eq!(space.generation(), generation);
}

#[test]
fn an_address_outside_everything_is_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let target = start(&program(folder.path()));
    let space = target.space();
    for address in [0, 1, 0xfff, u64::MAX, 0x8000_0000_0000] {
        assert_eq!(space.lookup(Avma(address)), None);
        assert!(!space.is_executable(Avma(address)));
    }
}

/// Takes the debug information out of `program` into `kept`, as distributions do.
fn strip(program: &Path, kept: &Path) {
    let folder = program.parent().unwrap();
    run(Command::new("objcopy")
        .arg("--only-keep-debug")
        .arg(program)
        .arg(kept));
    run(Command::new("strip").arg(program));
    let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
    link.push(kept);
    run(Command::new("objcopy")
        .arg(link)
        .arg(program)
        .current_dir(folder));
}

/// A program of another machine, unpacked into a folder.
fn recorded(root: &Path, path: &Path, build_id: Option<BuildId>) -> AddressSpace {
    let binaries = Binaries::OnDisk {
        root: root.to_owned(),
        builds: build_id
            .map(|id| (path.to_owned(), Build::Id(id)))
            .into_iter()
            .collect(),
    };
    let mut space = AddressSpace::new(binaries, DebugFiles::none());
    let mapping = Mapping {
        start: Avma(0x5555_0000_0000),
        end: Avma(0x5555_0010_0000),
        file_offset: 0,
        permissions: Permissions {
            read: true,
            write: false,
            execute: true,
        },
        what: Mapped::File {
            path: path.to_owned(),
            device: 1,
            inode: 2,
            deleted: false,
        },
    };
    let nobody = Target::start(Command::new("sleep").arg("100"));
    space.update(&[mapping], &nobody.memory());
    space
}

#[test]
fn a_debug_file_is_found_by_build_id_beneath_the_root_of_the_process() {
    let root = tempfile::tempdir().unwrap();
    let program = program(root.path());
    let path = Path::new("/").join(program.file_name().unwrap());
    let space = recorded(root.path(), &path, None);
    let id = main_module(&space, &path).build_id().unwrap().clone();
    let name = id.to_string();
    let store = root.path().join("usr/lib/debug/.build-id").join(&name[..2]);
    std::fs::create_dir_all(&store).unwrap();
    let kept = store.join(format!("{}.debug", &name[2..]));
    run(Command::new("objcopy")
        .arg("--only-keep-debug")
        .arg(&program)
        .arg(&kept));
    run(Command::new("strip").arg(&program));

    let main = main_module(&recorded(root.path(), &path, Some(id)), &path);
    let (found, _) = main.debug_file().unwrap();
    assert_eq!(root.path().join(found.strip_prefix("/").unwrap()), kept);
    assert!(has_function(&main, "waits"));
}

#[test]
fn a_recorded_program_of_another_build_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let program = program(root.path());
    let path = Path::new("/").join(program.file_name().unwrap());
    let other = BuildId::new(&[1; 20]);
    let main = main_module(&recorded(root.path(), &path, other), &path);
    assert!(matches!(
        main.image(),
        Err(ModuleError::AnotherBuild { .. })
    ));
}

#[test]
fn a_link_does_not_lead_out_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let program = program(outside.path());
    let root = tempfile::tempdir().unwrap();
    for target in [
        program.clone(),
        Path::new("../../../../..").join(program.strip_prefix("/").unwrap()),
    ] {
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let main = main_module(
            &recorded(root.path(), Path::new("/link"), None),
            Path::new("/link"),
        );
        assert!(matches!(main.image(), Err(ModuleError::Unreadable { .. })));
        std::fs::remove_file(&link).unwrap();
    }
}

#[test]
fn modules_and_their_debug_information_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Module>();
    shared::<AddressSpace>();
    shared::<DwarfReader>();
    shared::<gimli::Dwarf<DwarfReader>>();
}
