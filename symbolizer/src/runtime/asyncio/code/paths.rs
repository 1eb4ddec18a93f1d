//! Python's files as people know them, and whose they are.

use super::super::objects::Heap;
use crate::frame::Origin;
use crate::names::SourceFile;
use awaitscope_sampler::Avma;

/// No program has more folders to import from.
const MOST_ROOTS: usize = 256;

/// The folders that a program imports from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct Roots {
    /// The program's own, longest first, each with a slash at its end.
    user: Vec<String>,
    /// Those of the standard library.
    library: Vec<String>,
}

impl Roots {
    /// Reads `sys.path` of an interpreter.
    pub fn read(heap: &Heap<'_>, interpreter: Avma) -> Option<Self> {
        let sys = heap.pointer(interpreter, heap.layout.interpreter.sysdict)?;
        let path = heap.dict_get(sys, "path")?;
        let entries = heap.list(path, MOST_ROOTS)?;
        let folders = entries.iter().filter_map(|entry| heap.text(*entry));
        Some(Self::of(folders))
    }

    /// The folders of `sys.path`.
    pub fn of(folders: impl Iterator<Item = String>) -> Self {
        let mut roots = Self::default();
        for mut folder in folders {
            if !folder.starts_with('/') || in_packages(&folder).is_some() {
                continue;
            }
            if !folder.ends_with('/') {
                folder.push('/');
            }
            match is_library(&folder) {
                true => roots.library.push(folder),
                // A folder of packages is a library's, whatever is above it.
                false => roots.user.push(folder),
            }
        }
        for folders in [&mut roots.user, &mut roots.library] {
            folders.sort_by_key(|folder| std::cmp::Reverse(folder.len()));
        }
        roots
    }

    /// A path as it stands in a code object.
    pub fn file(&self, path: &str) -> SourceFile {
        let file = |short: &str, origin| SourceFile {
            short: short.to_owned(),
            origin,
        };
        if let Some(frozen) = path.strip_prefix("<frozen ") {
            let module = frozen.trim_end_matches('>').replace('.', "/");
            return file(&format!("{module}.py"), Origin::Std);
        }
        if path.starts_with('<') {
            return file(path, Origin::Unknown);
        }
        if let Some(short) = in_packages(path) {
            return file(short, Origin::Library);
        }
        let below = |folders: &[String]| {
            let mut folders = folders.iter();
            folders.find_map(|folder| path.strip_prefix(folder.as_str()).map(str::to_owned))
        };
        if let Some(short) = below(&self.library) {
            return file(&short, Origin::Std);
        }
        match below(&self.user) {
            Some(short) => file(&short, Origin::User),
            None => file(path.trim_start_matches("./"), Origin::User),
        }
    }
}

/// What is below a folder of installed packages.
fn in_packages(path: &str) -> Option<&str> {
    ["/site-packages", "/dist-packages"]
        .iter()
        .find_map(|folder| {
            let end = path.rfind(folder)? + folder.len();
            let rest = &path[end..];
            rest.strip_prefix('/').or(rest.is_empty().then_some(rest))
        })
}

/// `…/lib/python3.11/`, `…/lib/python3.11/lib-dynload/`, `…/lib/python311.zip/`.
fn is_library(folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    let folder = folder.strip_suffix("/lib-dynload").unwrap_or(folder);
    let Some((above, name)) = folder.rsplit_once('/') else {
        return false;
    };
    let version = name.strip_prefix("python3");
    let version = version.map(|version| version.trim_end_matches(".zip").trim_end_matches('t'));
    let is_version = version.is_some_and(|version| {
        version
            .bytes()
            .all(|byte| byte == b'.' || byte.is_ascii_digit())
    });
    let above = above.rsplit('/').next();
    is_version && matches!(above, Some("lib" | "lib64" | "lib32"))
}

/// The module of a file, where its own name is not known: `app.handlers` for
/// `app/handlers.py`.
pub(super) fn module_of(short: &str) -> String {
    let path = short.strip_suffix(".py").unwrap_or(short);
    let path = path.strip_suffix("/__init__").unwrap_or(path);
    match path.starts_with('/') {
        true => stem(path).to_owned(),
        false => path.replace('/', "."),
    }
}

/// What `__main__` is called: the file, or the package whose `__main__.py` it is.
pub(super) fn main_name(path: &str) -> &str {
    match path.strip_suffix("/__main__.py") {
        Some(folder) => stem(folder),
        None => stem(path.strip_suffix(".py").unwrap_or(path)),
    }
}

fn stem(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> Roots {
        let folders = [
            "/srv/app",
            "/usr/lib/python311.zip",
            "/usr/lib/python3.11",
            "/usr/lib/python3.11/lib-dynload",
            "/srv/app/.venv/lib/python3.11/site-packages",
            "/usr/lib/python3/dist-packages",
            "",
        ];
        Roots::of(folders.iter().map(|folder| (*folder).to_owned()))
    }

    fn seen(path: &str) -> (String, Origin) {
        let file = roots().file(path);
        (file.short, file.origin)
    }

    #[test]
    fn the_services_own_files_begin_at_its_folder() {
        let own = ("service/main.py".to_owned(), Origin::User);
        assert_eq!(seen("/srv/app/service/main.py"), own);
        let elsewhere = ("/opt/other/main.py".to_owned(), Origin::User);
        assert_eq!(seen("/opt/other/main.py"), elsewhere);
        assert_eq!(seen("./main.py"), ("main.py".to_owned(), Origin::User));
    }

    #[test]
    fn a_package_in_an_environment_below_the_service_is_a_library() {
        let path = "/srv/app/.venv/lib/python3.11/site-packages/fastapi/routing.py";
        assert_eq!(
            seen(path),
            ("fastapi/routing.py".to_owned(), Origin::Library)
        );
        let path = "/usr/lib/python3/dist-packages/aiohttp/web.py";
        assert_eq!(seen(path), ("aiohttp/web.py".to_owned(), Origin::Library));
    }

    #[test]
    fn the_standard_library_is_known_in_a_folder_and_frozen() {
        let tasks = ("asyncio/tasks.py".to_owned(), Origin::Std);
        assert_eq!(seen("/usr/lib/python3.11/asyncio/tasks.py"), tasks);
        let bootstrap = ("importlib/_bootstrap.py".to_owned(), Origin::Std);
        assert_eq!(seen("<frozen importlib._bootstrap>"), bootstrap);
        assert_eq!(seen("<string>"), ("<string>".to_owned(), Origin::Unknown));
    }

    #[test]
    fn the_main_module_is_called_by_its_file_or_its_package() {
        assert_eq!(main_name("/srv/app/service.py"), "service");
        assert_eq!(main_name("/srv/app/worker/__main__.py"), "worker");
        assert_eq!(module_of("app/handlers.py"), "app.handlers");
        assert_eq!(module_of("app/__init__.py"), "app");
        assert_eq!(module_of("/opt/x/tool.py"), "tool");
    }
}
