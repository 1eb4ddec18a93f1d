//! The functions that belong to types: bodies of coroutines, what a vtable is for, and
//! what is at an address.

use super::index::Place;
use super::layout::{Declared, MOST_CHILDREN};
use super::{MOST_LINKS, TypeId, Types};
use crate::module::Svma;
use crate::names::{Places, template_arguments};
use gimli::{Reader, UnitOffset};
use std::sync::Arc;

/// The most types that are looked at for one vtable.
const MOST_CONCRETE: usize = 256;

/// The function that runs a coroutine or a closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Its full name: `app::handler::{async_fn#0}<u64>`.
    pub path: Arc<str>,
    /// Its symbol.
    pub linkage_name: Option<Arc<str>>,
    /// Where its source begins.
    pub declared: Option<Declared>,
    /// Where its code begins, unless it was inlined everywhere.
    pub svma: Option<Svma>,
}

/// A function that begins at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its full name: `tokio::runtime::task::raw::poll<app::{async_fn_env#0}, …>`.
    pub path: Arc<str>,
    /// Its own name, with arguments.
    pub name: String,
    /// Its symbol.
    pub linkage_name: Option<Arc<str>>,
    /// What it was made for, by the names of its parameters: `T`, `S`. Without a name
    /// where only the function's own name tells.
    pub arguments: Vec<(String, TypeId)>,
}

/// What an entry of a function says, or the entries that it leads to.
struct Told {
    /// The entry that has the name.
    named: TypeId,
    name: String,
    linkage_name: Option<Arc<str>>,
    declared: Option<Declared>,
    arguments: Vec<(String, TypeId)>,
}

impl<R: Reader<Offset = usize>> Types<R> {
    /// The types whose vtable stands at `svma`: several where equal vtables were merged.
    pub fn vtable(&mut self, svma: Svma) -> Vec<TypeId> {
        let ids = self.index.look_up(&self.index.vtables, svma.0);
        let mut found: Vec<TypeId> = Vec::new();
        for id in ids.into_iter().take(MOST_CONCRETE) {
            if let Some(concrete) = self.concrete(id, svma) {
                let concrete = self.representative(concrete);
                if !found.contains(&concrete) {
                    found.push(concrete);
                }
            }
        }
        found
    }

    /// The type that the vtable `id` makes an object of. The vtable is a variable whose
    /// type has it as `DW_AT_containing_type` (rustc_codegen_llvm,
    /// `debuginfo/metadata.rs`).
    fn concrete(&mut self, id: TypeId, svma: Svma) -> Option<TypeId> {
        let (place, layout) = self.variable(id)?;
        let stands = place == Place::Address(svma.0) && self.name(id)?.ends_with("::{vtable}");
        let unit = self.unit(layout)?;
        let entry = unit.unit.entry(UnitOffset(layout.offset)).ok()?;
        let concrete = entry.attr_value(gimli::DW_AT_containing_type)?;
        self.link(layout, &concrete).filter(|_| stands)
    }

    /// The function that runs the coroutine or closure whose environment `env` is:
    /// `app::handler::{async_fn#0}` for `app::handler::{async_fn_env#0}`.
    pub fn body(&mut self, env: TypeId) -> Option<Body> {
        let env_path = self.path(env)?;
        let name = self.name(env)?;
        let around = env_path.strip_suffix(name.as_str())?;
        let body = format!("{around}{}", body_name(&name)?);
        let id = self.named(|index| &index.bodies, &body)?;
        let told = self.told(id)?;
        let unit = self.unit(id)?;
        let code = unit.outline(&self.dwarf).code_of(UnitOffset(id.offset));
        Some(Body {
            path: body.into(),
            linkage_name: told.linkage_name,
            declared: told.declared,
            svma: code.map(Svma),
        })
    }

    /// The function whose code begins at `svma`.
    pub fn function_at(&mut self, svma: Svma) -> Option<Function> {
        let places = self.places();
        places.units_at(svma.0).find_map(|start| {
            let unit = self.unit(TypeId {
                unit: start,
                offset: 0,
            })?;
            let functions = unit.outline(&self.dwarf).functions_at(svma.0);
            let functions: Vec<UnitOffset> = functions.collect();
            functions.into_iter().find_map(|entry| {
                let told = self.told(TypeId {
                    unit: start,
                    offset: entry.0,
                })?;
                Some(Function {
                    path: self.path(told.named)?,
                    arguments: self.or_by_name(told.arguments, &told.name),
                    name: told.name,
                    linkage_name: told.linkage_name,
                })
            })
        })
    }

    /// What a type was made for, by the names of its parameters: `T` of `Vec<T>`. Without
    /// a name where only the type's own name tells.
    pub fn arguments(&mut self, id: TypeId) -> Vec<(String, TypeId)> {
        let id = self.definition(id);
        let parameters = self.parameters(id).unwrap_or_default();
        if !parameters.is_empty() {
            return parameters;
        }
        let name = self.name(id).unwrap_or_default();
        self.or_by_name(parameters, &name)
    }

    /// `arguments`, or the types that `name` mentions, as far as they are found.
    fn or_by_name(
        &mut self,
        arguments: Vec<(String, TypeId)>,
        name: &str,
    ) -> Vec<(String, TypeId)> {
        if !arguments.is_empty() {
            return arguments;
        }
        let mentioned = template_arguments(name).into_iter();
        mentioned
            .filter_map(|path| Some((String::new(), self.find(path)?)))
            .collect()
    }

    fn told(&mut self, id: TypeId) -> Option<Told> {
        let mut at = id;
        let mut linkage_name = None;
        let mut declared = None;
        let mut arguments = Vec::new();
        for _ in 0..MOST_LINKS {
            let unit = self.unit(at)?;
            let entry = unit.unit.entry(UnitOffset(at.offset)).ok()?;
            let text = |attribute| self.text(&unit.unit, &entry, attribute);
            linkage_name = linkage_name.or_else(|| {
                let name = text(gimli::DW_AT_linkage_name);
                name.or_else(|| text(gimli::DW_AT_MIPS_linkage_name))
            });
            let name = text(gimli::DW_AT_name);
            declared = declared.or_else(|| self.declared(&unit, &entry));
            if arguments.is_empty() {
                arguments = self.parameters(at).unwrap_or_default();
            }
            if let Some(name) = name {
                return Some(Told {
                    named: at,
                    name,
                    linkage_name: linkage_name.map(Arc::from),
                    declared,
                    arguments,
                });
            }
            let link = entry
                .attr_value(gimli::DW_AT_abstract_origin)
                .or_else(|| entry.attr_value(gimli::DW_AT_specification))?;
            at = self.link(at, &link)?;
        }
        None
    }

    fn parameters(&mut self, id: TypeId) -> Option<Vec<(String, TypeId)>> {
        let unit = self.unit(id)?;
        let mut tree = unit.unit.entries_tree(Some(UnitOffset(id.offset))).ok()?;
        let mut children = tree.root().ok()?.children();
        let mut found = Vec::new();
        while let Ok(Some(child)) = children.next() {
            let entry = child.entry();
            if entry.tag() == gimli::DW_TAG_template_type_parameter
                && let Some(type_id) = self.type_of(id, entry)
            {
                let name = self.entry_name(&unit.unit, entry).unwrap_or_default();
                found.push((name, type_id));
            }
            if found.len() >= MOST_CHILDREN {
                break;
            }
        }
        Some(found)
    }

    fn places(&mut self) -> Arc<Places<R>> {
        let dwarf = &self.dwarf;
        let places = self
            .places
            .get_or_insert_with(|| Arc::new(Places::of(Arc::clone(dwarf))));
        Arc::clone(places)
    }
}

/// The own name of the function that runs what has the environment `name`.
fn body_name(name: &str) -> Option<String> {
    let (what, rest) = name.split_once("_env#")?;
    // Not one among the arguments of another type.
    what.starts_with('{').then(|| format!("{what}#{rest}"))
}

#[cfg(test)]
mod tests {
    use super::body_name;

    #[test]
    fn a_body_is_named_like_its_environment() {
        assert_eq!(
            body_name("{async_fn_env#0}<app::{async_block_env#1}>").as_deref(),
            Some("{async_fn#0}<app::{async_block_env#1}>")
        );
        assert_eq!(body_name("Instrumented<app::{async_fn_env#0}>"), None);
        assert_eq!(body_name("Sleep"), None);
    }
}
