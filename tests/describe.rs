//! What a bus says of itself while it runs. What it says of its stages stands in `control.rs`.

use std::sync::Arc;
use tourbillon::{BuildError, Bus, Event, From, Grant, MemoryOptions, Sequence, WhenFull};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.news", version = 1, framed)]
struct News {
    headline: String,
}

#[test]
fn a_description_says_who_publishes_where_it_lies_and_who_has_joined() {
    let mut builder = Bus::<News>::builder(4);
    builder.slot_bytes(100).when_full(WhenFull::Fail).poller("book");
    builder.memory(MemoryOptions::new().locked(true));
    let (mut producer, bus) = builder.start_multi().expect("a sound bus");
    let before = bus.describe();
    assert!(before.has_several_producers && before.path.is_none());
    assert_eq!((before.framed_slot_bytes, &before.joined[..]), (Some(100), &[][..]));
    assert_eq!((&before.granted, before.counters), (bus.granted(), bus.counters()));
    assert_ne!(before.granted.locked, Grant::NotAsked);

    let late = bus.join("late", From::Now).expect("gates are left");
    let tap = bus.tap("screen", From::Now, 2).expect("gates are left");
    for _ in 0..3 {
        producer.publish(&News { headline: "up".into() }).expect("room");
    }
    drop(producer.claim());
    assert!(producer.try_claim().is_err(), "full");
    let described = bus.describe();
    let joined: Vec<_> =
        described.joined.iter().map(|line| (Arc::clone(&line.name), line.sequence)).collect();
    assert_eq!(joined, [("late".into(), Some(Sequence::ZERO)), ("screen".into(), None)]);
    assert_eq!((described.counters.aborted, described.counters.stalls), (1, 1));
    let text = described.to_string();
    for line in [
        "events: framed, archives of 100 bytes at most\n",
        "memory: anonymous; huge pages not asked for; locked ",
        "producers: several; when full, Fail\n",
        "joined `late` at 0\n",
        "tap `screen`\n",
        "counted: 1 sequences aborted, 1 stalls of producers\n",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
    drop((late, tap));
    assert_eq!(bus.describe().joined, []);
}

#[test]
#[cfg(target_os = "linux")]
fn a_description_names_the_file_of_a_named_ring() {
    let path = format!("/dev/shm/tourbillon-{}-described", std::process::id());
    let mut builder = Bus::<News>::builder(4);
    builder.named(&path).poller("book");
    let Ok((_producer, bus)) = builder.start() else { return }; // no tmpfs here
    let described = bus.describe();
    std::fs::remove_file(&path).expect("made above");
    assert_eq!(described.path.as_deref(), Some(std::path::Path::new(&path)));
    assert!(described.to_string().contains(&format!("memory: {path}; ")), "{described}");
    assert!(!described.has_several_producers);
}

#[test]
fn a_stage_gets_an_isolated_core_or_the_bus_says_that_there_is_none() {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    let mut builder = Bus::<News>::builder(4);
    builder.handler("book", |_: &ArchivedNews, _: Sequence, _: bool| {}).isolated();
    match builder.start() {
        Ok((_producer, bus)) => {
            let first = list.split([',', '-', '\n']).next().and_then(|core| core.parse().ok());
            assert!(first.is_some() && bus.placements()[0].core == first, "{list}");
        }
        // One that is isolated may lie outside what this process may use.
        Err(BuildError::Core { stage, .. }) => assert!(!list.trim().is_empty() && stage == "book"),
        Err(BuildError::NoIsolatedCore { stage, isolated }) => {
            assert_eq!((&*stage, &isolated[..], list.trim()), ("book", &[][..], ""));
        }
        Err(error) => panic!("{error}"),
    }
}
