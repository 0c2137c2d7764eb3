//! One producer, one poller: claim, fill, publish, read in place.

use std::io::Write;
use tourbillon::{Bus, Event, Polled};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "hello.tick", version = 1)]
struct Tick {
    price: i64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Bus::<Tick>::builder(8);
    builder.poller("reader");
    let (mut producer, mut bus) = builder.start()?;
    let mut reader = bus.take_poller("reader").ok_or("built above")?;

    producer.publish(&Tick { price: 100 })?;
    drop(producer.claim()?); // published as aborted: nobody waits for it
    producer.publish_batch([Tick { price: 101 }, Tick { price: 102 }])?; // visible at once

    let mut out = std::io::stdout();
    while let Polled::Batch(mut batch) = reader.poll() {
        while let Some((tick, sequence)) = batch.next() {
            writeln!(out, "{sequence}: {}", tick.price)?;
        }
    }
    Ok(())
}
