//! *Owns* the rule of the floors. *Invariant*: a path written in `src/` is followed through the
//! re-exports of the modules on its way, so what counts is the file that holds a thing, and not the
//! door through which it was fetched.

use crate::source::{Source, Token, is_word};
use std::collections::BTreeMap;

/// Which tower a file stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tower {
    /// Under both towers.
    Ground,
    Ring,
    Journal,
    /// Where the towers meet.
    Top,
}

/// A file below `src/`, its floor and its tower.
pub(crate) type Place = (&'static str, u32, Tower);

/// A file, a path that it may write against the rule, and why.
pub(crate) type Exception = (&'static str, &'static str, &'static str);

/// A path of modules and names, from the root of the crate.
type Path = Vec<String>;

/// All paths of a tree.
pub(crate) struct Floors<'a> {
    places: &'a [Place],
    /// Name by name, where a `use` found it.
    uses: BTreeMap<Path, Path>,
    written: Vec<(&'a Source, usize, Path)>,
}

impl<'a> Floors<'a> {
    pub(crate) fn new(places: &'a [Place], sources: &'a [Source]) -> Self {
        let mut floors = Self { places, uses: BTreeMap::new(), written: Vec::new() };
        for source in sources {
            floors.read(source);
        }
        floors
    }

    /// What breaks the rule, but for the exceptions.
    pub(crate) fn violations(&self, exceptions: &[Exception]) -> Vec<String> {
        let mut found = Vec::new();
        for (source, line, path) in &self.written {
            let text = path.join("::");
            let file = in_src(&source.path);
            if exceptions.iter().any(|&(from, to, _)| from == file && to == text) {
                continue;
            }
            let target = self.file_of(path);
            let (Some(from), Some(to)) = (self.place(file), self.place(&target)) else {
                found.push(format!("{}:{line}: `{text}` has no floor in the table", source.path));
                continue;
            };
            if to.1 > from.1 || !reaches(from.2, to.2) {
                found.push(format!(
                    "{}:{line}: `{text}` goes from {:?} {} to {:?} {} ({target})",
                    source.path, from.2, from.1, to.2, to.1
                ));
            }
        }
        found
    }

    fn place(&self, file: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.0 == file)
    }

    /// Collects the paths and the `use`s of one file.
    fn read(&mut self, source: &'a Source) {
        let tokens = source.tokens();
        let mut inline = Inline::default();
        let mut at = 0;
        while at < tokens.len() {
            inline.step(&tokens, at);
            let text = tokens[at].text;
            let is_use = text == "use";
            let is_rooted = ["crate", "self", "super", "tourbillon"].contains(&text)
                && is(&tokens, at + 1, "::")
                && (at == 0 || !is(&tokens, at - 1, "::"));
            if !is_use && !is_rooted {
                at += 1;
                continue;
            }
            let mut here = module_of(in_src(&source.path));
            here.extend(inline.names());
            let mut paths = Vec::new();
            at = expand(&tokens, at + usize::from(is_use), &[], &mut paths);
            for (line, path, name) in paths {
                let Some(path) = self.absolute(&here, path) else { continue };
                if is_use {
                    let name = name.or_else(|| path.last().cloned());
                    self.uses.insert(here.iter().cloned().chain(name).collect(), path.clone());
                }
                self.written.push((source, line, path));
            }
        }
    }

    /// From the root of the crate; `None` if it leads out of the crate.
    fn absolute(&self, here: &[String], path: Path) -> Option<Path> {
        let mut base = here.to_vec();
        let mut rest = path.as_slice();
        match rest.first()?.as_str() {
            "crate" | "tourbillon" => (base, rest) = (Vec::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                let module: Path = here.iter().cloned().chain([child.to_owned()]).collect();
                self.file(&module)?;
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The file that holds what `path` names, behind all re-exports.
    fn file_of(&self, path: &[String]) -> String {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let moved = (1..=path.len()).find_map(|end| {
                let target = self.uses.get(&path[..end])?;
                (target[..] != path[..end]).then(|| [target, &path[end..]].concat())
            });
            match moved {
                Some(next) => path = next,
                None => break,
            }
        }
        let deepest = (0..=path.len()).rev().find_map(|end| self.file(&path[..end]));
        deepest.unwrap_or("lib.rs").to_owned()
    }

    /// The file of a module in the table.
    fn file(&self, module: &[String]) -> Option<&'static str> {
        self.places.iter().map(|place| place.0).find(|file| module_of(file) == module)
    }
}

/// Which inline modules (`mod name { … }`) are open.
#[derive(Default)]
struct Inline {
    depth: usize,
    open: Vec<(String, usize)>,
}

impl Inline {
    fn step(&mut self, tokens: &[Token<'_>], at: usize) {
        match tokens[at].text {
            "mod" if is(tokens, at + 2, "{") => {
                self.open.push((tokens[at + 1].text.to_owned(), self.depth));
            }
            "{" => self.depth += 1,
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                self.open.retain(|(_, depth)| *depth < self.depth);
            }
            _ => {}
        }
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.open.iter().map(|(name, _)| name.clone())
    }
}

fn is(tokens: &[Token<'_>], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// Writes out the paths that begin at `at`, groups unfolded, each with its line and what `as` calls
/// it. Gives where they end.
fn expand(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &[String],
    paths: &mut Vec<(usize, Path, Option<String>)>,
) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            at += 1;
            while at < tokens.len() && !is(tokens, at, "}") {
                at = expand(tokens, at, &path, paths) + 1;
                if is(tokens, at - 1, "}") {
                    return at;
                }
            }
            return at + 1;
        }
        if !token.text.starts_with(is_word) {
            break;
        }
        if token.text != "self" || path.is_empty() {
            path.push(token.text.to_owned());
        }
        at += 1;
        if !is(tokens, at, "::") {
            break;
        }
        at += 1;
    }
    let line = tokens.get(at.saturating_sub(1)).map_or(0, |token| token.line);
    let alias = is(tokens, at, "as").then(|| tokens[at + 1].text.to_owned());
    if is(tokens, at, "*") {
        at += 1;
    }
    at += 2 * usize::from(alias.is_some());
    paths.push((line, path, alias));
    at
}

fn reaches(from: Tower, to: Tower) -> bool {
    from == Tower::Top || to == Tower::Ground || from == to
}

fn in_src(path: &str) -> &str {
    path.strip_prefix("src/").unwrap_or(path)
}

/// `ring/gate.rs` is `ring::gate`, `ring/mod.rs` is `ring`, `lib.rs` is the root.
fn module_of(file: &str) -> Path {
    let module = file.strip_suffix(".rs").unwrap_or(file);
    let module = module.strip_suffix("/mod").unwrap_or(module);
    if module == "lib" { Vec::new() } else { module.split('/').map(str::to_owned).collect() }
}
