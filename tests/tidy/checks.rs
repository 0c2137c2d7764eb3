//! *Owns* the rules that one file can break alone. *Invariant*: a check gives one line per
//! violation, with file and line; an empty list is the proof.

use crate::source::{Source, Token, is_word};

const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
/// How far above its line a proof may begin.
const REACH_LINES: usize = 6;

/// Files that hold one of `words` and are not in `allowed`, and files of it that hold none.
fn exactly(sources: &[Source], words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let first = source.tokens().into_iter().find(|token| words.contains(&token.text));
        match (first, allowed.contains(&source.path.as_str())) {
            (Some(token), false) => found.push(format!(
                "{}:{}: `{}` in a file that is not on the list",
                source.path, token.line, token.text
            )),
            (None, true) => found.push(format!("{}: on the list without need", source.path)),
            _ => {}
        }
    }
    found
}

/// `unsafe` stands in `allowed` alone, and each block and impl has its proof.
pub(crate) fn unsafe_code(sources: &[Source], allowed: &[&str]) -> Vec<String> {
    let mut found = exactly(sources, &["unsafe"], allowed);
    for source in sources {
        for pair in source.tokens().windows(2) {
            let needs_proof = pair[0].text == "unsafe" && ["{", "impl"].contains(&pair[1].text);
            if needs_proof && !source.has_above(pair[0].line, REACH_LINES, "// SAFETY:") {
                found.push(format!("{}:{}: no `// SAFETY:` above", source.path, pair[0].line));
            }
        }
    }
    found
}

/// Orderings stand in `allowed` alone, and each names its partner.
pub(crate) fn orderings(sources: &[Source], allowed: &[&str]) -> Vec<String> {
    let mut found = exactly(sources, &ORDERINGS, allowed);
    for source in sources {
        for token in source.tokens() {
            let is_ordering = ORDERINGS.contains(&token.text);
            if is_ordering && !source.has_above(token.line, REACH_LINES, "// ORDERING:") {
                found.push(format!("{}:{}: no `// ORDERING:` above", source.path, token.line));
            }
        }
    }
    found
}

/// No call of `sleep`.
pub(crate) fn sleeps(sources: &[Source]) -> Vec<String> {
    pairs(sources, |a, b| a == "sleep" && b == "(", "a bare sleep")
}

/// No stub and no leftover of debugging.
pub(crate) fn stubs(sources: &[Source]) -> Vec<String> {
    let is_stub = |a: &str, b: &str| ["todo", "unimplemented", "dbg"].contains(&a) && b == "!";
    pairs(sources, is_stub, "a stub or a leftover")
}

fn pairs(sources: &[Source], is_bad: impl Fn(&str, &str) -> bool, what: &str) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for pair in source.tokens().windows(2).filter(|pair| is_bad(pair[0].text, pair[1].text)) {
            found.push(format!("{}:{}: {what}", source.path, pair[0].line));
        }
    }
    found
}

/// No function is longer than `lines_max`.
pub(crate) fn long_functions(sources: &[Source], lines_max: usize) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let tokens = source.tokens();
        let functions = (0..tokens.len().saturating_sub(1))
            .filter(|&at| tokens[at].text == "fn" && tokens[at + 1].text.starts_with(is_word));
        for at in functions {
            let lines = last_line(&tokens, at) + 1 - tokens[at].line;
            if lines > lines_max {
                found.push(format!(
                    "{}:{}: `{}` has {lines} lines of at most {lines_max}",
                    source.path,
                    tokens[at].line,
                    tokens[at + 1].text
                ));
            }
        }
    }
    found
}

/// The line on which the function at `at` ends: its closing brace, or the `;` of a declaration.
fn last_line(tokens: &[Token<'_>], at: usize) -> usize {
    let mut nested = 0_usize;
    let mut braces = 0_usize;
    for token in &tokens[at..] {
        match token.text {
            "(" | "[" => nested += 1,
            ")" | "]" => nested = nested.saturating_sub(1),
            "{" => braces += 1,
            "}" => braces = braces.saturating_sub(1),
            _ => {}
        }
        if braces == 0 && nested == 0 && [";", "}"].contains(&token.text) {
            return token.line;
        }
    }
    tokens.last().map_or(0, |token| token.line)
}

/// No file is longer than `lines_max`, or than the number that stands for it in `exceptions`.
pub(crate) fn long_files(
    sources: &[Source],
    lines_max: usize,
    exceptions: &[(&str, usize, &str)],
) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        let exception = exceptions.iter().find(|exception| exception.0 == source.path);
        let most = exception.map_or(lines_max, |exception| exception.1);
        if lines > most {
            found.push(format!("{}: {lines} lines of at most {most}", source.path));
        }
    }
    found
}
