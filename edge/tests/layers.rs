//! The map of `edge/src` holds: no module imports one of a room above its own, and no two modules import each other, whichever way around.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree, VisRestricted};

/// The rooms, from the top. Those of one line do not import each other.
const LAYERS: [&[&str]; 10] = [
    &["main"],
    &["commands"],
    &["settings"],
    &["source", "uplink"],
    &["aws"],
    &["net"],
    &["observe"],
    &["spool"],
    &["post"],
    &["platform"],
];

/// A module's path from the crate's root.
type Module = Vec<String>;

#[test]
fn no_module_imports_one_above_it() {
    let layer = |module: &Module| {
        let room = module.first().map_or("main", String::as_str);
        LAYERS.iter().position(|rooms| rooms.contains(&room))
    };
    let mut wrong = Vec::new();
    for (from, imports) in imports() {
        for to in imports {
            let same_room = from.first() == to.first();
            if !same_room && layer(&from) >= layer(&to) {
                wrong.push(format!("{} -> {}", from.join("::"), to.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "upward: {wrong:#?}");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let imports = imports();
    let mut done = BTreeSet::new();
    for module in imports.keys() {
        let circle = circle_from(module, &imports, &mut Vec::new(), &mut done);
        assert_eq!(circle, None, "modules that import each other");
    }
}

#[test]
fn the_map_has_ten_rooms() {
    let rooms: Vec<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["main.rs", "lib.rs"].contains(&name.as_str()))
        .collect();
    assert!(rooms.len() <= 10, "{rooms:?}");
}

/// The first circle met on the way from `module`.
fn circle_from(
    module: &Module,
    imports: &BTreeMap<Module, BTreeSet<Module>>,
    way: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<String> {
    if let Some(start) = way.iter().position(|passed| passed == module) {
        let circle = way[start..].iter().chain([module]);
        return Some(
            circle
                .map(|module| module.join("::"))
                .collect::<Vec<_>>()
                .join(" -> "),
        );
    }
    if done.contains(module) {
        return None;
    }
    way.push(module.clone());
    let next = imports.get(module).into_iter().flatten();
    let circle = next
        .into_iter()
        .find_map(|next| circle_from(next, imports, way, done));
    way.pop();
    done.insert(module.clone());
    circle
}

/// What each module of the program imports, by `use` or by a path that begins with `crate`, `self` or `super`; its tests left out.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    let modules: BTreeMap<Module, PathBuf> = files
        .into_iter()
        .map(|file| (module_of(&file), file))
        .collect();
    let mut all = BTreeMap::new();
    for (module, file) in &modules {
        let text = fs::read_to_string(file).unwrap();
        let mut paths = Paths {
            module,
            found: Vec::new(),
        };
        paths.visit_file(&syn::parse_file(&text).unwrap());
        let defining = paths.found.iter().map(|path| {
            let known = (1..=path.len()).rev().map(|len| path[..len].to_vec());
            known.into_iter().find(|path| modules.contains_key(path))
        });
        let imported = defining.flatten().filter(|to| to != module).collect();
        all.insert(module.clone(), imported);
    }
    all
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match () {
            () if name == "tests" || name == "tests.rs" => {}
            () if path.is_dir() => collect(&path, files),
            () => files.push(path),
        }
    }
}

fn module_of(file: &Path) -> Module {
    let relative = file.strip_prefix(root()).unwrap().with_extension("");
    let mut names: Module = relative
        .iter()
        .map(|name| name.to_str().unwrap().to_owned())
        .collect();
    if names
        .last()
        .is_some_and(|last| last == "mod" || last == "lib" || last == "main")
    {
        names.pop();
    }
    names
}

/// The paths a file names, from the crate's root.
struct Paths<'a> {
    module: &'a Module,
    found: Vec<Module>,
}

impl Paths<'_> {
    fn note(&mut self, segments: &[String]) {
        let mut base = match segments.first().map(String::as_str) {
            Some("crate" | "headwater") => Vec::new(),
            Some("self") => self.module.clone(),
            Some("super") => self.module[..self.module.len() - 1].to_vec(),
            _ => return,
        };
        base.extend_from_slice(&segments[1..]);
        self.found.push(base);
    }

    fn note_use(&mut self, tree: &UseTree, mut before: Module) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note_use(&path.tree, before);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(tree, before.clone());
                }
            }
            UseTree::Name(name) if name.ident == "self" => self.note(&before),
            UseTree::Name(name) => {
                before.push(name.ident.to_string());
                self.note(&before);
            }
            UseTree::Rename(rename) => {
                before.push(rename.ident.to_string());
                self.note(&before);
            }
            UseTree::Glob(_) => self.note(&before),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Use(item) if !is_test(&item.attrs) => {
                // `pub use child::Thing` names a child without `self`.
                let child = matches!(&item.tree, UseTree::Path(path) if self.is_child(&path.ident.to_string()));
                let before = if child {
                    vec!["self".to_owned()]
                } else {
                    Vec::new()
                };
                self.note_use(&item.tree, before);
            }
            item => visit::visit_item(self, item),
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    /// `pub(in crate::room)` limits who may look, and imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.note(&segments);
        visit::visit_path(self, path);
    }
}

impl Paths<'_> {
    fn is_child(&self, name: &str) -> bool {
        let folder = self
            .module
            .iter()
            .fold(root(), |folder, name| folder.join(name));
        folder.join(name).is_dir() || folder.join(name).with_extension("rs").is_file()
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}
