//! A ring that outlives its process: what was returned is there, nothing is invented.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a skipped test says so, and what ten thousand kills hit")]

#[path = "named_ring/child.rs"]
mod child;
#[cfg(feature = "journal")]
#[path = "named_ring/journal.rs"]
mod journal;
#[path = "named_ring/tmpfs.rs"]
mod tmpfs;

use child::{Call, Entry, Page, SLOTS, Word, Work, builder, mix};
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use tmpfs::{Refused, Tmpfs};
use tourbillon::{
    Adopted, BuildError, Bus, Drain, Event, Grant, MemoryOptions, Observed, Observer, Polled,
    Poller, Producer, RegionError, RegionFault, Sequence,
};

const SEED: u64 = 0x5EED_0000_0000_0010;

#[test]
#[ignore = "the process that is killed: its parent starts it"]
fn a_child_at_work() {
    child::work();
}

fn adopt(path: &Path, stages: &[&str]) -> Result<(Producer<Entry>, Bus<Entry>), RegionError> {
    let mut builder = builder(stages);
    builder.adopt(path);
    builder.start().map_err(|error| match error {
        BuildError::Region(error) => error,
        error => panic!("{error}"),
    })
}

fn drain(poller: &mut Poller<Entry>) -> Vec<(u64, Entry)> {
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((entry, sequence)) = batch.next() {
            seen.push((sequence.get(), entry.native()));
        }
    }
    seen
}

/// What the calls of `seed` from `from` on should have left below `end`: an event, or an abort.
fn expected(seed: u64, from: u64, end: u64) -> Vec<Option<Entry>> {
    let (mut first, mut expected) = (from, Vec::new());
    while first < end {
        let call = Call::at(seed, first);
        let entries = first..first + call.events();
        expected.extend(entries.map(|sequence| {
            (call != Call::Dropped).then(|| Entry::new(sequence, first, call.events()))
        }));
        first += call.events();
    }
    expected
}

/// Kills of one test, and what they hit.
#[derive(Debug, Default)]
struct Hits {
    kills: u64,
    torn_batches: u64,
    ahead: u64,
}

/// A ring through several lives: each is killed somewhere, and what it left is checked against what
/// it had been told to do.
fn lives(tmpfs: &Tmpfs, ring_number: u64, kills: u64, hits: &mut Hits) {
    let (path, page_path) = (tmpfs.ring(), tmpfs.0.join("page"));
    let _ = std::fs::remove_file(&path);
    let page = Page::map(&page_path);
    for word in [Word::Returned, Word::Book, Word::Slow] {
        page.tell(word, Sequence::ZERO);
    }
    let (mut start, mut mode) = (0, "create");
    for kill in 0..kills {
        let seed = mix(SEED ^ (ring_number << 32) ^ kill);
        let context = format!("seed {SEED:#x}, ring {ring_number}, kill {kill}");
        let mut work = Work::start(mode, &path, &page_path, seed);
        let until = start + 1 + mix(seed ^ 1) % 4096;
        while page.hear(Word::Returned) < until {
            assert!(work.is_alive(), "{context}: the child ended by itself");
            std::thread::yield_now();
        }
        for _ in 0..mix(seed ^ 2) % 3000 {
            std::hint::spin_loop();
        }
        work.kill();
        let told = [Word::Returned, Word::Book, Word::Slow].map(|word| page.hear(word));
        start = check(&path, seed, start, told, &context, hits);
        page.tell(Word::Returned, Sequence::new(start));
        mode = "adopt";
        hits.kills += 1;
    }
}

/// Adopts what a kill has left and compares; gives where the next life begins.
fn check(
    path: &Path,
    seed: u64,
    start: u64,
    told: [u64; 3],
    context: &str,
    hits: &mut Hits,
) -> u64 {
    let [returned, book, slow] = told;
    let (producer, mut bus) = adopt(path, &["book", "slow", "fresh"]).expect(context);
    let adopted = bus.adopted().expect("adopted").clone();
    let context = &format!("{context}, told {told:?}: {adopted:?}");
    let (oldest, end) = (adopted.oldest.get(), adopted.published.get());
    assert_eq!(producer.next_sequence().get(), end, "{context}");

    // The call under way is there as a whole, or aborted as a whole, or not at all.
    let under_way = Call::at(seed, returned);
    let is_there = end == returned + under_way.events();
    assert!(end == returned || is_there, "{context}: {under_way:?}");
    let torn = adopted.aborted_batch.clone().map(|torn| (torn.start.get(), torn.end.get()));
    assert!(torn.is_none() || torn == Some((returned, end)), "{context}");
    assert!(adopted.aborted_claims.is_empty(), "{context}: one producer tears no claims");
    hits.torn_batches += u64::from(torn.is_some());
    hits.ahead += u64::from(is_there && torn.is_none());

    // Consumers stand where they said, or one batch further. Their pollers stay with the bus, whose end
    // leaves the cursors where they are.
    assert_eq!(adopted.joined, [("fresh".into(), adopted.oldest)], "{context}");
    for (name, told) in [("book", book), ("slow", slow)] {
        let mut resumed = adopted.resumed.iter().filter(|line| *line.0 == *name);
        let at = resumed.next().expect("it had a gate").1.get();
        let batch_max = SLOTS as u64 / 4;
        assert!(at >= told && at <= told + batch_max, "{context}: `{name}`");
        assert_eq!(bus.sequence(name).map(Sequence::get), Some(at), "{context}: `{name}`");
    }

    // And every event that is still in the ring is the one that belongs there.
    let expected = expected(seed, start, end);
    let mut fresh = bus.take_poller("fresh").expect("named");
    let seen = drain(&mut fresh);
    assert_eq!(fresh.sequence().get(), end, "{context}: every sequence is stamped");
    for sequence in oldest.max(start)..end {
        let found = seen.iter().find(|event| event.0 == sequence).map(|event| event.1);
        let should = expected[(sequence - start) as usize];
        let is_torn = torn.is_some_and(|torn| (torn.0..torn.1).contains(&sequence));
        assert_eq!(found, should.filter(|_| !is_torn), "{context}: {sequence}");
    }
    assert!(seen.is_sorted_by_key(|event| event.0), "{context}");
    for (sequence, entry) in seen {
        assert_eq!(entry, Entry::new(sequence, entry.batch, entry.events), "{context}: {sequence}");
    }
    end
}

#[test]
fn whatever_returned_survives_a_kill_and_nothing_is_invented() {
    let Some(tmpfs) = Tmpfs::new("kills") else { return };
    let mut hits = Hits::default();
    for ring in 0..40 {
        lives(&tmpfs, ring, 5, &mut hits);
    }
    assert_eq!(hits.kills, 200);
}

#[test]
#[ignore = "ten thousand kills take minutes"]
fn whatever_returned_survives_ten_thousand_kills() {
    let Some(tmpfs) = Tmpfs::new("many-kills") else { return };
    let mut hits = Hits::default();
    for ring in 1000..2000 {
        lives(&tmpfs, ring, 10, &mut hits);
    }
    eprintln!("{hits:?}");
    assert!(hits.torn_batches > 0 && hits.ahead > 0, "no kill hit a publish: {hits:?}");
}

fn named(path: &Path, stages: &[&str]) -> (Producer<Entry>, Bus<Entry>) {
    let mut builder = builder(stages);
    builder.named(path);
    builder.start().expect("a new ring")
}

fn publish(producer: &mut Producer<Entry>, events: u64) {
    for _ in 0..events {
        let next = producer.next_sequence().get();
        producer.publish(&Entry::new(next, next, 1)).expect("room");
    }
}

fn adopted(bus: &Bus<Entry>) -> &Adopted {
    bus.adopted().expect("adopted")
}

fn lines(lines: &[(std::sync::Arc<str>, Sequence)]) -> Vec<(&str, u64)> {
    lines.iter().map(|(name, at)| (&**name, at.get())).collect()
}

#[test]
fn a_bus_that_ends_leaves_its_consumers_where_they_stand() {
    let Some(tmpfs) = Tmpfs::new("ends") else { return };
    let (mut producer, mut bus) = named(&tmpfs.ring(), &["book", "gone", "late"]);
    assert_eq!(bus.adopted(), None);
    publish(&mut producer, 10);
    let [mut book, mut gone, late] =
        ["book", "gone", "late"].map(|name| bus.take_poller(name).expect("named"));
    assert_eq!((drain(&mut book).len(), drain(&mut gone).len()), (10, 10));
    publish(&mut producer, 5);
    drop(late); // while the bus is open: it leaves for good
    assert!(bus.shutdown(Drain::Halt).is_ok());
    drop((producer, book, gone));

    let (mut producer, mut bus) = adopt(&tmpfs.ring(), &["book", "late"]).expect("sound");
    let told = adopted(&bus);
    assert_eq!((told.oldest.get(), told.published.get()), (0, 15));
    assert_eq!(lines(&told.resumed), [("book", 10)]);
    assert_eq!(lines(&told.joined), [("late", 0)]);
    assert_eq!(lines(&told.left), [("gone", 10)]);
    assert_eq!((&told.aborted_claims[..], &told.aborted_batch), (&[][..], &None));
    publish(&mut producer, 1);
    let numbers = |poller| drain(poller).iter().map(|event| event.0).collect::<Vec<_>>();
    let [mut book, mut late] = ["book", "late"].map(|name| bus.take_poller(name).expect("named"));
    assert_eq!(numbers(&mut book), (10..16).collect::<Vec<_>>());
    assert_eq!(numbers(&mut late), (0..16).collect::<Vec<_>>());
}

#[test]
fn a_consumer_that_was_resumed_gates_as_before() {
    let Some(tmpfs) = Tmpfs::new("gates") else { return };
    let (mut producer, bus) = named(&tmpfs.ring(), &["book"]);
    publish(&mut producer, SLOTS as u64 - 1);
    drop((producer, bus));
    let (mut producer, mut bus) = adopt(&tmpfs.ring(), &["book"]).expect("sound");
    assert_eq!(lines(&adopted(&bus).resumed), [("book", 0)]);
    publish(&mut producer, 1);
    let next = Entry::new(64, 64, 1);
    let full = producer.try_publish(&next).expect_err("the consumer is a ring behind").to_string();
    assert!(full.contains("gated by `book`"), "{full}");
    let mut book = bus.take_poller("book").expect("named");
    assert_eq!(drain(&mut book).len(), SLOTS);
    assert!(producer.try_publish(&next).is_ok());
}

#[test]
fn a_ring_that_exceeds_its_file_system_is_an_error_and_leaves_nothing() {
    let Some(tmpfs) = Tmpfs::new("room") else { return };
    let mut builder = Bus::<Entry>::builder(1 << 40);
    builder.named(tmpfs.ring()).poller("book");
    let error = builder.start().expect_err("64 TiB").to_string();
    assert!(error.contains("no room for 70368744185856 bytes"), "{error}");
    assert_eq!(std::fs::read_dir(&tmpfs.0).expect("listed").count(), 0);
}

#[test]
fn wishes_are_granted_or_refused_aloud_and_the_bus_runs() {
    let Some(tmpfs) = Tmpfs::new("wishes") else { return };
    for name in [None, Some(tmpfs.ring())] {
        for wishes in [false, true] {
            let options = MemoryOptions::new().huge_pages(wishes).locked(wishes);
            let mut builder = builder(&["book"]);
            builder.memory(options);
            if let Some(path) = &name {
                builder.named(path);
            }
            let (mut producer, mut bus) = builder.start().expect("a wish is no condition");
            publish(&mut producer, 10);
            assert_eq!(drain(&mut bus.take_poller("book").expect("named")).len(), 10);
            let granted = bus.granted();
            for grant in [&granted.huge_pages, &granted.locked] {
                assert_eq!(*grant != Grant::NotAsked, wishes, "{granted:?}");
            }
            name.iter().for_each(|path| std::fs::remove_file(path).expect("made above"));
        }
    }
}

#[test]
fn two_owners_are_impossible_in_one_process_and_in_two() {
    let Some(tmpfs) = Tmpfs::new("owners") else { return };
    let path = tmpfs.ring();
    let is_owned = |path: &Path| {
        let error = adopt(path, &["book"]).expect_err("it has an owner");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        matches!(error, RegionError::Owned { .. })
    };
    let (producer, bus) = named(&path, &["book"]);
    assert!(is_owned(&path));
    drop(bus);
    assert!(is_owned(&path), "a producer is left");
    drop(producer);
    drop(adopt(&path, &["book"]).expect("nobody is left"));

    let page = tmpfs.0.join("page");
    let mut work = Work::start("adopt", &path, &page, SEED);
    let told = Page::map(&page);
    while told.hear(Word::Returned) == 0 {
        assert!(work.is_alive(), "the child ended by itself");
        std::thread::yield_now();
    }
    assert!(is_owned(&path), "the child lives");
    work.kill();
    adopt(&path, &["book"]).expect("the child is dead");
}

#[test]
fn a_name_that_is_taken_is_refused_and_says_to_adopt() {
    let Some(tmpfs) = Tmpfs::new("taken") else { return };
    drop(named(&tmpfs.ring(), &["book"]));
    let mode = std::fs::metadata(tmpfs.ring()).expect("it stays").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut builder = builder(&["book"]);
    builder.named(tmpfs.ring());
    let error = builder.start().expect_err("taken");
    assert!(matches!(error, BuildError::Region(RegionError::Exists { .. })), "{error}");
    assert!(error.to_string().contains("adopt it"), "{error}");
    // What an attempt that died has left is no obstacle.
    let other = tmpfs.0.join("other");
    std::fs::write(tmpfs.0.join("other.tmp"), [0xff; 100_000]).expect("written");
    drop(named(&other, &["book"]));
    assert_eq!(adopted(&adopt(&other, &["book"]).expect("zeroed before").1).published.get(), 0);
    assert!(!tmpfs.0.join("other.tmp").exists());
}

#[test]
fn what_is_no_file_of_its_own_is_refused() {
    let Some(tmpfs) = Tmpfs::new("links") else { return };
    drop(named(&tmpfs.ring(), &["book"]));
    let link = tmpfs.0.join("link");
    symlink(tmpfs.ring(), &link).expect("a link");
    let refuse = |path: &Path| adopt(path, &["book"]).expect_err("refused");
    for path in [&link, &tmpfs.0] {
        assert!(matches!(refuse(path), RegionError::NotAFile { .. }), "{}", refuse(path));
        assert!(matches!(
            Observer::<Entry>::attach(path),
            Err(RegionError::NotAFile { .. } | RegionError::Refused { .. })
        ));
    }
    assert!(matches!(refuse(&tmpfs.0.join("nothing")), RegionError::Missing { .. }));
    let disk = std::env::temp_dir().join(format!("tourbillon-{}-on-disk", std::process::id()));
    let mut builder = builder(&["book"]);
    if builder.named(&disk).is_refused() {
        assert!(!disk.exists() && !disk.with_extension("tmp").exists(), "nothing is left over");
    }
    let _ = std::fs::remove_file(&disk); // where the temporary directory is a tmpfs
    let long = "x".repeat(57);
    for bad in [&*long, ""] {
        let mut builder = crate::builder(&[bad]);
        let error = builder.named(tmpfs.0.join("bad")).start_error();
        assert!(matches!(error, RegionError::StageName { .. }), "{error}");
    }
}

trait StartError {
    fn start_error(&mut self) -> RegionError;
}

impl StartError for tourbillon::BusBuilder<Entry> {
    fn start_error(&mut self) -> RegionError {
        match std::mem::replace(self, builder(&[])).start() {
            Err(BuildError::Region(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.other", version = 1)]
struct Other {
    words: [u64; 4],
}

/// Where things stand in the file, by the drawing in the docs.
mod at {
    pub(crate) const LAYOUT_VERSION: u64 = 8;
    pub(crate) const CAPACITY: u64 = 16;
    pub(crate) const SLOTS_AT: u64 = 32;
    pub(crate) const PRODUCERS: u64 = 44;
    pub(crate) const EVENT_VERSION: u64 = 48;
    pub(crate) const BORN: u64 = 56;
    pub(crate) const FINGERPRINT: u64 = 64;
    pub(crate) const ZERO: u64 = 88;
    pub(crate) const CLAIMED: u64 = 256;
    pub(crate) const LIMIT: u64 = 384;
    pub(crate) const JOINED: u64 = 512;
    pub(crate) const GATE: u64 = 640;
    pub(crate) const NAME: u64 = 4928;
    pub(crate) const SLOTS: u64 = 8192;
}

#[test]
#[allow(clippy::host_endian_bytes, reason = "a region's numbers are native")]
fn garbled_bytes_are_refused_by_what_is_wrong_and_stay_as_they_are() {
    let Some(tmpfs) = Tmpfs::new("garbled") else { return };
    let (mut producer, bus) = named(&tmpfs.ring(), &["book"]);
    publish(&mut producer, 10);
    drop((producer, bus));
    let sound = std::fs::read(tmpfs.ring()).expect("read");
    let (max, stride) = (u64::MAX, 64);
    let cases: &[(u64, u64, &str)] = &[
        (0, 0x4752_4e52, "no ring of this byte order"),
        (at::LAYOUT_VERSION, 0x1_0000_0001, "layout version 1, this crate reads 2"),
        (at::CAPACITY, 128, "capacity is 128, the bus has 64"),
        (at::SLOTS_AT, 0, "offset of the slots is 0"),
        (at::PRODUCERS, 1 << 32 | 7, "kind of producers is 7"),
        (at::EVENT_VERSION, 2, "holds events test.entry v2"),
        (at::BORN, max, "first sequence"),
        (at::FINGERPRINT, 0, "(fingerprint"),
        (at::ZERO, 1, "reserved space"),
        (at::CLAIMED, 9, "is stamped"),
        (at::CLAIMED, 11, "slot 10 of event 10"),
        (at::CLAIMED, max, "cursor `claimed`"),
        (at::LIMIT, max - 1, "cursor `limit`"),
        (at::LIMIT, 11, "cursor `claimed` at 10, outside 11..="),
        (at::JOINED, 33, "cursor `joined`"),
        (at::GATE, 11, "cursor `book` at 11, outside 0..=10"),
        (at::GATE, max - 2, "cursor `book`"),
        (at::NAME, 57, "gate 0 has no sound name"),
        (at::NAME + 8, max, "gate 0 has no sound name"),
        (at::SLOTS + 3 * stride, 5, "slot 3 of event 3 is stamped 0x5"),
        (at::SLOTS + 3 * stride, max, "slot 3 of event 3"),
        (at::SLOTS + 20 * stride, 85, "slot 20 of event 20"),
    ];
    for &(offset, word, expected) in cases {
        // A single producer that died between stamp and `claimed`: that one is sound.
        let is_sound = (offset, word) == (at::CLAIMED, 9);
        let file = File::options().write(true).open(tmpfs.ring()).expect("open");
        file.write_all_at(&sound, 0).expect("mended");
        let bytes = word.to_ne_bytes();
        let bytes = if offset == at::LAYOUT_VERSION { &bytes[..4] } else { &bytes[..] };
        file.write_all_at(bytes, offset).expect("garbled");
        let garbled = std::fs::read(tmpfs.ring()).expect("read");
        match adopt(&tmpfs.ring(), &["book"]) {
            Ok((_, bus)) => {
                assert!(is_sound, "{word:#x} at {offset} was believed");
                assert_eq!(adopted(&bus).published.get(), 10);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(expected) && text.contains("ring"), "{offset}: {text}");
                assert!(matches!(error, RegionError::Refused { .. }), "{text}");
                assert_eq!(std::fs::read(tmpfs.ring()).expect("read"), garbled, "{text}");
            }
        }
    }
}

#[test]
fn a_ring_of_another_type_or_shape_or_size_is_refused() {
    let Some(tmpfs) = Tmpfs::new("other") else { return };
    drop(named(&tmpfs.ring(), &["book"]));
    let mut other = Bus::<Other>::builder(SLOTS);
    other.adopt(tmpfs.ring());
    let text = other.start().expect_err("another type").to_string();
    assert!(text.contains("test.entry v1") && text.contains("test.other v1"), "{text}");
    let text = Observer::<Other>::attach(tmpfs.ring()).expect_err("another type").to_string();
    assert!(text.contains("test.entry v1"), "{text}");
    let mut larger = Bus::<Entry>::builder(2 * SLOTS);
    larger.adopt(tmpfs.ring());
    let text = larger.start().expect_err("another shape").to_string();
    assert!(text.contains("capacity is 64, the bus has 128"), "{text}");
    let file = File::options().write(true).open(tmpfs.ring()).expect("open");
    for bytes in [9000, 4096, 100, 0] {
        file.set_len(bytes).expect("cut");
        for error in [
            adopt(&tmpfs.ring(), &["book"]).map(drop).expect_err("cut"),
            Observer::<Entry>::attach(tmpfs.ring()).map(drop).expect_err("cut"),
        ] {
            let RegionError::Refused { fault: RegionFault::Truncated { .. }, .. } = error else {
                panic!("{bytes} bytes: {error}");
            };
        }
    }
}

#[test]
fn an_observer_reads_along_and_counts_what_it_missed() {
    let Some(tmpfs) = Tmpfs::new("observer") else { return };
    let (mut producer, mut bus) = named(&tmpfs.ring(), &["book"]);
    let mut observer = Observer::<Entry>::attach(tmpfs.ring()).expect("no lock in its way");
    assert!(matches!(observer.poll(), Ok(Observed::Idle)));
    publish(&mut producer, 10);
    drop(producer.claim());
    publish(&mut producer, 1);
    let mut seen = Vec::new();
    while let Ok(Observed::Event { event, sequence }) = observer.poll() {
        seen.push((sequence.get(), event.native()));
    }
    let numbers: Vec<u64> = (0..10).chain([11]).collect();
    assert_eq!(seen, numbers.iter().map(|&n| (n, Entry::new(n, n, 1))).collect::<Vec<_>>());
    let consumers = observer.consumers().expect("sound");
    assert_eq!((&*consumers[0].name, consumers[0].lag_events, consumers.len()), ("book", 12, 1));

    // The producer takes room, a quarter ring more than it needs: what lay there is announced, and
    // gone for the observer.
    let mut book = bus.take_poller("book").expect("named");
    publish(&mut producer, SLOTS as u64 - 12);
    assert_eq!(drain(&mut book).len(), SLOTS - 1);
    publish(&mut producer, 3);
    assert!(matches!(observer.poll(), Ok(Observed::Lagged { skipped: 5 })));
    let next = |observer: &mut Observer<Entry>| match observer.poll() {
        Ok(Observed::Event { event, sequence }) => (sequence.get(), event.native().sequence),
        other => panic!("{other:?}"),
    };
    for sequence in 17..67 {
        assert_eq!(next(&mut observer), (sequence, sequence));
    }
    assert!(matches!(observer.poll(), Ok(Observed::Idle)));
    publish(&mut producer, 2);
    observer.skip_to_now().expect("sound");
    assert!(matches!(observer.poll(), Ok(Observed::Idle)));
    assert_eq!(observer.sequence(), producer.next_sequence());
}

#[test]
fn an_observer_of_a_producer_at_full_speed_hands_out_whole_events_alone() {
    let Some(tmpfs) = Tmpfs::new("speed") else { return };
    let (path, page) = (tmpfs.ring(), tmpfs.0.join("page"));
    let told = Page::map(&page);
    let mut work = Work::start("create", &path, &page, SEED);
    while told.hear(Word::Returned) == 0 {
        assert!(work.is_alive(), "the child ended by itself");
        std::thread::yield_now();
    }
    let mut observer = Observer::<Entry>::attach(&path).expect("the child has made it");
    let (mut seen, mut missed) = (0_u64, 0);
    // Where the child's calls begin, as far as the observer has come.
    let mut plan = Plan { first: 0 };
    while seen < 20_000 || told.hear(Word::Returned) < 100_000 {
        let before = observer.sequence().get();
        match observer.poll().expect("sound") {
            Observed::Event { event, sequence } => {
                let (sequence, entry) = (sequence.get(), event.native());
                assert_eq!(plan.entry(sequence), Some(entry), "seed {SEED:#x}");
                assert!((before..sequence).all(|skipped| plan.entry(skipped).is_none()));
                seen += 1;
            }
            Observed::Lagged { skipped } => {
                missed += skipped;
                let passed = observer.sequence().get() - before - skipped;
                assert!((before..before + passed).all(|aborted| plan.entry(aborted).is_none()));
            }
            Observed::Idle => std::thread::yield_now(),
        }
    }
    assert!(seen + missed <= observer.sequence().get());
    work.kill();
}

/// The child's calls, walked forwards, with a few steps back.
struct Plan {
    first: u64,
}

impl Plan {
    fn entry(&mut self, sequence: u64) -> Option<Entry> {
        let mut first = self.first;
        loop {
            let call = Call::at(SEED, first);
            if sequence < first + call.events() {
                let entry = Entry::new(sequence, first, call.events());
                return (call != Call::Dropped).then_some(entry);
            }
            first += call.events();
            if first + 64 < sequence {
                self.first = first;
            }
        }
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.choice", version = 1)]
struct Choice {
    is_bid: bool,
}

#[test]
fn a_published_slot_that_holds_no_event_is_refused_by_sequence_and_slot() {
    let Some(tmpfs) = Tmpfs::new("bytes") else { return };
    let mut builder = Bus::<Choice>::builder(8);
    builder.named(tmpfs.ring()).poller("book");
    let (mut producer, mut bus) = builder.start().expect("a new ring");
    let mut book = bus.take_poller("book").expect("named");
    for _ in 0..11 {
        producer.publish(&Choice { is_bid: true }).expect("room");
        let Polled::Batch(mut batch) = book.poll() else { panic!("published") };
        assert!(batch.next().is_some());
    }
    let file = File::options().write(true).open(tmpfs.ring()).expect("open");
    // The slot of event 10 is slot 2; of 16 bytes, 8 of them its stamp. A bool is no 2.
    file.write_all_at(&[2], at::SLOTS + 2 * 16 + 8).expect("garbled");
    let mut observer = Observer::<Choice>::attach(tmpfs.ring()).expect("a sound header");
    let refused = std::iter::repeat_with(|| observer.poll().map(drop)).take(12);
    let texts: Vec<String> = refused.filter_map(|r| r.err().map(|e| e.to_string())).collect();
    assert!(texts.len() == 1 && texts[0].contains("slot 2 of event 10"), "{texts:?}");
    drop((producer, bus, book));
    let mut builder = Bus::<Choice>::builder(8);
    builder.adopt(tmpfs.ring()).poller("book");
    let text = builder.start().expect_err("no event").to_string();
    assert!(text.contains("slot 2 of event 10 holds no valid event"), "{text}");
}
