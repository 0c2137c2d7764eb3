//! Run it again and again, or kill it: the count goes on where the journal ends.

use std::io::Write;
use tourbillon::{
    Bus, Drain, Event, JournalError, JournalOptions, Projected, Projection, Recovery, Schema,
    Sequence,
};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "survive.counted", version = 1)]
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("usage: survive DIR")?;
    let options = JournalOptions::default().segment_bytes(1 << 20);
    let mut builder = Bus::<Counted>::builder(1 << 10);
    let count = match Recovery::open_with(&dir, &options) {
        Ok(recovery) => recovery.state::<Count>()?.resume(&mut builder).0,
        Err(JournalError::NoJournal { .. }) => {
            builder.journal(&dir, options);
            Count::default()
        }
        Err(error) => return Err(error.into()),
    };
    writeln!(std::io::stdout(), "before: {}", count.total)?;
    builder.projection("count", Projected::new(count).snapshot_every(1_000));
    let (mut producer, bus) = builder.start()?;
    for _ in 0..1_500 {
        producer.publish(&Counted { by: 1 })?;
    }
    let mut report = bus.shutdown(Drain::Complete)?;
    let count: Count = report.take("count").ok_or("a projection gives its state back")?;
    writeln!(std::io::stdout(), "after: {}", count.total)?;
    Ok(())
}
