//! *Owns* the reading of Rust source. *Invariant*: `code` has the lines of `text`, with comments and
//! the insides of literals blanked, so a word found in it is a word of the program.

use std::path::Path;

/// One file.
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    /// As it stands on the disk.
    pub(crate) text: String,
    /// Without comments and literals.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    /// Every `.rs` file below `dir`, which may be absent; build outputs are left out.
    pub(crate) fn all(root: &Path, dir: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let mut pending = vec![dir.to_owned()];
        while let Some(dir) = pending.pop() {
            let Ok(entries) = std::fs::read_dir(root.join(&dir)) else { continue };
            for entry in entries {
                let name = entry.expect("a readable folder").file_name();
                let name = name.to_str().expect("source files have plain names");
                let path = format!("{dir}/{name}");
                if root.join(&path).is_dir() {
                    if name != "target" && !name.starts_with('.') {
                        pending.push(path);
                    }
                } else if name.ends_with(".rs") {
                    let text = std::fs::read_to_string(root.join(&path)).expect("a source file");
                    found.push(Self::new(&path, &text));
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// The words and marks of the code.
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        for (at, line) in self.code.lines().enumerate() {
            let mut rest = line.trim_start();
            while let Some(first) = rest.chars().next() {
                let bytes = match first {
                    _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                    ':' if rest.starts_with("::") => 2,
                    _ => first.len_utf8(),
                };
                let (text, behind) = rest.split_at(bytes);
                tokens.push(Token { text, line: at + 1 });
                rest = behind.trim_start();
            }
        }
        tokens
    }

    /// Whether one of the `reach` lines above `line`, or the line itself, holds `mark`.
    pub(crate) fn has_above(&self, line: usize, reach: usize, mark: &str) -> bool {
        let first = line.saturating_sub(reach + 1);
        self.text.lines().skip(first).take(line - first).any(|text| text.contains(mark))
    }
}

/// A word, `::`, or a single mark; with its line, from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks comments and the insides of literals; every line keeps its number.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => line_end(&chars, at),
            ('/', Some('*')) => comment_end(&chars, at),
            ('"', _) => string_end(&chars, at),
            ('\'', Some('\\')) => char_end(&chars, at + 3),
            ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
            _ => {
                code.push(chars[at]);
                at += 1;
                continue;
            }
        };
        code.extend(chars[at..end].iter().map(|&c| if c == '\n' { c } else { ' ' }));
        at = end;
    }
    code
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |length| at + length)
}

fn comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut end = at;
    while end < chars.len() {
        match (chars[end], chars.get(end + 1)) {
            ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
            ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
        if depth == 0 {
            break;
        }
    }
    end
}

/// The end of the string that opens at `at`; hashes and an `r` in front make it raw.
fn string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[..at].iter().rev().take_while(|&&c| c == '#').count();
    let is_raw = at > hashes && chars[at - hashes - 1] == 'r';
    let mut end = at + 1;
    while end < chars.len() {
        let closes = |end: usize| chars[end + 1..].iter().take_while(|&&c| c == '#').count();
        match chars[end] {
            '\\' if !is_raw => end += 1,
            '"' if !is_raw => return end + 1,
            '"' if closes(end) >= hashes => return end + 1 + hashes,
            _ => {}
        }
        end += 1;
    }
    chars.len()
}

fn char_end(chars: &[char], from: usize) -> usize {
    let from = from.min(chars.len());
    chars[from..].iter().position(|&c| c == '\'').map_or(chars.len(), |length| from + length + 1)
}
