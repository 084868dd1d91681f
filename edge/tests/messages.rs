//! Each message that asks for a person has its row in docs/troubleshooting.md, and each row quotes a message there is.
//!
//! The messages are read from the sources: what is logged as an error, what ends the program or keeps it from starting (`bail!`, `context` and
//! their kin), what `headwater check` calls bad, and what the functions in [`HOMES`] write for others to log. In a message `…` stands
//! for what is filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, ImplItemFn, Item, ItemConst, ItemFn, Lit, LitStr, Local, Macro, Pat, Token};

/// Functions all of whose texts are messages for a person, by file.
const HOMES: [(&str, &str); 7] = [
    ("commands/check/aws.rs", "refusal"),
    ("net/explain.rs", "explain_by_way"),
    ("settings/usage.rs", "line"),
    ("source/x/client.rs", "in_words"),
    ("source/x/client.rs", "refusal"),
    ("uplink/explain.rs", "explain"),
    ("uplink/explain.rs", "of_network"),
];

/// Macros whose format string is a message.
const MACROS: [&str; 4] = ["anyhow", "bail", "ensure", "error"];

/// Methods whose argument is a message.
const METHODS: [&str; 4] = ["context", "ok_or_else", "with_context", "wrong"];

/// Methods whose argument is no message: it is looked for, or said when all is well again.
const UNSAID: [&str; 2] = ["contains", "well"];

/// Calls whose argument is a message.
const CALLS: [&str; 3] = ["Bad", "Person", "Usage::from"];

#[test]
fn each_error_has_its_row() {
    let rows = quoted_in_rows();
    let missing: BTreeSet<_> = messages()
        .into_iter()
        .filter(|(_, message)| !rows.iter().any(|quoted| message.contains(quoted)))
        .map(|(file, message)| format!("{file}: {message}"))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/troubleshooting.md has no row for {missing:#?}"
    );
}

#[test]
fn each_row_quotes_a_message() {
    let mut texts = Vec::new();
    for (_, file) in sources() {
        let mut all = Texts::default();
        all.visit_file(&file);
        texts.extend(all.found);
    }
    let gone: Vec<_> = quoted_in_rows()
        .into_iter()
        .filter(|quoted| !texts.iter().any(|text| text.contains(quoted)))
        .collect();
    assert!(gone.is_empty(), "no message says {gone:#?}");
}

/// What the tables of docs/troubleshooting.md quote in their first column, in backticks.
fn quoted_in_rows() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/troubleshooting.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let first = rows.filter_map(|row| row.split(" | ").next());
    let quoted = first.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

/// Each message, with the file that says it.
fn messages() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut homes = BTreeSet::new();
    for (name, file) in sources() {
        let mut messages = Messages {
            file: name.clone(),
            ..Messages::default()
        };
        // They may stand below what uses them.
        for item in &file.items {
            if let Item::Const(item) = item {
                messages.visit_item_const(item);
            }
        }
        messages.visit_file(&file);
        homes.extend(messages.homes);
        let found = messages.found.into_iter().filter(|text| is_message(text));
        all.extend(found.map(|text| (name.clone(), text)));
    }
    assert_eq!(homes, BTreeSet::from(HOMES), "a function has moved");
    all
}

/// Whether there is more to a text than what is filled in, or a word.
fn is_message(text: &str) -> bool {
    let words = text.split_whitespace();
    words
        .filter(|word| word.chars().any(char::is_alphabetic))
        .count()
        >= 2
}

/// The program's own files without their tests, by their names in `edge/src`.
fn sources() -> Vec<(String, syn::File)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().unwrap().to_str().unwrap() {
                "tests" | "tests.rs" => {}
                _ if path.is_dir() => collect(&path, files),
                _ => files.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let parse = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
        (name, file)
    };
    files.into_iter().map(parse).collect()
}

/// Collects the messages of a file.
#[derive(Default)]
struct Messages {
    /// Its name in `edge/src`.
    file: String,
    /// Those of [`HOMES`] that it holds.
    homes: Vec<(&'static str, &'static str)>,
    /// The texts of constants, and of variables, by name: some messages are named before they are used.
    named: BTreeMap<String, Vec<String>>,
    found: Vec<String>,
}

impl Messages {
    fn take(&mut self, expr: &Expr) {
        if let Expr::Path(path) = expr
            && let Some(name) = path.path.get_ident()
        {
            let named = self.named.get(&name.to_string());
            self.found.extend(named.into_iter().flatten().cloned());
        }
        self.found.extend(texts_of(expr));
    }

    /// Takes all texts of a function that writes messages for others, or says itself that one is an error.
    fn take_function(&mut self, name: &str, block: &syn::Block) {
        let mut body = Texts::default();
        body.visit_block(block);
        let mut homes = HOMES.into_iter();
        let home = homes.find(|(file, function)| *file == self.file && *function == name);
        self.homes.extend(home);
        if home.is_some() || body.names_an_error {
            self.found.extend(body.found);
        }
    }
}

impl<'ast> Visit<'ast> for Messages {
    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.named
            .insert(item.ident.to_string(), texts_of(&item.expr));
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.take_function(&function.sig.ident.to_string(), &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.take_function(&function.sig.ident.to_string(), &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let (Pat::Ident(name), Some(init)) = (&local.pat, &local.init) {
            self.named
                .insert(name.ident.to_string(), texts_of(&init.expr));
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if METHODS.contains(&call.method.to_string().as_str()) {
            call.args.iter().for_each(|arg| self.take(arg));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let names = path.path.segments.iter();
            let names: Vec<_> = names.map(|segment| segment.ident.to_string()).collect();
            let is_message = CALLS
                .iter()
                .any(|call| format!("::{}", names.join("::")).ends_with(&format!("::{call}")));
            if is_message {
                call.args.iter().for_each(|arg| self.take(arg));
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let name = call.path.segments.last().unwrap().ident.to_string();
        if MACROS.contains(&name.as_str()) {
            let skipped = usize::from(name == "ensure");
            self.found.extend(format_string(call, skipped));
        }
        for arg in arguments(call) {
            self.visit_expr(&arg);
        }
    }
}

/// All texts of a piece of code, with `…` for what is filled in.
#[derive(Default)]
struct Texts {
    found: Vec<String>,
    /// `Level::Error` occurs.
    names_an_error: bool,
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.found.push(plain(&text.value()));
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        for arg in arguments(call) {
            self.visit_expr(&arg);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if !UNSAID.contains(&call.method.to_string().as_str()) {
            visit::visit_expr_method_call(self, call);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.names_an_error |= names == ["Level", "Error"];
        visit::visit_path(self, path);
    }

    /// What a document says is no text of the program.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

fn texts_of(expr: &Expr) -> Vec<String> {
    let mut texts = Texts::default();
    texts.visit_expr(expr);
    texts.found
}

/// The arguments of a macro that is written like a function.
fn arguments(call: &Macro) -> Vec<Expr> {
    let parse = Punctuated::<Expr, Token![,]>::parse_terminated;
    parse
        .parse2(call.tokens.clone())
        .map(|arguments| arguments.into_iter().collect())
        .unwrap_or_default()
}

fn format_string(call: &Macro, skipped: usize) -> Option<String> {
    match arguments(call).into_iter().nth(skipped)? {
        Expr::Lit(syn::ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(plain(&text.value())),
        _ => None,
    }
}

/// A format string with `…` in the place of each value.
fn plain(format: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    for char in format.replace("{{", "\u{1}").replace("}}", "\u{2}").chars() {
        match char {
            '{' => {
                depth += 1;
                text.push('…');
            }
            '}' => depth -= 1,
            _ if depth > 0 => {}
            '\u{1}' => text.push('{'),
            '\u{2}' => text.push('}'),
            char => text.push(char),
        }
    }
    text
}
