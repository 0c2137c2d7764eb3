# The menu. `just` alone prints it.

_menu:
    @just --list --unsorted

# Everything that a change must pass, as one command.
ci:
    .ci/run

# The tests of the workspace.
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# Format and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy --no-default-features -- -D warnings

# The docs, as docs.rs would show them.
doc *ARGS:
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --all-features {{ARGS}}

# Licences, bans, sources, advisories. Needs cargo-deny.
deny:
    cargo deny check

# Model checking of the crate itself.
loom *ARGS:
    cd loom-tests && cargo test --release {{ARGS}}

# Breaks the crate in one place at a time; every model must notice. `--quick` for a few.
mutants *ARGS:
    loom-tests/mutants.sh {{ARGS}}

# One fuzz target for a minute. Needs nightly and cargo-fuzz.
fuzz TARGET *ARGS:
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time=60 {{ARGS}}

# The ring's threads under ThreadSanitizer, independent of `.ci/run`. Needs nightly. It knows no fences
# and not how an uninstrumented standard library synchronizes: what it says of a drop of an `Arc`, of a
# scope, a `OnceLock` or of data published behind a fence is a false alarm; loom decides those.
tsan *ARGS:
    RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" cargo +nightly test \
        --target x86_64-unknown-linux-gnu --target-dir target/tsan \
        --test producers --test joining --test ring {{ARGS}}

# The benches; a name picks one: `just bench ring`. The machine should be idle.
bench NAME="*" *ARGS:
    cargo bench --bench '{{NAME}}' -- {{ARGS}}

# The oldest compiler that is promised. Needs `rustup toolchain install 1.89`.
msrv:
    cargo +1.89 check --workspace --all-targets --all-features --locked
