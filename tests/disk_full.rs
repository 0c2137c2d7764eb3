//! A full disk is an error while the next segment is prepared: never a signal, never a lost event.

mod common;

use common::Scratch;
use std::process::Command;
use tourbillon::{
    Bus, Drain, Event, Failure, JournalError, JournalOptions, Projected, Projection, Recovery,
    Schema, Sequence, ShutdownError, WhenFull,
};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.counted", version = 1)]
struct Counted {
    by: u64,
}

#[derive(Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
struct Count {
    total: u64,
}

impl Projection for Count {
    type Event = Counted;

    fn apply(&mut self, counted: &ArchivedCounted, _: Sequence) {
        self.total += counted.by.to_native();
    }
}

/// A file system of 300 KiB, unmounted at the end; `None` where mounts are not allowed.
struct Small<'a>(&'a Scratch);

impl<'a> Small<'a> {
    fn mount(scratch: &'a Scratch) -> Option<Self> {
        std::fs::create_dir_all(scratch.path()).expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=300k", "tmpfs"]).arg(scratch.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(scratch))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn a_full_disk_halts_the_bus_with_an_error_and_every_journaled_event_is_there() {
    let scratch = Scratch::new("disk-full");
    let Some(_small) = Small::mount(&scratch) else {
        eprintln!("notice: mounts are not allowed here: skipped");
        return;
    };
    let dir = scratch.path().join("journal");
    let options = JournalOptions::default().segment_bytes(64 << 10);
    let mut builder = Bus::builder(64);
    builder.when_full(WhenFull::Yield(None));
    builder.journal(&dir, options.clone());
    builder.projection("count", Projected::new(Count::default()));
    let (mut producer, bus) = builder.start().expect("the first segments fit");
    let ahead = bus.journal().expect("it has one").clone();
    let mut published = 0u64;
    while published < 1_000_000 && producer.publish(&Counted { by: 1 }).is_ok() {
        published += 1;
    }
    let error = bus.shutdown(Drain::Complete).expect_err("the disk is full");
    let ShutdownError::Failed { failure: Failure::Journal(journal), report } = &error else {
        panic!("another error: {error}");
    };
    assert!(matches!(journal, JournalError::DiskFull { .. }), "{journal}");
    assert!(matches!(ahead.trouble(), Some(JournalError::DiskFull { .. })));
    let journaled = report.consumer("journal").expect("its line").sequence.get();
    assert!(journaled > 2_000 && journaled <= published, "{journaled} of {published}");

    // Room is made, and all of it is still there.
    let copy = Scratch::new("disk-full-copy");
    std::fs::create_dir_all(copy.path()).expect("a directory");
    for entry in std::fs::read_dir(&dir).expect("listed") {
        let entry = entry.expect("listed");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    let recovered = Recovery::open_with(copy.path(), &options).expect("a journal");
    let recovered = recovered.state::<Count>().expect("state");
    assert_eq!(recovered.state().total, journaled);
}
