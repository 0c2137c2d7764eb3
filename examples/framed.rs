//! Strings and vectors on the bus: an event that says `framed`, in slots of a size that is said.

use std::io::Write;
use tourbillon::{Bus, Drain, Event, PublishError, Sequence};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "framed.order", version = 1, framed)]
struct Order {
    client: String,
    legs: Vec<Leg>,
}

#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
struct Leg {
    symbol: String,
    quantity: i32,
}

fn order(client: &str, symbols: &[&str]) -> Order {
    let leg = |symbol: &&str| Leg { symbol: (*symbol).to_owned(), quantity: 100 };
    Order { client: client.to_owned(), legs: symbols.iter().map(leg).collect() }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Bus::<Order>::builder(64);
    builder.slot_bytes(128);
    builder.handler("print", |order: &ArchivedOrder, sequence: Sequence, _: bool| {
        // Read where it lies: `client` is a `str` inside the slot.
        let mut out = std::io::stdout().lock();
        let symbols: Vec<&str> = order.legs.iter().map(|leg| leg.symbol.as_str()).collect();
        // A closed pipe is no reason to stop the bus.
        let _ = writeln!(out, "{sequence}: {} wants {}", order.client, symbols.join(", "));
    });
    let (mut producer, bus) = builder.start()?;
    producer.publish(&order("Grace Hopper", &["ACME", "a symbol longer than eight bytes"]))?;
    match producer.publish(&order("Ada", &["ACME"; 100])) {
        Err(PublishError::TooLarge(large)) => writeln!(std::io::stdout(), "refused: {large}")?,
        other => drop(other?),
    }
    bus.shutdown(Drain::Complete)?;
    Ok(())
}
