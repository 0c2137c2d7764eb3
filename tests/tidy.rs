//! How the house is kept: floors, proofs, lengths. Each check is shown to fail on something bad.

#[path = "tidy/checks.rs"]
mod checks;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/source.rs"]
mod source;

use floors::Tower::{Ground, Journal, Ring, Top};
use floors::{Exception, Floors, Place};
use source::Source;
use std::path::Path;

/// Where each file of `src/` stands. Imports go down, or to a peer on the same floor of the same
/// tower; the towers never import each other.
const PLACES: &[Place] = &[
    ("lib.rs", 7, Top),
    ("bus/mod.rs", 6, Top),
    // Resumes a bus, so it stands beside the builder.
    ("recovered.rs", 6, Top),
    ("bus/assembly.rs", 6, Top),
    ("bus/builder.rs", 6, Top),
    ("bus/joining.rs", 6, Top),
    ("bus/links.rs", 6, Top),
    ("bus/group.rs", 6, Top),
    ("bus/stage.rs", 6, Top),
    ("bus/describe.rs", 6, Top),
    ("bus/farewell.rs", 6, Top),
    ("bus/operate.rs", 6, Top),
    ("bus/journal_side.rs", 6, Top),
    ("bus/no_journal.rs", 6, Top),
    ("bus/report.rs", 6, Top),
    ("bus/place.rs", 6, Top),
    // Reads what others own, so it stands beside the bus.
    ("observer.rs", 6, Top),
    ("model.rs", 7, Top),
    ("fuzzing.rs", 7, Top),
    ("journaler.rs", 5, Top),
    ("replay_poller.rs", 5, Top),
    ("snapshots.rs", 5, Top),
    // The ring tower.
    ("processor/mod.rs", 5, Ring),
    ("processor/handler.rs", 5, Ring),
    ("processor/stage.rs", 5, Ring),
    ("topology.rs", 5, Ring),
    ("duty.rs", 5, Ring),
    ("affinity.rs", 4, Ring),
    ("control.rs", 4, Ring),
    ("poller/mod.rs", 4, Ring),
    ("poller/batch.rs", 4, Ring),
    ("tap.rs", 4, Ring),
    ("producer/mod.rs", 4, Ring),
    ("producer/guard.rs", 4, Ring),
    ("producer/within.rs", 4, Ring),
    ("waker.rs", 4, Ring),
    ("barrier.rs", 3, Ring),
    ("idle.rs", 3, Ring),
    ("wait.rs", 3, Ring),
    ("ring/mod.rs", 3, Ring),
    ("ring/claim.rs", 3, Ring),
    ("sleepers.rs", 2, Ring),
    ("ring/adopt.rs", 3, Ring),
    ("ring/adopt/tests.rs", 3, Ring),
    ("ring/fuzzing.rs", 3, Ring),
    ("ring/named.rs", 3, Ring),
    ("ring/unnamed.rs", 3, Ring),
    ("ring/gate.rs", 2, Ring),
    ("ring/gate/found.rs", 2, Ring),
    ("ring/memory.rs", 2, Ring),
    ("ring/names.rs", 2, Ring),
    ("ring/error.rs", 1, Ring),
    ("ring/region.rs", 2, Ring),
    ("ring/slot.rs", 2, Ring),
    ("ring/state.rs", 2, Ring),
    // The journal tower.
    ("journal/mod.rs", 4, Journal),
    ("journal/helper.rs", 4, Journal),
    ("journal/replay.rs", 4, Journal),
    ("journal/retention.rs", 4, Journal),
    ("journal/writer.rs", 4, Journal),
    ("state/mod.rs", 4, Journal),
    ("state/projection.rs", 4, Journal),
    ("state/snapshot.rs", 4, Journal),
    ("journal/map.rs", 4, Journal),
    ("journal/recovery.rs", 4, Journal),
    ("journal/golden.rs", 4, Journal),
    ("journal/tests.rs", 4, Journal),
    ("journal/scan.rs", 3, Journal),
    ("journal/segment.rs", 3, Journal),
    ("journal/lock.rs", 3, Journal),
    ("journal/frame.rs", 3, Journal),
    ("journal/crc.rs", 2, Journal),
    ("journal/fields.rs", 2, Journal),
    ("journal/progress.rs", 2, Journal),
    ("journal/storage.rs", 2, Journal),
    ("journal/error.rs", 1, Journal),
    // The ground.
    ("cursor.rs", 1, Ground),
    ("event/mod.rs", 1, Ground),
    ("event/codec.rs", 1, Ground),
    ("event/framed.rs", 1, Ground),
    ("event/in_place.rs", 1, Ground),
    ("event/layout.rs", 1, Ground),
    ("event/schema.rs", 1, Ground),
    ("event/slot_writer.rs", 1, Ground),
    ("event/wrappers.rs", 1, Ground),
    ("sequence.rs", 1, Ground),
    ("error/mod.rs", 0, Ground),
    ("error/build.rs", 0, Ground),
    ("sync.rs", 0, Ground),
];

/// Paths that go up on purpose.
const EXCEPTIONS: &[Exception] = &[
    ("error/mod.rs", "sequence::Sequence", "a report says where a consumer stood"),
    ("error/build.rs", "ring::RegionError", "one `BuildError` for all that can refuse a bus"),
    ("error/build.rs", "journal::JournalError", "one `BuildError` for all that can refuse a bus"),
    ("processor/stage.rs", "journal::JournalError", "one `Failure` for all that can halt a bus"),
];

/// The files that may hold `unsafe`; whoever adds one invites the reviewers.
const UNSAFE: &[&str] = &[
    "src/event/codec.rs",
    "src/event/framed.rs",
    "src/event/in_place.rs",
    "src/event/slot_writer.rs",
    "src/journal/crc.rs",
    "src/journal/helper.rs",
    "src/journal/map.rs",
    "src/journal/recovery.rs",
    "src/journal/writer.rs",
    "src/model.rs",
    "src/observer.rs",
    "src/poller/batch.rs",
    "src/poller/mod.rs",
    "src/producer/guard.rs",
    "src/producer/mod.rs",
    "src/ring/fuzzing.rs",
    "src/ring/memory.rs",
    "src/ring/region.rs",
    "src/ring/slot.rs",
    "src/tap.rs",
];

/// The files that may name a memory ordering.
const ORDERINGS: &[&str] = &[
    "src/control.rs",
    "src/cursor.rs",
    "src/journal/map.rs",
    "src/observer.rs",
    "src/ring/gate.rs",
    "src/ring/gate/found.rs",
    "src/ring/names.rs",
    "src/ring/slot.rs",
    "src/ring/state.rs",
    "src/sleepers.rs",
    "src/sync.rs",
];

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, usize, &str)] =
    &[("src/journal/tests.rs", 600, "one list of what the journal promises")];

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 450;
const README_LINES_MAX: usize = 200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below several folders; each may be absent.
fn sources(dirs: &[&str]) -> Vec<Source> {
    dirs.iter().flat_map(|dir| Source::all(root(), dir)).collect()
}

fn library() -> Vec<Source> {
    sources(&["src"])
}

fn everything() -> Vec<Source> {
    sources(&["src", "derive", "cli", "tests", "examples", "benches", "loom-tests", "fuzz"])
}

fn bad(path: &str, text: &str) -> Vec<Source> {
    vec![Source::new(path, text)]
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[track_caller]
fn assert_found(found: &[String], expected: &[&str]) {
    let matches = found.iter().zip(expected).all(|(found, expected)| found.contains(expected));
    assert!(matches && found.len() == expected.len(), "{found:#?} is not {expected:#?}");
}

#[test]
fn imports_go_down_and_the_towers_meet_at_the_top_alone() {
    assert_none(&Floors::new(PLACES, &library()).violations(EXCEPTIONS));
}

#[test]
fn every_file_has_its_floor() {
    assert_none(&without_floor(&library()));
    assert_found(&without_floor(&bad("src/attic.rs", "")), &["src/attic.rs"]);
}

fn without_floor(sources: &[Source]) -> Vec<String> {
    let has_floor =
        |file: &str| PLACES.iter().any(|place| file.strip_prefix("src/") == Some(place.0));
    sources.iter().map(|source| source.path.clone()).filter(|file| !has_floor(file)).collect()
}

#[test]
fn unsafe_code_stands_in_few_files_and_each_block_has_its_proof() {
    assert_none(&checks::unsafe_code(&library(), UNSAFE));
    assert_none(&checks::unsafe_code(&sources(&["derive"]), &["derive/src/in_place.rs"]));
    assert_none(&checks::unsafe_code(&sources(&["cli", "examples"]), &[]));
}

#[test]
fn orderings_stand_in_few_files_and_each_names_its_partner() {
    assert_none(&checks::orderings(&library(), ORDERINGS));
}

#[test]
fn nothing_sleeps_in_tests_and_examples() {
    assert_none(&checks::sleeps(&sources(&["tests", "examples", "fuzz"])));
}

#[test]
fn functions_and_files_are_short_enough_to_read() {
    assert_none(&checks::long_functions(&everything(), FUNCTION_LINES_MAX));
    let shipped = sources(&["src", "derive", "cli", "examples", "benches"]);
    assert_none(&checks::long_files(&shipped, FILE_LINES_MAX, LONG_FILES));
}

#[test]
fn nothing_is_a_stub() {
    assert_none(&checks::stubs(&everything()));
}

#[test]
fn the_readme_is_read_in_one_sitting() {
    if let Ok(text) = std::fs::read_to_string(root().join("README.md")) {
        let lines = text.lines().count();
        assert!(
            lines <= README_LINES_MAX,
            "README.md: {lines} lines of at most {README_LINES_MAX}"
        );
    }
}

#[test]
fn the_checks_read_code_and_not_words() {
    let text = "// unsafe\n/* a /* b */ unsafe { */ fn f<'a>() { \"unsafe {\"; r#\"\"todo!()\"#; '\"'; '\\''; }";
    let source = Source::new("src/a.rs", text);
    let words: Vec<_> = source.tokens().iter().map(|token| token.text).collect();
    let code = ["fn", "f", "<", "'", "a", ">", "(", ")", "{", ";", "r", "#", ";", ";", ";", "}"];
    assert_eq!(words, code);
    assert_eq!(source.code.lines().count(), 2);
}

#[test]
fn a_path_that_goes_up_is_found() {
    let cases: [(&str, &str, &[&str]); 10] = [
        ("src/ring/slot.rs", "use crate::{poller::Poller, cursor::Cursor};", &["poller::Poller"]),
        ("src/cursor.rs", "fn f() { crate::bus::go(); }", &["src/cursor.rs:1: `bus::go`"]),
        ("src/ring/gate.rs", "\nuse super::claim::Single;", &["src/ring/gate.rs:2: `ring::claim"]),
        (
            "src/ring/gate.rs",
            "mod tests { use super::*; use super::super::Ring; }",
            &["ring::Ring"],
        ),
        ("src/poller/mod.rs", "use crate::journal::frame::Frame;", &["Ring 4 to Journal 3"]),
        ("src/journal/writer.rs", "use crate::wait::Wait;", &["Journal 4 to Ring 3"]),
        ("src/cursor.rs", "use crate::ring;", &["Ground 1 to Ring 3"]),
        ("src/attic.rs", "use crate::sync::fence;", &["no floor"]),
        ("src/journaler.rs", "use crate::{bus::Bus as B, poller::{self, Poller}};", &["bus::Bus"]),
        (
            "src/journal/mod.rs",
            "use frame::F; use crate::{sync::{a, b}, poller::P};",
            &["poller::P"],
        ),
    ];
    for (path, text, expected) in cases {
        let sources = bad(path, text);
        assert_found(&Floors::new(PLACES, &sources).violations(EXCEPTIONS), expected);
    }
}

#[test]
fn a_re_export_does_not_hide_a_floor() {
    let sources = [
        Source::new("src/lib.rs", "pub use event::Event; pub use poller::{Poller as P};"),
        Source::new("src/event/mod.rs", "pub use codec::Codec;"),
        Source::new("src/cursor.rs", "use crate::Event; use crate::P; use crate::event::Codec;"),
    ];
    let found = Floors::new(PLACES, &sources).violations(EXCEPTIONS);
    assert_found(&found, &["src/cursor.rs:1: `P` goes from Ground 1 to Ring 4 (poller/mod.rs)"]);
}

#[test]
fn an_unproved_or_unlisted_unsafe_is_found() {
    let proved = "// SAFETY: none needed.\nunsafe { f() }\n";
    assert_none(&checks::unsafe_code(&bad("src/a.rs", proved), &["src/a.rs"]));
    let bare = "fn f() {\n  unsafe { g() }\n}\nunsafe impl Send for A {}";
    let found = checks::unsafe_code(&bad("src/a.rs", bare), &["src/a.rs"]);
    assert_found(&found, &["src/a.rs:2: no `// SAFETY:`", "src/a.rs:4: no `// SAFETY:`"]);
    let found = checks::unsafe_code(&bad("src/b.rs", proved), &["src/a.rs"]);
    assert_found(&found, &["src/b.rs:2: `unsafe` in a file that is not on the list"]);
    let found = checks::unsafe_code(&bad("src/a.rs", "fn f() {}"), &["src/a.rs"]);
    assert_found(&found, &["on the list without need"]);
}

#[test]
fn an_undefended_or_unlisted_ordering_is_found() {
    let far = format!("// ORDERING: Relaxed; too far.\n{}c.load(Relaxed);", "\n".repeat(6));
    let found = checks::orderings(&bad("src/a.rs", &far), &["src/a.rs"]);
    assert_found(&found, &["src/a.rs:8: no `// ORDERING:`"]);
    let near = "// ORDERING: Relaxed; near.\nc.load(Ordering::Relaxed);";
    assert_none(&checks::orderings(&bad("src/a.rs", near), &["src/a.rs"]));
    assert_found(&checks::orderings(&bad("src/b.rs", near), &["src/a.rs"]), &["src/b.rs:2"]);
    assert_none(&checks::orderings(&bad("src/b.rs", "x.cmp(y) == Ordering::Less"), &[]));
}

#[test]
fn a_sleep_is_found() {
    let found = checks::sleeps(&bad("tests/a.rs", "// sleep(1)\nthread::sleep(ms(50));"));
    assert_found(&found, &["tests/a.rs:2: a bare sleep"]);
}

#[test]
fn a_stub_is_found() {
    let found =
        checks::stubs(&bad("src/a.rs", "fn f() { todo!() }\nfn g() { \"todo!\"; dbg!(1) }"));
    assert_found(&found, &["src/a.rs:1", "src/a.rs:2"]);
}

#[test]
fn a_long_function_and_a_long_file_are_found() {
    let text = format!("fn f() {{\n{}}}\nfn g(a: [u8; 3]);\nfn h() {{}}\n", "    x();\n".repeat(3));
    let functions = |most| checks::long_functions(&bad("src/a.rs", &text), most);
    assert_none(&functions(5));
    assert_found(&functions(4), &["src/a.rs:1: `f` has 5 lines of at most 4"]);
    assert_found(&functions(0), &["`f` has 5", "`g` has 1", "`h` has 1"]);
    let files = |most, exceptions| checks::long_files(&bad("src/a.rs", &text), most, exceptions);
    assert_none(&files(7, &[]));
    assert_found(&files(6, &[]), &["src/a.rs: 7 lines of at most 6"]);
    assert_none(&files(6, &[("src/a.rs", 7, "as an example")]));
    assert_found(&files(6, &[("src/a.rs", 6, "as an example")]), &["7 lines of at most 6"]);
}
