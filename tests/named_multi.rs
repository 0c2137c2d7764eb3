//! A ring of several producers that outlives its process: what returned is there, in each producer's
//! order, and what a kill tore is aborted and told.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a long test says what it hit")]
#![allow(clippy::disallowed_methods, reason = "what a forgotten claim leaves is a subject here")]

#[path = "named_ring/child.rs"]
mod child;
#[path = "named_ring/tmpfs.rs"]
mod tmpfs;

use child::{BATCH_EVENTS_MAX, Call, Entry, Orders, Page, Word, Work, builder, handle, mix};
use std::path::Path;
use tmpfs::Tmpfs;
use tourbillon::{Adopted, Bus, Drain, MultiProducer, Polled, Sequence, WhenFull};

const SEED: u64 = 0x5EED_0000_0000_0011;
const PRODUCERS: usize = 2;

#[test]
#[ignore = "the process that is killed: its parent starts it"]
fn a_child_at_work() {
    let Some(orders) = Orders::read() else { return };
    let mut builder = orders.builder();
    builder.when_full(WhenFull::Yield(None)); // however busy the machine is
    let (producer, mut bus) = builder.start_multi().expect("a ring");
    let [mut book, mut slow] =
        ["book", "slow"].map(|name| bus.take_poller(name).expect("named above"));
    std::thread::scope(|scope| {
        for number in 0..PRODUCERS {
            let (producer, orders) = (producer.clone(), &orders);
            scope.spawn(move || publish(producer, number, &orders.page, orders.seed));
        }
        loop {
            handle(&mut book, &orders.page, Word::Book);
            handle(&mut slow, &orders.page, Word::Slow);
            std::thread::yield_now();
        }
    });
}

/// Who publishes, in which life.
fn author(seed: u64, number: usize) -> u64 {
    mix(seed ^ (number as u64 + 1))
}

/// The calls of one producer: each follows from its author and its number.
fn publish(mut producer: MultiProducer<Entry>, number: usize, page: &Page, seed: u64) {
    let author = author(seed, number);
    for ordinal in 0.. {
        let entry = |sequence: Sequence| Entry::new(sequence.get(), author, ordinal);
        let end = match Call::at(author, ordinal) {
            Call::Publish => Some(producer.publish_with(entry).expect("open").next()),
            Call::Dropped => {
                drop(producer.claim().expect("open"));
                None
            }
            Call::Batch(events) => {
                let mut batch = producer.claim_batch(events as usize).expect("open");
                for sequence in batch.sequences().start.get()..batch.sequences().end.get() {
                    batch.write(&entry(Sequence::new(sequence))).expect("inline");
                }
                Some(batch.publish().end)
            }
        };
        page.tell_of(number, Word::Calls, ordinal + 1);
        if let Some(end) = end {
            page.tell_of(number, Word::Last, end.get());
        }
    }
}

/// Kills of one test, and what they hit.
#[derive(Debug, Default)]
struct Hits {
    kills: u64,
    torn_claims: u64,
    ahead: u64,
}

/// What was in the ring when somebody adopted it, by sequence.
fn contents(path: &Path, by_several: bool) -> (Adopted, Vec<Entry>) {
    let mut builder = builder(&["book", "slow", "fresh"]);
    builder.adopt(path);
    let mut bus = match by_several {
        true => builder.start_multi().expect("a kill is no damage").1,
        false => builder.start().expect("a kill is no damage").1,
    };
    let mut fresh = bus.take_poller("fresh").expect("named above");
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = fresh.poll() {
        while let Some((entry, sequence)) = batch.next() {
            assert_eq!(entry.native().sequence, sequence.get());
            seen.push(entry.native());
        }
    }
    let adopted = bus.adopted().expect("adopted").clone();
    assert_eq!(fresh.sequence(), adopted.published, "every sequence is stamped: {adopted:?}");
    (adopted, seen)
}

/// Checks what a kill has left of one producer, of which `calls` were told, up to the sequence `last`.
/// Gives whether the call under way is there.
fn check(author: u64, told: (u64, u64), oldest: u64, seen: &[Entry], context: &str) -> bool {
    let (calls, last) = told;
    let mine: Vec<u64> =
        seen.iter().filter(|entry| entry.batch == author).map(|entry| entry.events).collect();
    assert!(mine.is_sorted(), "{context}: out of order: {mine:?}");
    let events = |ordinal| match Call::at(author, ordinal) {
        Call::Dropped => 0,
        call => call.events() as usize,
    };
    let count = |ordinal| mine.iter().filter(|other| **other == ordinal).count();
    // The oldest call may have been overwritten in part; every later one that returned is whole.
    let first = mine.first().copied().unwrap_or(calls);
    for ordinal in first..calls {
        let (found, all) = (count(ordinal), events(ordinal));
        assert!(found == all || ordinal == first && found < all, "{context}: {ordinal}: {mine:?}");
    }
    assert!(mine.iter().all(|ordinal| *ordinal <= calls), "{context}: {mine:?} of {calls}");
    assert!(count(calls) <= events(calls), "{context}: {mine:?}");
    if last > oldest {
        assert!(first < calls, "{context}: what returned is gone: {mine:?} of {calls}");
    }
    count(calls) > 0
}

/// A ring through several lives, adopted by several producers and by one in turns.
fn lives(tmpfs: &Tmpfs, ring: u64, kills: u64, hits: &mut Hits) {
    let (path, page_path) = (tmpfs.ring(), tmpfs.0.join("page"));
    let _ = std::fs::remove_file(&path);
    let page = Page::map(&page_path);
    for kill in 0..kills {
        let seed = mix(SEED ^ (ring << 32) ^ kill);
        for number in 0..PRODUCERS {
            page.tell_of(number, Word::Calls, 0);
            page.tell_of(number, Word::Last, 0);
        }
        let mut work =
            Work::start(if kill == 0 { "create" } else { "adopt" }, &path, &page_path, seed);
        let calls = || (0..PRODUCERS).map(|number| page.hear_of(number, Word::Calls)).sum::<u64>();
        while calls() < 1 + mix(seed ^ 1) % 2048 {
            assert!(work.is_alive(), "the child ended by itself");
            std::thread::yield_now();
        }
        (0..mix(seed ^ 2) % 3000).for_each(|_| std::hint::spin_loop());
        work.kill();
        let told = [0, 1]
            .map(|number| (page.hear_of(number, Word::Calls), page.hear_of(number, Word::Last)));
        let (adopted, seen) = contents(&path, kill % 2 == 0);
        let context = format!("ring {ring}, kill {kill}, told {told:?}: {adopted:?}");
        let (oldest, end) = (adopted.oldest.get(), adopted.published.get());
        assert!(adopted.aborted_batch.is_none(), "{context}");
        for (number, told) in told.into_iter().enumerate() {
            assert!(told.1 <= end, "{context}");
            let is_ahead = check(author(seed, number), told, oldest, &seen, &context);
            hits.ahead += u64::from(is_ahead);
        }
        // What is torn is at most a call of each, is told in order, and is nobody's event.
        let torn: Vec<u64> = adopted.aborted_claims.iter().map(|claim| claim.get()).collect();
        assert!(torn.len() as u64 <= PRODUCERS as u64 * BATCH_EVENTS_MAX, "{context}");
        assert!(torn.is_sorted() && torn.iter().all(|claim| (oldest..end).contains(claim)));
        assert!(!seen.iter().any(|entry| torn.contains(&entry.sequence)), "{context}");
        for entry in &seen {
            assert_eq!(*entry, Entry::new(entry.sequence, entry.batch, entry.events), "{context}");
        }
        hits.torn_claims += torn.len() as u64;
        hits.kills += 1;
    }
}

#[test]
fn whatever_one_of_several_producers_was_told_survives_a_kill() {
    let Some(tmpfs) = Tmpfs::new("multi-kills") else { return };
    let mut hits = Hits::default();
    for ring in 0..10 {
        lives(&tmpfs, ring, 5, &mut hits);
    }
    assert_eq!(hits.kills, 50);
}

#[test]
#[ignore = "a thousand kills take a while"]
fn whatever_one_of_several_producers_was_told_survives_a_thousand_kills() {
    let Some(tmpfs) = Tmpfs::new("multi-many-kills") else { return };
    let mut hits = Hits::default();
    for ring in 1000..1100 {
        lives(&tmpfs, ring, 10, &mut hits);
    }
    eprintln!("{hits:?}");
    assert!(hits.torn_claims > 0, "no kill hit a publish: {hits:?}");
}

/// Publishes `events` events by `producer` as author `author`.
macro_rules! publish {
    ($producer:expr, $author:expr, $events:expr) => {
        for ordinal in 0..$events {
            let entry = |sequence: Sequence| Entry::new(sequence.get(), $author, ordinal);
            $producer.publish_with(entry).expect("room");
        }
    };
}

/// Author and ordinal of every event of `bus` that `stage` has not seen.
fn rest(bus: &mut Bus<Entry>, stage: &str) -> Vec<(u64, u64)> {
    let mut poller = bus.take_poller(stage).expect("named");
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((entry, _)) = batch.next() {
            seen.push((entry.native().batch, entry.native().events));
        }
    }
    seen
}

#[test]
fn a_ring_of_one_producer_is_adopted_by_several_and_back_again() {
    let Some(tmpfs) = Tmpfs::new("kinds") else { return };
    let numbers = |author: u64, events: u64| (0..events).map(move |ordinal| (author, ordinal));

    let mut one = builder(&["book"]);
    one.named(tmpfs.ring());
    let (mut producer, bus) = one.start().expect("a new ring");
    publish!(producer, 1, 10);
    drop((producer, bus));

    let mut several = builder(&["book"]);
    several.adopt(tmpfs.ring());
    let (mut first, mut bus) = several.start_multi().expect("one producer left it");
    assert_eq!(bus.adopted().map(|adopted| adopted.published), Some(Sequence::new(10)));
    let mut second = first.clone();
    publish!(first, 2, 3);
    publish!(second, 3, 3);
    publish!(first, 4, 1);
    let expected: Vec<_> =
        numbers(1, 10).chain(numbers(2, 3)).chain(numbers(3, 3)).chain(numbers(4, 1)).collect();
    assert_eq!(rest(&mut bus, "book"), expected);
    assert!(bus.shutdown(Drain::Halt).is_ok());
    drop((first, second));

    let mut one = builder(&["book", "late"]);
    one.adopt(tmpfs.ring());
    let (mut producer, mut bus) = one.start().expect("several producers left it");
    assert_eq!(producer.next_sequence(), Sequence::new(17));
    publish!(producer, 5, 2);
    let expected: Vec<_> = expected.into_iter().chain(numbers(5, 2)).collect();
    assert_eq!(rest(&mut bus, "late"), expected);
    assert_eq!(bus.published(), Sequence::new(19));
}

#[test]
fn a_claim_that_dies_with_its_producer_is_aborted_and_told() {
    let Some(tmpfs) = Tmpfs::new("claims") else { return };
    let mut several = builder(&["book"]);
    several.named(tmpfs.ring());
    let (mut first, bus) = several.start_multi().expect("a new ring");
    let (mut second, mut third) = (first.clone(), first.clone());
    publish!(first, 1, 2);
    // As a kill between claim and publish: neither guard nor producer ever ends in order.
    let copy = tmpfs.0.join("killed");
    std::mem::forget(second.claim().expect("room"));
    publish!(first, 2, 2);
    std::mem::forget(third.claim_batch(3).expect("room"));
    publish!(first, 3, 1);
    std::fs::copy(tmpfs.ring(), &copy).expect("what a kill would leave");
    drop((first, second, third, bus));
    for by_several in [true, false] {
        let again = tmpfs.0.join("again");
        std::fs::copy(&copy, &again).expect("room");
        let (adopted, seen) = contents(&again, by_several);
        let torn: Vec<u64> = adopted.aborted_claims.iter().map(|claim| claim.get()).collect();
        assert_eq!((torn, adopted.published.get()), (vec![2, 5, 6, 7], 9));
        let numbers: Vec<u64> = seen.iter().map(|entry| entry.sequence).collect();
        assert_eq!(numbers, [0, 1, 3, 4, 8]);
        assert!(contents(&again, by_several).0.aborted_claims.is_empty(), "it is told once");
    }
}
