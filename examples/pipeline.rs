//! Three stages on threads of their own: two side by side, one behind both.

use std::io::Write;
use tourbillon::{Bus, Drain, Event, Handler, Sequence, WhenFull};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "pipeline.order", version = 1)]
struct Order {
    quantity: u64,
}

#[derive(Default)]
struct Sum(u64);

impl Handler<Order> for Sum {
    fn on_event(&mut self, order: &ArchivedOrder, _: Sequence, _: bool) {
        self.0 += order.quantity.to_native();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Bus::<Order>::builder(1 << 10);
    builder.when_full(WhenFull::Yield(None));
    builder.handler("risk", Sum::default());
    builder.handler("audit", Sum::default());
    builder.handler("match", Sum::default()).after(["risk", "audit"]);
    let (mut producer, bus) = builder.start()?;
    for quantity in 0..100_000 {
        producer.publish(&Order { quantity })?;
    }
    let mut report = bus.shutdown(Drain::Complete)?;
    for name in ["risk", "audit", "match"] {
        let sum: Sum = report.take(name).ok_or("a stage gives its handler back")?;
        writeln!(std::io::stdout(), "{name}: {}", sum.0)?;
    }
    Ok(())
}
