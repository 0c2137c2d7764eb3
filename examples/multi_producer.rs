//! Several producers, one total order: a clone of the producer for each thread.

use std::io::Write;
use tourbillon::{Bus, Drain, Event, Sequence};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "multi.order", version = 1)]
struct Order {
    session: u32,
    quantity: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Bus::<Order>::builder(64);
    let mut totals = [0_u64; 2];
    builder.handler("totals", move |order: &ArchivedOrder, sequence: Sequence, _: bool| {
        totals[order.session.to_native() as usize] += u64::from(order.quantity.to_native());
        if sequence.get() == 1_999 {
            // Standard output is no place for errors of its own.
            let _ = writeln!(std::io::stdout(), "{totals:?}");
        }
    });
    let (producer, bus) = builder.start_multi()?;

    std::thread::scope(|scope| {
        for session in 0..2 {
            let mut producer = producer.named(&format!("session-{session}"));
            scope.spawn(move || {
                for quantity in 0..1_000 {
                    // Waits while the ring is full; refused only once the bus has ended.
                    if producer.publish(&Order { session, quantity }).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let report = bus.shutdown(Drain::Complete)?;
    writeln!(std::io::stdout(), "{} orders", report.published)?;
    Ok(())
}
