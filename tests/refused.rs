//! What the compiler refuses, and in which words: types that are no events, guards that outlive what they
//! guard, ends of a ring in two hands.

/// What is refused beside it under the same name, put right.
mod allowed {
    pub(crate) mod event_outlives_its_batch;
    pub(crate) mod only_producer_is_cloned;
    pub(crate) mod producer_shared_by_threads;
    pub(crate) mod two_claims_of_one_producer;
    pub(crate) mod two_events_held_at_once;
    pub(crate) mod unfilled_claim_is_published;
}

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

#[test]
fn what_differs_from_a_refusal_in_the_one_point_compiles_and_runs() {
    allowed::event_outlives_its_batch::main();
    allowed::only_producer_is_cloned::main();
    allowed::producer_shared_by_threads::main();
    allowed::two_claims_of_one_producer::main();
    allowed::two_events_held_at_once::main();
    allowed::unfilled_claim_is_published::main();
}
