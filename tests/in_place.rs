//! Events that a closure writes where they lie.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tourbillon::{
    Bus, Event, InPlace, MultiProducer, Polled, Poller, Producer, PublishError, Schema, Sequence,
    WhenFull,
};

#[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Schema)]
#[schema(in_place)]
struct Level {
    price: i64,
    quantity: u32,
    orders: u32,
}

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.depth", version = 1, in_place)]
#[rkyv(archived = StoredDepth)]
struct Depth {
    levels: [Level; 4], // at 0
    large: u128,        // at 64
    mean: f64,          // at 80
    sum: i64,           // at 88
    instrument: u16,    // at 96
    side: i8,           // at 98
    flags: [u8; 5],     // at 99
    rest: [f32; 2],     // at 104, to 112
}

impl Depth {
    /// Without a byte that is zero.
    fn full() -> Self {
        let level = Level { price: -1, quantity: u32::MAX, orders: u32::MAX };
        let (mean, rest) = (f64::from_bits(u64::MAX), f32::from_bits(u32::MAX));
        let (levels, large, instrument) = ([level; 4], u128::MAX, u16::MAX);
        Self {
            levels,
            large,
            mean,
            sum: -1,
            instrument,
            side: -1,
            flags: [255; 5],
            rest: [rest; 2],
        }
    }
}

/// Every byte of an archive.
fn bytes<A: InPlace>(archive: &A) -> Vec<u8> {
    let at = std::ptr::from_ref(archive).cast::<u8>();
    // SAFETY: `InPlace`: every byte is initialised.
    unsafe { std::slice::from_raw_parts(at, size_of::<A>()) }.to_vec()
}

fn ring() -> (Producer<Depth>, Poller<Depth>, Bus<Depth>) {
    let mut builder = Bus::builder(4);
    builder.when_full(WhenFull::Fail).poller("book");
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let book = bus.take_poller("book").expect("named above");
    (producer, book, bus)
}

/// Sequence and bytes of everything that is published.
fn drain(poller: &mut Poller<Depth>) -> Vec<(u64, Vec<u8>)> {
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((depth, sequence)) = batch.next() {
            seen.push((sequence.get(), bytes(depth)));
        }
    }
    seen
}

/// Leaves no byte zero in any slot of a new ring.
fn dirty(producer: &mut Producer<Depth>, poller: &mut Poller<Depth>) {
    for _ in 0..4 {
        producer.publish(&Depth::full()).expect("room");
    }
    let seen = drain(poller);
    assert!(seen.len() == 4 && seen.iter().all(|event| event.1 == [255; 112]));
}

#[test]
fn the_bytes_are_those_that_were_written_and_what_is_left_out_is_zero() {
    let (mut producer, mut book, _bus) = ring();
    dirty(&mut producer, &mut book);
    let published = producer.publish_in_place(|depth: &mut StoredDepth, sequence| {
        depth.levels[2].price = 0x0102.into();
        depth.mean = 1.0.into();
        depth.sum = (sequence.get() as i64).into();
        depth.side = -2;
        depth.flags[4] = 7;
    });
    assert_eq!(published, Ok(Sequence::new(4)));
    let mut expected = [0; 112];
    expected[32..34].copy_from_slice(&[2, 1]);
    expected[80..88].copy_from_slice(&1.0_f64.to_le_bytes());
    expected[88] = 4;
    expected[98] = 254;
    expected[103] = 7;
    assert_eq!(drain(&mut book), [(4, expected.to_vec())]);
}

#[test]
fn a_closure_that_writes_nothing_publishes_zeros() {
    let (mut producer, mut book, _bus) = ring();
    dirty(&mut producer, &mut book);
    assert_eq!(producer.try_publish_in_place(|_, _| {}), Ok(Sequence::new(4)));
    let filled = producer.claim().expect("room").write_in_place(|depth, _| depth.side = 1);
    drop(filled); // not published, so aborted
    let zeros = vec![0; 112];
    assert_eq!(drain(&mut book), [(4, zeros)]);
    assert_eq!(book.sequence().get(), 6);
}

#[test]
fn a_closure_that_unwinds_aborts_its_claim() {
    let (mut producer, mut book, bus) = ring();
    dirty(&mut producer, &mut book);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        producer.publish_in_place(|depth, _| {
            depth.side = 1;
            panic!("half-way");
        })
    }));
    assert!(unwound.is_err());
    assert_eq!(bus.counters().aborted, 1);
    producer.publish_in_place(|depth, _| depth.side = 2).expect("room");
    let seen = drain(&mut book);
    assert_eq!(seen.iter().map(|event| (event.0, event.1[98])).collect::<Vec<_>>(), [(5, 2)]);
}

#[test]
fn laps_leave_nothing_behind() {
    let (mut producer, mut book, _bus) = ring();
    for lap in 0..50_u64 {
        for at in lap * 4..lap * 4 + 4 {
            let flag = (at % 5) as usize;
            let write = |depth: &mut StoredDepth, _: Sequence| depth.flags[flag] = at as u8;
            producer.publish_in_place(write).expect("room");
        }
        for (at, bytes) in drain(&mut book) {
            let mut expected = [0; 112];
            expected[99 + (at % 5) as usize] = at as u8;
            assert_eq!(bytes, expected, "event {at}");
        }
    }
    assert_eq!(book.sequence().get(), 200);
}

#[test]
fn a_full_ring_refuses_before_the_closure_is_called() {
    let (mut producer, _book, _bus) = ring();
    for _ in 0..4 {
        producer.publish_in_place(|_, _| {}).expect("room");
    }
    let never = |_: &mut StoredDepth, _: Sequence| panic!("there is no slot to write");
    let refused = [
        producer.publish_in_place(never),
        producer.try_publish_in_place(never),
        producer.within(Duration::ZERO).publish_in_place(never),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(PublishError::Full(full)) if &*full.gate == "book"));
    }
}

#[test]
fn several_producers_write_in_place_alike() {
    let mut builder = Bus::<Depth>::builder(4);
    builder.poller("book");
    let (mut one, mut bus) = builder.start_multi().expect("a sound bus");
    let mut book = bus.take_poller("book").expect("named above");
    let mut other = one.clone();
    let publish = |producer: &mut MultiProducer<Depth>, side| {
        producer.within(Duration::ZERO).publish_in_place(|depth, _| depth.side = side)
    };
    assert_eq!(publish(&mut other, 1), Ok(Sequence::new(0)));
    assert_eq!(publish(&mut one, 2), Ok(Sequence::new(1)));
    let sides: Vec<_> = drain(&mut book).iter().map(|event| event.1[98]).collect();
    assert_eq!(sides, [1, 2]);
}
