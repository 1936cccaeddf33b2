//! Keeps `docs/ARCHITECTURE.md` true: the layers, the homes of `unsafe`, of `arc_swap` and of `memmap2`,
//! and the table of dependencies.
//!
//! It reads tokens, not text, so that comments and strings count for nothing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::fs;
use std::path::{Path, PathBuf};

/// Files, or folders where they end in `/`, that may hold a word that no other file under `src/` may.
const HOMES: [(&str, &[&str]); 3] = [
    ("unsafe", &["src/memory/", "src/capi/"]),
    ("arc_swap", &["src/engine/cell.rs"]),
    ("memmap2", &["src/memory/"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The section of `docs/ARCHITECTURE.md` under `heading`.
fn section(heading: &str) -> String {
    let page = read(&root().join("docs/ARCHITECTURE.md"));
    let (_, after) = page.split_once(&format!("\n## {heading}\n")).expect("the page has that heading");
    after.split("\n## ").next().expect("split gives at least one").to_owned()
}

/// The layers in their order, bottom first: the lines `3. `name`: …`.
fn layers() -> Vec<String> {
    let names = |line: &str| {
        let (number, rest) = line.split_once(". `")?;
        number.parse::<usize>().ok()?;
        Some(rest.split_once('`')?.0.to_owned())
    };
    section("Layers").lines().filter_map(names).collect()
}

/// Every Rust file under `src/`, as a path from the root with `/`.
fn sources() -> Vec<String> {
    let (mut folders, mut files) = (vec![PathBuf::from("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("src is readable") {
            let entry = entry.expect("src is readable");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("the type of a file is readable").is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.to_str().expect("names are UTF-8").to_owned());
            }
        }
    }
    files.sort();
    files
}

/// The module path of a file: `src/a/b.rs` is `a::b`, `src/a/mod.rs` is `a`, `src/lib.rs` nothing.
fn module_path(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut path: Vec<_> = inner.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

/// What a file says, as far as these rules go.
#[derive(Default)]
struct Findings {
    /// The names right under the crate's root that it uses; `*` for all of them.
    imports: Vec<String>,
    words: Vec<String>,
}

impl Findings {
    fn of(source: &str, module: &[String]) -> Self {
        let mut findings = Self::default();
        let tokens: TokenStream = source.parse().expect("the file is Rust");
        findings.walk(tokens, module);
        findings
    }

    fn walk(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    let first = !is_path_separator(&tokens[..index]);
                    if first && (word == "crate" || word == "super") {
                        self.follow(&tokens[index..], module);
                    }
                    self.words.push(word);
                }
                TokenTree::Group(group) => match &tokens[..index] {
                    [.., TokenTree::Ident(keyword), TokenTree::Ident(name)]
                        if keyword == "mod" && group.delimiter() == Delimiter::Brace =>
                    {
                        let inner: Vec<_> = module.iter().cloned().chain([name.to_string()]).collect();
                        self.walk(group.stream(), &inner);
                    }
                    _ => self.walk(group.stream(), module),
                },
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Follows a path that starts with `crate` or `super` to the name that it takes from the root.
    fn follow(&mut self, mut tokens: &[TokenTree], module: &[String]) {
        let mut depth = module.len();
        while let [TokenTree::Ident(word), rest @ ..] = tokens {
            match word.to_string().as_str() {
                "crate" => depth = 0,
                "super" => depth = depth.saturating_sub(1),
                _ => break,
            }
            match rest {
                [first, second, after @ ..] if is_path_separator(&[first.clone(), second.clone()]) => {
                    tokens = after
                }
                // `pub(crate)`, `pub(super)` and the like.
                _ => return,
            }
        }
        if depth == 0 {
            self.take(tokens);
        }
    }

    /// The name, or each name of a group, that stands under the root.
    fn take(&mut self, tokens: &[TokenTree]) {
        match tokens {
            [TokenTree::Ident(name), ..] => self.imports.push(name.to_string()),
            [TokenTree::Punct(star), ..] if star.as_char() == '*' => self.imports.push("*".to_owned()),
            [TokenTree::Group(group), ..] => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                inner
                    .split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','))
                    .for_each(|part| self.take(part));
            }
            _ => {}
        }
    }
}

/// Whether these tokens end in `::`.
fn is_path_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [.., TokenTree::Punct(first), TokenTree::Punct(second)]
        if first.as_char() == ':' && second.as_char() == ':')
}

/// What is wrong with a file.
fn violations(file: &str, source: &str, layers: &[String]) -> Vec<String> {
    let module = module_path(file);
    let findings = Findings::of(source, &module);
    let mut wrong = Vec::new();
    if let Some(layer) = module.first() {
        let height = |name: &str| layers.iter().position(|layer| layer == name);
        match height(layer) {
            None => wrong.push(format!("{file}: `{layer}` is not in the layers of docs/ARCHITECTURE.md")),
            Some(own) => wrong.extend(findings.imports.iter().filter_map(|import| match height(import) {
                None => {
                    Some(format!("{file}: `{import}` of the crate's root is not a layer; name its module"))
                }
                Some(other) if other > own => {
                    Some(format!("{file}: `{layer}` uses `{import}`, which is above it"))
                }
                Some(_) => None,
            })),
        }
    }
    for (word, homes) in HOMES {
        let at_home =
            homes.iter().any(|home| file == *home || (home.ends_with('/') && file.starts_with(home)));
        if !at_home && findings.words.iter().any(|found| found == word) {
            wrong.push(format!("{file}: `{word}` may stand only in {}", homes.join(", ")));
        }
    }
    wrong
}

#[test]
fn no_module_reaches_above_its_layer() {
    let (layers, files) = (layers(), sources());
    assert!(files.len() > 5, "the sources were not found");
    let wrong: Vec<_> =
        files.iter().flat_map(|file| violations(file, &read(&root().join(file)), &layers)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().expect("Cargo.toml is TOML");
    let table = section("Dependencies");
    let has_row = |name: &str| table.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    let dependencies = manifest["dependencies"].as_table().expect("dependencies are a table");
    let missing: Vec<_> = dependencies.keys().filter(|name| !has_row(name)).collect();
    assert!(missing.is_empty(), "not in the table of docs/ARCHITECTURE.md: {missing:?}");
    let rows =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name));
    let stale: Vec<_> = rows.filter(|name| !dependencies.contains_key(*name)).collect();
    assert!(stale.is_empty(), "in the table, but no dependency any more: {stale:?}");
}

#[test]
fn the_rules_see_every_form_of_an_import() {
    let layers: Vec<_> = ["low", "middle", "high"].map(str::to_owned).into();
    let count = |file: &str, source: &str| violations(file, source, &layers).len();
    for (wrong, source) in [
        (0, "use crate::low::Thing; use crate::middle::Own; pub(crate) fn f() {} pub(super) fn g() {}"),
        (0, "use super::sibling::Thing; fn f() { self::g(); super::h() }"),
        (0, "//! crate::high, unsafe\n/* unsafe crate::high */ const S: &str = \"unsafe { crate::high }\";"),
        (0, "#![deny(unsafe_code)] mod tests { use super::super::*; use super::f; }"),
        (1, "use crate::high::Thing;"),
        (1, "use crate::{low, high::{self, Thing}};"),
        (1, "use super::super::high;"),
        (1, "use super::super::{low::A, high::B};"),
        (1, "mod tests { use super::super::super::high; }"),
        (1, "fn f() -> crate::high::Thing { g::<u8>() }"),
        (1, "macro_rules! m { () => { $crate::high::f() } }"),
        (1, "use crate::*;"),
        (1, "use crate::Reexported;"),
        (1, "fn f() { unsafe { g() } }"),
        (1, "use arc_swap::ArcSwap;"),
        (1, "fn f(map: &memmap2::Mmap) {}"),
    ] {
        assert_eq!(count("src/middle/part.rs", source), wrong, "{source}");
    }
    assert_eq!(count("src/middle/mod.rs", "use super::high;"), 1);
    assert_eq!(count("src/middle.rs", "use super::low;"), 0);
    assert_eq!(count("src/stray.rs", ""), 1);
    assert_eq!(count("src/lib.rs", "pub mod high; pub use crate::high::Thing;"), 0);
    assert_eq!(count("src/lib.rs", "unsafe extern \"C\" {}"), 1);
    let layers: Vec<_> = ["memory", "engine", "capi"].map(str::to_owned).into();
    for (file, source) in [
        ("src/memory/map.rs", "use memmap2::Mmap; fn f() { unsafe {} }"),
        ("src/engine/cell.rs", "use arc_swap::ArcSwap;"),
        ("src/capi/verify.rs", "#[unsafe(no_mangle)] extern \"C\" fn f() {}"),
    ] {
        assert_eq!(violations(file, source, &layers), [""; 0]);
    }
}
