//! A named ring of framed events: strings outlive their process, and garbled ones are refused.
#![cfg(target_os = "linux")]

#[path = "named_ring/child.rs"]
mod child;
#[path = "named_ring/tmpfs.rs"]
mod tmpfs;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tmpfs::Tmpfs;
use tourbillon::{
    Bus, BusBuilder, Event, Observed, Observer, Polled, Producer, PublishError, RegionError,
    RegionFault, Sequence,
};

const SLOT_BYTES: usize = 96;
/// Where the slots lie in the file, and in a slot the length of an archive and the archive.
const SLOTS_AT: u64 = 8192;
const STRIDE: u64 = 128;
const LENGTH_AT: u64 = 8;
const ARCHIVE_AT: u64 = 16;

#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.news", version = 1, framed)]
struct News {
    number: u64,
    headline: String,
    symbols: Vec<String>,
}

fn news(number: u64) -> News {
    let symbols = (0..number % 3).map(|symbol| format!("S{symbol}")).collect();
    News { number, headline: format!("headline number {number}"), symbols }
}

impl ArchivedNews {
    fn native(&self) -> News {
        let symbols = self.symbols.iter().map(|symbol| symbol.as_str().to_owned()).collect();
        News {
            number: self.number.to_native(),
            headline: self.headline.as_str().to_owned(),
            symbols,
        }
    }
}

fn builder(slot_bytes: usize) -> BusBuilder<News> {
    let mut builder = Bus::<News>::builder(16);
    builder.slot_bytes(slot_bytes).poller("book");
    builder
}

fn named(path: &Path) -> (Producer<News>, Bus<News>) {
    let mut builder = builder(SLOT_BYTES);
    builder.named(path);
    builder.start().expect("a new ring")
}

fn adopt(path: &Path) -> Result<(Producer<News>, Bus<News>), String> {
    let mut builder = builder(SLOT_BYTES);
    builder.adopt(path);
    builder.start().map_err(|error| error.to_string())
}

/// Every event of `bus` that its poller has not seen.
fn rest(bus: &mut Bus<News>) -> Vec<(u64, News)> {
    let mut book = bus.take_poller("book").expect("named");
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = book.poll() {
        while let Some((news, sequence)) = batch.next() {
            seen.push((sequence.get(), news.native()));
        }
    }
    seen
}

#[test]
fn strings_survive_a_bus_that_was_dropped_without_a_shutdown() {
    let Some(tmpfs) = Tmpfs::new("framed") else { return };
    let (mut producer, bus) = named(&tmpfs.ring());
    for number in 0..5 {
        producer.publish(&news(number)).expect("room");
    }
    let long = News { headline: "long ".repeat(50), ..news(5) };
    assert!(matches!(producer.publish(&long), Err(PublishError::TooLarge(_))));
    producer.publish_batch([news(6), news(7)]).expect("room");
    drop((producer, bus));

    let (mut producer, mut bus) = adopt(&tmpfs.ring()).expect("sound");
    let adopted = bus.adopted().expect("adopted");
    assert_eq!((adopted.published.get(), adopted.resumed[0].1.get()), (8, 0));
    producer.publish(&news(8)).expect("room");
    let expected: Vec<_> = (0..9).filter(|n| *n != 5).map(|n| (n, news(n))).collect();
    assert_eq!(rest(&mut bus), expected, "5 was too large, and is aborted");
}

#[test]
fn an_observer_reads_strings() {
    let Some(tmpfs) = Tmpfs::new("framed-observer") else { return };
    let (mut producer, _bus) = named(&tmpfs.ring());
    let mut observer = Observer::<News>::attach(tmpfs.ring()).expect("no slot size to be told");
    assert!(matches!(observer.poll(), Ok(Observed::Idle)));
    for number in 0..10 {
        producer.publish(&news(number)).expect("room");
    }
    for number in 0..10 {
        let Ok(Observed::Event { event, sequence }) = observer.poll() else { panic!("published") };
        assert_eq!((event.native(), sequence.get()), (news(number), number));
    }
    assert!(matches!(observer.poll(), Ok(Observed::Idle)));
}

#[test]
fn slots_of_another_size_are_refused() {
    let Some(tmpfs) = Tmpfs::new("framed-size") else { return };
    drop(named(&tmpfs.ring()));
    let mut larger = builder(2 * SLOT_BYTES);
    larger.adopt(tmpfs.ring());
    let text = larger.start().expect_err("other slots").to_string();
    assert!(text.contains("bytes of a slot") || text.contains("stride"), "{text}");
}

#[test]
#[allow(clippy::host_endian_bytes, reason = "a region's numbers are native")]
fn a_garbled_length_or_archive_is_refused_by_sequence_and_slot() {
    let Some(tmpfs) = Tmpfs::new("framed-garbled") else { return };
    let (mut producer, bus) = named(&tmpfs.ring());
    for number in 0..5 {
        producer.publish(&news(number)).expect("room");
    }
    drop((producer, bus));
    let sound = std::fs::read(tmpfs.ring()).expect("read");
    let slot = SLOTS_AT + 3 * STRIDE;
    let at = (slot + ARCHIVE_AT) as usize;
    assert!(sound[at..].starts_with(b"headline number 3"), "the headline begins the archive");
    let length = sound[(slot + LENGTH_AT) as usize];
    let cases: [(&str, u64, Vec<u8>); 6] = [
        ("a length beyond the slot", LENGTH_AT, (SLOT_BYTES as u32 + 1).to_ne_bytes().into()),
        ("a length beyond all", LENGTH_AT, u32::MAX.to_ne_bytes().into()),
        ("no length", LENGTH_AT, 0_u32.to_ne_bytes().into()),
        ("a length that is short", LENGTH_AT, (u32::from(length) - 8).to_ne_bytes().into()),
        ("no UTF-8", ARCHIVE_AT, vec![0xff]),
        ("pointers elsewhere", ARCHIVE_AT + u64::from(length) - 8, vec![0x70; 8]),
    ];
    for (what, offset, bytes) in cases {
        let file = File::options().write(true).open(tmpfs.ring()).expect("open");
        file.write_all_at(&sound, 0).expect("mended");
        file.write_all_at(&bytes, slot + offset).expect("garbled");
        let mut observer = Observer::<News>::attach(tmpfs.ring()).expect("a sound header");
        for number in 0..5 {
            match observer.poll() {
                Ok(Observed::Event { event, .. }) => assert_eq!(event.native(), news(number)),
                Err(RegionError::Refused { fault, .. }) => {
                    let expected = RegionFault::Bytes { sequence: Sequence::new(3), slot: 3 };
                    assert_eq!((number, fault), (3, expected), "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
        let text = adopt(&tmpfs.ring()).map(drop).expect_err(what);
        assert!(text.contains("slot 3 of event 3 holds no valid event"), "{what}: {text}");
        drop(file);
    }
    std::fs::write(tmpfs.ring(), &sound).expect("mended");
    assert_eq!(rest(&mut adopt(&tmpfs.ring()).expect("sound again").1).len(), 5);
}
