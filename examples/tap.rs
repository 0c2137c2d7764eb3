//! A tap: a screen that misses events when it is slow, and never holds a producer up.

use std::io::Write;
use tourbillon::{Bus, Event, From, Tapped};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "tap.tick", version = 1)]
struct Tick {
    price: i64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut producer, bus) = Bus::<Tick>::builder(8).start()?;
    let mut screen = bus.tap("screen", From::Now, 4)?;
    for price in 0..20 {
        producer.publish(&Tick { price })?; // two laps and a half: nobody gates
    }

    let mut out = std::io::stdout();
    loop {
        match screen.poll() {
            Tapped::Event(tick, sequence) => writeln!(out, "{sequence}: {}", tick.price)?,
            Tapped::Lagged { skipped } => writeln!(out, "{skipped} were too fast")?,
            Tapped::Idle | Tapped::Closed => return Ok(()),
        }
    }
}
