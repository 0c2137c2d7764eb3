//! What is promised about state: it survives, it is rebuilt the same, and nothing leaves early.

mod common;

use common::Scratch;
use std::sync::mpsc;
use tourbillon::{
    ArchivedCaused, BuildError, Bus, Caused, Drain, Event, JournalError, JournalOptions, Journaled,
    Polled, Projected, Projection, Recovery, RecoveryError, Schema, Sequence, WhenFull,
};

#[derive(Clone, Copy, Debug, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "bank.moved", version = 1)]
struct Moved {
    account: u32,
    amount: i64,
}

#[derive(Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
#[schema(name = "bank.ledger", version = 1)]
struct Ledger {
    balances: Vec<i64>,
    moves: u64,
}

impl Projection for Ledger {
    type Event = Moved;

    fn apply(&mut self, moved: &ArchivedMoved, _: Sequence) {
        let account = moved.account.to_native() as usize;
        if self.balances.len() <= account {
            self.balances.resize(account + 1, 0);
        }
        self.balances[account] += moved.amount.to_native();
        self.moves += 1;
    }
}

/// The same ledger under other rules.
#[derive(Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
#[schema(name = "bank.ledger", version = 2)]
struct LedgerV2 {
    moves: u64,
}

impl Projection for LedgerV2 {
    type Event = Moved;

    fn apply(&mut self, _: &ArchivedMoved, _: Sequence) {
        self.moves += 1;
    }
}

fn moved(n: u64) -> Moved {
    Moved { account: (n % 7) as u32, amount: (n * n % 1000) as i64 - 300 }
}

fn expected(events: u64) -> Ledger {
    let mut ledger = Ledger { balances: vec![0; 7.min(events as usize)], moves: events };
    for n in 0..events {
        let event = moved(n);
        ledger.balances[event.account as usize] += event.amount;
    }
    ledger
}

fn options() -> JournalOptions {
    JournalOptions::default().segment_bytes(64 << 10)
}

/// Publishes `events` onto a bus whose ledger starts as `state`; gives the ledger back.
fn run(
    builder: &mut tourbillon::BusBuilder<Moved>,
    state: Ledger,
    events: std::ops::Range<u64>,
    snapshot_every: u64,
) -> Ledger {
    builder.when_full(WhenFull::Yield(None));
    builder.projection("ledger", Projected::new(state).snapshot_every(snapshot_every));
    let builder = std::mem::replace(builder, Bus::builder(64));
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for n in events {
        producer.publish(&moved(n)).expect("an open bus");
    }
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    let status = report.snapshots("ledger");
    assert!(status.is_none_or(|status| status.error.is_none()));
    report.take("ledger").expect("its state")
}

fn first_run(scratch: &Scratch, events: u64, snapshot_every: u64) -> Ledger {
    let mut builder = Bus::builder(256);
    builder.journal(scratch.path(), options());
    run(&mut builder, Ledger::default(), 0..events, snapshot_every)
}

#[test]
fn deposits_and_withdrawals_come_back_as_the_same_balance() {
    let scratch = Scratch::new("balance");
    let mut builder = Bus::builder(8);
    builder.journal(scratch.path(), options());
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for amount in [200, -50, 350] {
        producer.publish(&Moved { account: 0, amount }).expect("room");
    }
    bus.shutdown(Drain::Complete).expect("a clean end");
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<Ledger>().expect("state");
    assert_eq!(recovered.state().balances, [500]);
    assert_eq!(recovered.replayed(), 3);
}

#[test]
fn state_is_rebuilt_from_snapshot_and_replay_and_goes_on_with_the_same_numbering() {
    let scratch = Scratch::new("resume");
    assert_eq!(first_run(&scratch, 5_000, 1_000), expected(5_000));
    let recovery = Recovery::open_with(scratch.path(), &options()).expect("a journal");
    let recovered = recovery.state::<Ledger>().expect("state");
    assert_eq!(recovered.state(), &expected(5_000));
    let covered = recovered.snapshot_sequence().expect("five fell due").get();
    assert!(covered.is_multiple_of(1_000) && recovered.replayed() == 5_000 - covered);

    let mut builder = Bus::builder(256);
    let (state, _) = recovered.resume(&mut builder);
    assert_eq!(run(&mut builder, state, 5_000..7_000, 1_000), expected(7_000));
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<Ledger>().expect("state");
    assert_eq!(recovered.next_sequence().get(), 7_000);
    assert_eq!(recovered.state(), &expected(7_000));
}

#[test]
fn a_garbled_snapshot_is_fallen_back_from_and_said() {
    let scratch = Scratch::new("garbled");
    first_run(&scratch, 4_000, 500);
    let snapshots = scratch.files(".snap");
    assert!(!snapshots.is_empty());
    let newest = snapshots.last().expect("one");
    let mut bytes = std::fs::read(newest).expect("read");
    *bytes.last_mut().expect("a body") ^= 1;
    std::fs::write(newest, bytes).expect("written");
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<Ledger>().expect("state");
    assert_eq!(recovered.state(), &expected(4_000));
    assert_eq!(recovered.set_aside().len(), 1);
    assert!(recovered.set_aside()[0].why.contains("checksum"));
    assert_eq!(recovered.set_aside()[0].path, *newest);
}

#[test]
fn a_snapshot_beyond_the_journals_end_is_set_aside_loudly() {
    let scratch = Scratch::new("beyond");
    first_run(&scratch, 3_000, 1_000);
    // The journal is cut back behind the snapshot's back: only its first segment stays.
    let segments = scratch.files(".seg");
    assert!(segments.len() > 2);
    let mut first = std::fs::read(&segments[0]).expect("read");
    let footer = first.len() - 4096;
    first[footer..].fill(0);
    std::fs::write(&segments[0], first).expect("written");
    for later in &segments[1..] {
        std::fs::remove_file(later).expect("removed");
    }
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<Ledger>().expect("state");
    let end = recovered.next_sequence().get();
    assert!(end < 3_000);
    assert_eq!(recovered.state(), &expected(end));
    assert!(recovered.set_aside().iter().all(|aside| aside.why.contains("journal ends")));
    assert!(!scratch.files(".snap.rejected").is_empty());
}

#[test]
fn state_of_another_schema_discards_the_snapshot_and_replays() {
    let scratch = Scratch::new("other-state");
    first_run(&scratch, 2_000, 500);
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<LedgerV2>().expect("state");
    assert_eq!((recovered.state().moves, recovered.replayed()), (2_000, 2_000));
    assert!(recovered.set_aside()[0].why.contains("bank.ledger v1"));
}

#[test]
fn events_of_another_schema_are_refused_by_name_and_version() {
    #[derive(rkyv::Archive, rkyv::Serialize, Event)]
    #[event(name = "bank.moved", version = 2)]
    struct MovedV2 {
        account: u32,
        amount: i64,
    }
    let scratch = Scratch::new("other-event");
    first_run(&scratch, 10, 0);
    let error = Recovery::<MovedV2>::open(scratch.path()).expect_err("refused");
    assert!(matches!(error, JournalError::OtherSchema { .. }));
    let text = error.to_string();
    assert!(text.contains("bank.moved v1") && text.contains("bank.moved v2"), "{text}");
}

#[test]
fn altering_any_one_event_changes_the_state_or_is_refused() {
    let scratch = Scratch::new("altered");
    first_run(&scratch, 50, 0);
    let segment = scratch.files(".seg").remove(0);
    let sound = std::fs::read(&segment).expect("read");
    for at in (4096 + 32..4096 + 32 + 50 * 48).step_by(48) {
        let mut altered = sound.clone();
        altered[at + 32] ^= 1;
        std::fs::write(&segment, altered).expect("written");
        let outcome = Recovery::open(scratch.path())
            .map_err(RecoveryError::from)
            .and_then(|recovery| recovery.state::<Ledger>());
        assert!(matches!(outcome, Err(RecoveryError::Journal(JournalError::Corrupt { .. }))));
    }
}

#[test]
fn the_lock_is_held_from_the_recovery_to_the_end_of_the_resumed_bus() {
    let scratch = Scratch::new("lock");
    first_run(&scratch, 10, 0);
    let refused =
        || matches!(Recovery::<Moved>::open(scratch.path()), Err(JournalError::Locked { .. }));
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<Ledger>().expect("state");
    assert!(refused());
    let mut builder = Bus::builder(8);
    let (_, _) = recovered.resume(&mut builder);
    assert!(refused());
    let (_producer, bus) = builder.start().expect("a sound bus");
    assert!(refused());
    bus.shutdown(Drain::Complete).expect("a clean end");
    assert!(!refused());
}

#[test]
fn a_directory_that_holds_a_journal_is_not_written_over() {
    let scratch = Scratch::new("exists");
    first_run(&scratch, 10, 0);
    let mut builder = Bus::<Moved>::builder(8);
    builder.journal(scratch.path(), options());
    let refused = builder.start();
    assert!(matches!(refused, Err(BuildError::Journal(JournalError::AlreadyExists { .. }))));
}

#[test]
fn snapshots_without_a_journal_are_refused() {
    let mut builder = Bus::<Moved>::builder(8);
    builder.projection("ledger", Projected::new(Ledger::default()).snapshot_every(10));
    let error = builder.start().expect_err("nothing to stand on");
    assert!(matches!(&error, BuildError::NoJournal { stage } if stage == "ledger"), "{error}");
}

#[test]
fn aborted_sequences_are_journaled_as_aborted_and_survive() {
    let scratch = Scratch::new("aborted");
    let mut builder = Bus::builder(8);
    builder.journal(scratch.path(), options());
    let (mut producer, bus) = builder.start().expect("a sound bus");
    producer.publish(&Moved { account: 0, amount: 1 }).expect("room");
    drop(producer.claim().expect("room"));
    producer.publish(&Moved { account: 0, amount: 2 }).expect("room");
    bus.shutdown(Drain::Complete).expect("a clean end");
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<Ledger>().expect("state");
    assert_eq!((recovered.next_sequence().get(), recovered.replayed()), (3, 2));
}

#[test]
fn flush_makes_durable_what_was_published() {
    let scratch = Scratch::new("durable");
    let mut builder = Bus::builder(8);
    builder.journal(scratch.path(), options());
    builder.poller("durable").behind(tourbillon::Durable);
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let mut poller = bus.take_poller("durable").expect("built");
    let sequence = producer.publish(&moved(0)).expect("room");
    assert!(matches!(poller.poll(), Polled::Gated));
    let journal = bus.journal().expect("it has one").clone();
    assert!(journal.flush(sequence.next()).expect("synced") > sequence);
    assert!(matches!(poller.poll(), Polled::Batch(_)));
    bus.shutdown(Drain::Halt).expect("a clean end");
}

#[test]
fn with_the_journal_stage_held_back_no_intent_leaves() {
    let scratch = Scratch::new("gate");
    let mut input = Bus::<Moved>::builder(8);
    // The journal stage waits for a poller of ours, so the test holds it back.
    input.poller("holder");
    input.journal(scratch.path(), options()).after(["holder"]);

    let mut output = Bus::<Caused<Moved>>::builder(8);
    let (leave, left) = mpsc::channel();
    output
        .handler("gateway", move |intent: &ArchivedCaused<Moved>, _: Sequence, _: bool| {
            let _ = leave.send(intent.cause.to_native().get());
        })
        .behind_ring(&input, Journaled, |intent| intent.cause.to_native());
    output.poller("witness").behind_ring(&input, Journaled, |intent| intent.cause.to_native());

    let (mut intents, mut output) = output.start().expect("a sound bus");
    let mut witness = output.take_poller("witness").expect("built");
    // An intent whose cause is on a bus that has not even started does not leave.
    let cause = Sequence::ZERO;
    intents.publish(&Caused { cause, n: 0, payload: moved(0) }).expect("room");
    assert!(matches!(witness.poll(), Polled::Gated));

    let (mut producer, mut input) = input.start().expect("a sound bus");
    let mut holder = input.take_poller("holder").expect("built");
    assert_eq!(producer.publish(&moved(0)), Ok(cause));
    assert!(matches!(witness.poll(), Polled::Gated));
    assert!(left.try_recv().is_err());

    let Polled::Batch(mut batch) = holder.poll() else { panic!("one event is there") };
    assert!(batch.next().is_some());
    drop(batch);
    assert_eq!(left.recv(), Ok(0), "the intent leaves once its cause is journaled");
    drop(witness);
    input.shutdown(Drain::Complete).expect("a clean end");
    output.shutdown(Drain::Complete).expect("a clean end");
}

#[test]
fn a_halt_ends_a_journal_stage_whose_upstream_stopped_short() {
    let scratch = Scratch::new("short");
    let mut builder = Bus::<Moved>::builder(8);
    builder.poller("holder");
    builder.journal(scratch.path(), options()).after(["holder"]);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    producer.publish(&moved(0)).expect("room");
    let report = bus.shutdown(Drain::Halt).expect("halted on request");
    let line = report.consumer("journal").expect("its line");
    assert_eq!((line.lag_events, &line.outcome), (1, &tourbillon::Outcome::Stopped));
}

#[test]
fn a_bus_that_stopped_short_strands_whoever_waits_for_it_and_says_so() {
    let scratch = Scratch::new("stranded");
    let mut input = Bus::<Moved>::builder(8);
    input.journal(scratch.path(), options());
    let mut output = Bus::<Caused<Moved>>::builder(8);
    output.handler("gateway", |_: &ArchivedCaused<Moved>, _: Sequence, _: bool| {}).behind_ring(
        &input,
        Journaled,
        |intent| intent.cause.to_native(),
    );
    let (_producer, input) = input.start().expect("a sound bus");
    let (mut intents, output) = output.start().expect("a sound bus");
    let cause = Sequence::new(5);
    intents.publish(&Caused { cause, n: 0, payload: moved(0) }).expect("room");
    input.shutdown(Drain::Complete).expect("a clean end");
    let error = output.shutdown(Drain::Complete).expect_err("the cause never came");
    assert!(error.to_string().contains("`gateway`"), "{error}");
}

#[test]
fn a_panic_halts_the_bus_and_the_journal_still_holds_what_was_published() {
    let scratch = Scratch::new("panic");
    let mut builder = Bus::<Moved>::builder(1024);
    builder.when_full(WhenFull::Yield(None));
    builder.journal(scratch.path(), options());
    builder.handler("fragile", |moved: &ArchivedMoved, _: Sequence, _: bool| {
        assert!(moved.amount.to_native() != 13, "unlucky");
    });
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let mut published = 0;
    for n in 0..500 {
        let amount = if n == 400 { 13 } else { 1 };
        match producer.publish(&Moved { account: 0, amount }) {
            Ok(sequence) => published = sequence.next().get(),
            Err(_) => break,
        }
    }
    assert!(bus.shutdown(Drain::Complete).is_err());
    let recovered =
        Recovery::open(scratch.path()).expect("a journal").state::<Ledger>().expect("state");
    assert_eq!(recovered.next_sequence().get(), published);
}

#[test]
fn a_journal_that_fails_halts_the_bus_frees_everybody_and_is_the_error() {
    #[derive(rkyv::Archive, rkyv::Serialize, Event)]
    #[event(name = "test.huge", version = 1)]
    struct Huge {
        words: [u64; 7_000],
    }
    let scratch = Scratch::new("fails");
    let mut input = Bus::<Huge>::builder(2);
    // An event of 56,000 bytes does not fit a segment of 64 KiB with its header, index and footer.
    // The journal stage waits for a poller of ours, so that it fails when the engine is at work.
    input.when_full(WhenFull::Yield(None)).poller("holder");
    input.journal(scratch.path(), options()).after(["holder"]);
    let mut output = Bus::<Caused<Moved>>::builder(2);
    output.when_full(WhenFull::Yield(None));
    output.handler("gateway", |_: &ArchivedCaused<Moved>, _: Sequence, _: bool| {}).behind_ring(
        &input,
        Journaled,
        |intent| intent.cause.to_native(),
    );
    let (mut intents, output) = output.start().expect("a sound bus");
    // The engine blocks on the output ring, whose gateway waits for what is never journaled.
    input.handler("engine", move |_: &ArchivedHuge, cause: Sequence, _: bool| {
        while intents.publish(&Caused { cause, n: 0, payload: moved(0) }).is_ok() {}
    });
    let (mut producer, mut input) = input.start().expect("a sound bus");
    let mut holder = input.take_poller("holder").expect("built");
    producer.publish(&Huge { words: [1; 7_000] }).expect("room");
    while output.published() == Sequence::ZERO {
        std::thread::yield_now();
    }
    let Polled::Batch(mut batch) = holder.poll() else { panic!("one event is there") };
    assert!(batch.next().is_some());
    drop(batch);
    while producer.publish(&Huge { words: [1; 7_000] }).is_ok() {}
    let error = input.shutdown(Drain::Complete).expect_err("the journal failed");
    let text = error.to_string();
    assert!(text.contains("does not fit a segment"), "{text}");
    assert!(
        error.report().consumers.iter().all(|line| line.outcome != tourbillon::Outcome::Running)
    );
    let error = output.shutdown(Drain::Complete).expect_err("the gateway was stranded");
    assert!(error.to_string().contains("`gateway`"), "{error}");
}
