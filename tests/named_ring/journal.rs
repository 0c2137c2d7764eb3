//! A ring and a journal of one history: each stage goes on where its state ends.

use super::{Tmpfs, lines};
use std::path::PathBuf;
use tourbillon::{
    BuildError, Bus, Drain, Event, JournalOptions, Polled, Projected, Projection, Recovery,
    RegionError, Schema, Sequence,
};

const SLOTS: usize = 16;

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.moved", version = 1)]
struct Moved {
    amount: u64,
}

#[derive(Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
struct Sum {
    amounts: u64,
    moves: u64,
}

impl Projection for Sum {
    type Event = Moved;

    fn apply(&mut self, moved: &ArchivedMoved, _: Sequence) {
        self.amounts += moved.amount.to_native();
        self.moves += 1;
    }
}

fn options() -> JournalOptions {
    JournalOptions::default().segment_bytes(64 << 10)
}

/// A ring with events 0..10, all journaled, of which `book` has handled four.
fn leave(tmpfs: &Tmpfs, journal: &PathBuf) {
    let mut builder = Bus::<Moved>::builder(SLOTS);
    builder.named(tmpfs.ring()).journal(journal, options());
    builder.projection("sum", Projected::new(Sum::default()));
    builder.poller("book");
    let (mut producer, mut bus) = builder.start().expect("new ones");
    let mut book = bus.take_poller("book").expect("named");
    for amount in 0..10 {
        producer.publish(&Moved { amount }).expect("room");
    }
    let Polled::Batch(mut batch) = book.poll() else { panic!("ten are there") };
    assert_eq!([(); 4].map(|()| batch.next().expect("ready").1.get()), [0, 1, 2, 3]);
    drop(batch);
    bus.shutdown(Drain::Complete).expect("drained");
}

#[test]
fn with_a_journal_its_state_goes_on_where_it_ends_and_the_others_at_their_cursors() {
    let Some(tmpfs) = Tmpfs::new("journal") else { return };
    let journal = tmpfs.0.join("journal");
    leave(&tmpfs, &journal);
    let recovered = Recovery::open_with(&journal, &options()).expect("sound");
    let recovered = recovered.state::<Sum>().expect("rebuilt");
    assert_eq!(recovered.state(), &Sum { amounts: 45, moves: 10 });
    let mut builder = Bus::<Moved>::builder(SLOTS);
    builder.adopt(tmpfs.ring()).poller("book");
    let (sum, _) = recovered.resume(&mut builder);
    builder.projection("sum", Projected::new(sum));
    let (mut producer, mut bus) = builder.start().expect("one history");
    let adopted = bus.adopted().expect("adopted");
    assert_eq!(lines(&adopted.resumed), [("book", 4), ("journal", 10), ("sum", 10)]);
    assert_eq!(producer.publish(&Moved { amount: 100 }).expect("room").get(), 10);
    let mut book = bus.take_poller("book").expect("named");
    let Polled::Batch(mut batch) = book.poll() else { panic!("seven are there") };
    assert_eq!(batch.next().map(|(moved, at)| (moved.amount.to_native(), at.get())), Some((4, 4)));
    drop(batch);
    let mut report = bus.shutdown(Drain::Complete).expect("drained");
    assert_eq!(report.take::<Sum>("sum"), Some(Sum { amounts: 145, moves: 11 }));
    let recovered = Recovery::<Moved>::open_with(&journal, &options()).expect("sound");
    assert_eq!(recovered.end().get(), 11);
}

#[test]
fn a_journal_takes_up_what_a_ring_without_one_has_left() {
    let Some(tmpfs) = Tmpfs::new("journal-late") else { return };
    let mut builder = Bus::<Moved>::builder(SLOTS);
    builder.named(tmpfs.ring()).poller("book");
    let (mut producer, bus) = builder.start().expect("a new ring");
    for amount in 0..10 {
        producer.publish(&Moved { amount }).expect("room");
    }
    drop((producer, bus));
    let mut builder = Bus::<Moved>::builder(SLOTS);
    builder.adopt(tmpfs.ring()).poller("book");
    builder.journal(tmpfs.0.join("journal"), options());
    let (_producer, bus) = builder.start().expect("the ring still has all of it");
    assert_eq!(lines(&bus.adopted().expect("adopted").joined), [("journal", 0)]);
    bus.shutdown(Drain::Complete).expect("drained");
    let recovered = Recovery::open_with(tmpfs.0.join("journal"), &options()).expect("sound");
    let recovered = recovered.state::<Sum>().expect("rebuilt");
    assert_eq!(recovered.state(), &Sum { amounts: 45, moves: 10 });
}

#[test]
fn a_journal_of_another_history_is_refused_and_the_ring_stays_as_it_is() {
    let Some(tmpfs) = Tmpfs::new("journal-apart") else { return };
    let journal = tmpfs.0.join("journal");
    leave(&tmpfs, &journal);
    let other = tmpfs.0.join("other");
    let mut builder = Bus::<Moved>::builder(SLOTS);
    builder.named(&other).poller("book");
    drop(builder.start().expect("a new ring"));
    let before = std::fs::read(&other).expect("read");
    let recovered = Recovery::open_with(&journal, &options()).expect("sound");
    let mut builder = Bus::<Moved>::builder(SLOTS);
    builder.adopt(&other).poller("book");
    recovered.state::<Sum>().expect("rebuilt").resume(&mut builder);
    let error = builder.start().expect_err("ten events more than the ring has ever had");
    assert!(matches!(error, BuildError::Region(RegionError::JournalApart { .. })), "{error}");
    assert!(error.to_string().contains("goes on at 10") && error.to_string().contains("0..0"));
    assert_eq!(std::fs::read(&other).expect("read"), before);
}
