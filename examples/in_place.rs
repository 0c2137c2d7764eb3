//! Publishing by closure: a large event of numbers is written in its slot, and nowhere else before.

use std::io::Write;
use tourbillon::{Bus, Event, Polled};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "depth.update", version = 1, in_place)]
struct Depth {
    prices: [i64; 20],
    quantities: [u64; 20],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Bus::<Depth>::builder(8);
    builder.poller("reader");
    let (mut producer, mut bus) = builder.start()?;
    let mut reader = bus.take_poller("reader").ok_or("built above")?;

    producer.publish_in_place(|depth: &mut ArchivedDepth, _| {
        depth.prices[0] = 5_853_300.into(); // what is left out is zero
        depth.quantities[0] = 100.into();
    })?;

    if let Polled::Batch(mut batch) = reader.poll() {
        while let Some((depth, sequence)) = batch.next() {
            let (price, quantity) = (depth.prices[0], depth.quantities[0]);
            writeln!(std::io::stdout(), "{sequence}: {quantity} at {price}")?;
        }
    }
    Ok(())
}
