//! What the derives refuse, and in which words.

use std::process::Command;

/// The compiler whose words stand in `tests/refused/*.stderr`. Others refuse the same (the
/// `compile_fail` examples in the docs see to that), but word it a little differently.
const COMPILER: &str = "rustc 1.95.";

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
#[expect(clippy::disallowed_methods, reason = "cargo names the compiler in the environment")]
fn what_cannot_be_an_event_is_refused_in_words_that_say_why() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("a compiler that answers");
    if !version.stdout.starts_with(COMPILER.as_bytes()) {
        eprintln!("skipped: the expected messages are those of {COMPILER}*");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
