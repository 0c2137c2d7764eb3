//! What the journal promises, without a thread of the bus in sight.

use super::*;
use crate::event::SchemaId;
use std::path::PathBuf;

const SCHEMA: SchemaId = SchemaId { name: "test.bytes", version: 1, fingerprint: 0x1234 };

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tourbillon-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn segment(&self, ordinal: u64) -> PathBuf {
        self.0.join(segment::file_name(ordinal))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options() -> JournalOptions {
    JournalOptions::default().segment_bytes(64 << 10)
}

fn create(scratch: &Scratch) -> (JournalWriter, JournalHandle) {
    let open = Journal::create(&scratch.0, &options(), &[SCHEMA]).expect("a new journal");
    open.into_writer().expect("a writer")
}

fn open(scratch: &Scratch) -> Result<OpenJournal, JournalError> {
    Journal::open(&scratch.0, &options(), &[SCHEMA])
}

/// What event `n` holds: length and bytes follow from `n`.
fn payload(n: u64) -> Vec<u8> {
    (0..n % 97).map(|i| (n * 31 + i) as u8).collect()
}

fn append(writer: &mut JournalWriter, events: core::ops::Range<u64>) {
    for n in events {
        let sequence = Sequence::new(n);
        if n % 10 == 7 {
            writer.append_aborted(sequence).expect("room");
        } else {
            writer.append(sequence, n * 5, &payload(n)).expect("room");
        }
    }
    writer.end_batch().expect("a sound journal");
}

/// Has everything below `through` synced, while this thread goes on as the journal stage does.
fn flush(writer: &mut JournalWriter, handle: &JournalHandle, through: u64) -> Sequence {
    let handle = handle.clone();
    let waiter = std::thread::spawn(move || handle.flush(Sequence::new(through)));
    while !waiter.is_finished() {
        writer.end_batch().expect("a sound journal");
        std::thread::yield_now();
    }
    waiter.join().expect("no panic").expect("synced")
}

/// Checks that the journal holds exactly `from..to` as `append` wrote it.
fn assert_holds(open: &OpenJournal, from: u64, to: u64) {
    let mut replay = open.replay(Sequence::new(from));
    let mut expected = from;
    while let Some(record) = replay.next() {
        let record = record.expect("a sound record");
        assert_eq!(record.sequence.get(), expected);
        match record.kind {
            RecordKind::Aborted => assert_eq!(expected % 10, 7),
            RecordKind::Event { type_index, payload: bytes } => {
                assert_eq!((type_index, bytes), (0, &payload(expected)[..]));
                assert_eq!(bytes.as_ptr() as usize % 16, 0);
                assert_eq!(record.time_ns, expected * 5);
            }
        }
        expected += 1;
    }
    assert_eq!(expected, to);
}

#[test]
fn what_was_appended_is_replayed_from_any_sequence_over_rolls() {
    let scratch = Scratch::new("round-trip");
    let (mut writer, handle) = create(&scratch);
    append(&mut writer, 0..2000);
    assert_eq!(handle.journaled().get(), 2000);
    assert!(handle.stats().rolls >= 2, "{:?}", handle.stats());
    writer.finish().expect("a clean end");
    let open = open(&scratch).expect("a sound journal");
    assert_eq!(open.next_sequence().get(), 2000);
    for from in [0, 1, 599, 600, 1999, 2000] {
        assert_holds(&open, from, 2000);
    }
    assert!(open.cuts().is_empty());
}

#[test]
fn a_writer_that_was_killed_loses_nothing_that_was_journaled() {
    let scratch = Scratch::new("killed");
    for run in 0..5 {
        let (mut writer, _) = match run {
            0 => create(&scratch),
            _ => open(&scratch).expect("sound").into_writer().expect("a writer"),
        };
        append(&mut writer, run * 700..(run + 1) * 700);
        drop(writer);
        let open = open(&scratch).expect("a sound journal");
        assert_holds(&open, 0, (run + 1) * 700);
    }
}

#[test]
fn flush_moves_durable_and_a_mark_follows() {
    let scratch = Scratch::new("flush");
    let (mut writer, handle) = create(&scratch);
    append(&mut writer, 0..100);
    assert_eq!(handle.durable().get(), 0);
    assert_eq!(flush(&mut writer, &handle, 100).get(), 100);
    assert_eq!(handle.durable().get(), 100);
    append(&mut writer, 100..150);
    writer.finish().expect("a clean end");
    assert_eq!(handle.durable().get(), 150);
    assert!(matches!(handle.flush(Sequence::new(151)), Err(JournalError::Closed)));
    assert_holds(&open(&scratch).expect("a sound journal"), 0, 150);
}

#[test]
fn a_commit_that_leaves_no_room_for_a_frame_seals_where_the_last_frame_ends() {
    let scratch = Scratch::new("sixteen");
    let (mut writer, handle) = create(&scratch);
    // Frames of 48 bytes, then one that leaves 16 bytes before the end of the frames.
    let (frames_bytes, open_bytes) = (65_536 - 4_096 - 8_192, 32);
    let mut n = 0;
    let mut left = frames_bytes - open_bytes;
    while left > 256 {
        writer.append(Sequence::new(n), 0, &[7; 16]).expect("room");
        (n, left) = (n + 1, left - 48);
    }
    writer.append(Sequence::new(n), 0, &vec![7; left - 16 - 32]).expect("room");
    n += 1;
    flush(&mut writer, &handle, n);
    for _ in 0..3 {
        writer.append(Sequence::new(n), 0, &[7; 16]).expect("room in the next segment");
        n += 1;
    }
    writer.finish().expect("a clean end");
    let open = open(&scratch).expect("sound");
    let mut replay = open.replay(Sequence::ZERO);
    let mut seen = 0;
    while let Some(record) = replay.next() {
        assert_eq!(record.expect("sound").sequence.get(), seen);
        seen += 1;
    }
    assert_eq!(seen, n);
    assert!(scratch.segment(1).exists());
}

#[test]
fn a_flush_of_what_is_not_there_yet_costs_nothing_until_it_is() {
    let scratch = Scratch::new("ahead");
    let (mut writer, handle) = create(&scratch);
    append(&mut writer, 0..10);
    let asking = handle.clone();
    let waiter = std::thread::spawn(move || asking.flush(Sequence::new(20)));
    while handle.durable().get() < 10 {
        writer.end_batch().expect("sound");
        std::thread::yield_now();
    }
    for _ in 0..1_000 {
        writer.end_batch().expect("sound");
    }
    assert!(handle.stats().syncs <= 3, "{:?}", handle.stats());
    append(&mut writer, 10..20);
    while !waiter.is_finished() {
        writer.end_batch().expect("sound");
        std::thread::yield_now();
    }
    assert_eq!(waiter.join().expect("no panic").expect("synced").get(), 20);
}

#[test]
fn garbage_behind_a_hole_does_not_hide_an_acknowledgement() {
    let scratch = Scratch::new("garbage");
    let (mut writer, handle) = create(&scratch);
    append(&mut writer, 0..50);
    flush(&mut writer, &handle, 50);
    append(&mut writer, 50..60);
    drop(writer);
    // Every 16 bytes of the damage claim to begin a frame of 20 KiB with a likely sequence.
    let mut bytes = std::fs::read(scratch.segment(0)).expect("read");
    for at in (4096 + 64..4096 + 1024).step_by(16) {
        bytes[at..at + 4].copy_from_slice(&20_480u32.to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(&5u64.to_le_bytes());
    }
    std::fs::write(scratch.segment(0), bytes).expect("written");
    assert!(matches!(open(&scratch), Err(JournalError::Corrupt { .. })));
}

#[test]
fn a_sealed_segment_that_was_swapped_is_refused() {
    let scratch = Scratch::new("swapped");
    let (mut writer, _) = create(&scratch);
    append(&mut writer, 0..3000);
    writer.finish().expect("a clean end");
    let mut bytes = std::fs::read(scratch.segment(1)).expect("read");
    let footer = bytes.len() - segment::FOOTER_BYTES;
    let says = segment::Footer::decode(&bytes).expect("sound").expect("sealed");
    let other = segment::Footer { previous: says.previous ^ 1, ..says };
    bytes[footer..].copy_from_slice(&other.encode(65_536));
    std::fs::write(scratch.segment(1), bytes).expect("written");
    assert!(matches!(open(&scratch), Err(JournalError::Corrupt { .. })));
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let progress = Progress::new(Sequence::new(5));
    let path = PathBuf::from("00000000000000000000.seg");
    progress.poison(JournalError::io(&path, "sync", std::io::Error::from_raw_os_error(5)));
    progress.end(JournalError::Closed);
    assert!(progress.is_over());
    for _ in 0..2 {
        let error = progress.wait_durable(Sequence::new(6)).expect_err("poisoned for ever");
        assert!(matches!(error, JournalError::Poisoned { .. }));
        assert!(error.to_string().contains("sync 00000000000000000000.seg"), "{error}");
    }
    assert_eq!(progress.wait_durable(Sequence::new(5)).expect("it was").get(), 5);
}

#[test]
fn a_second_writer_is_refused_and_told_who_holds_the_journal() {
    let scratch = Scratch::new("locked");
    let (_writer, _) = create(&scratch);
    match open(&scratch) {
        Err(JournalError::Locked { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_journal_is_refused_by_name() {
    let scratch = Scratch::new("refused");
    assert!(matches!(open(&scratch), Err(JournalError::NoJournal { .. })));
    std::fs::create_dir_all(&scratch.0).expect("a directory");
    assert!(matches!(open(&scratch), Err(JournalError::NoJournal { .. })));
    std::fs::write(scratch.segment(0), b"not a segment").expect("written");
    assert!(matches!(open(&scratch), Err(JournalError::NotASegment { .. })));
    let created = Journal::create(&scratch.0, &options(), &[SCHEMA]);
    assert!(matches!(created, Err(JournalError::AlreadyExists { .. })));
    std::fs::remove_file(scratch.segment(0)).expect("removed");
    std::fs::create_dir(scratch.segment(0)).expect("a directory");
    assert!(matches!(
        open(&scratch),
        Err(JournalError::Io { .. } | JournalError::NotASegment { .. })
    ));
    std::fs::remove_dir(scratch.segment(0)).expect("removed");
    std::os::unix::fs::symlink("/dev/null", scratch.segment(0)).expect("a link");
    let error = open(&scratch).expect_err("refused");
    assert!(
        matches!(&error, JournalError::NotASegment { why, .. } if why.contains("link")),
        "{error}"
    );
}

#[test]
fn an_interrupted_creation_is_an_empty_journal_and_a_lost_one_is_none() {
    let scratch = Scratch::new("interrupted");
    std::fs::create_dir_all(&scratch.0).expect("a directory");
    std::fs::write(scratch.0.join("lock"), b"1\n").expect("written");
    assert!(matches!(open(&scratch), Err(JournalError::NoJournal { .. })));
    let tmp = scratch.0.join(format!("{}.tmp", segment::file_name(0)));
    std::fs::write(&tmp, [0; 100]).expect("written");
    let (mut writer, _) = open(&scratch).expect("empty").into_writer().expect("a writer");
    append(&mut writer, 0..10);
    writer.finish().expect("a clean end");
    assert_holds(&open(&scratch).expect("sound"), 0, 10);
}

#[test]
fn another_schema_is_refused_by_name_and_version() {
    let scratch = Scratch::new("schema");
    let (mut writer, _) = create(&scratch);
    append(&mut writer, 0..3);
    writer.finish().expect("a clean end");
    let other = SchemaId { name: "test.bytes", version: 2, fingerprint: 0x9999 };
    let text = Journal::open(&scratch.0, &options(), &[other]).expect_err("refused").to_string();
    assert!(text.contains("test.bytes v1") && text.contains("test.bytes v2"), "{text}");
}

#[test]
fn another_rkyv_format_is_refused_by_name() {
    let scratch = Scratch::new("format");
    let (mut bytes, _, _) = killed(&scratch, 3);
    let says = bytes[64..96].to_vec();
    let at = says.windows(6).position(|text| text == b"little").expect("its endianness") + 64;
    bytes[at..at + 6].copy_from_slice(b"big   ");
    bytes[96..100].fill(0);
    let crc = crc_sum(&bytes[..4096]);
    bytes[96..100].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(scratch.segment(0), bytes).expect("written");
    let error = open(&scratch).expect_err("refused");
    assert!(matches!(error, JournalError::OtherFormat { .. }));
    let text = error.to_string();
    assert!(text.contains("big") && text.contains("little"), "{text}");
}

#[test]
fn a_missing_segment_is_refused_by_its_ordinal() {
    for ordinal in [0, 1, 2] {
        let scratch = Scratch::new(&format!("missing-{ordinal}"));
        let (mut writer, _) = create(&scratch);
        append(&mut writer, 0..3000);
        writer.finish().expect("a clean end");
        let count = std::fs::read_dir(&scratch.0).expect("listed").count() - 1;
        assert!(count > 3, "{count} segments");
        std::fs::remove_file(scratch.segment(ordinal)).expect("removed");
        match open(&scratch) {
            Err(JournalError::MissingSegment { ordinal: named, .. }) => assert_eq!(named, ordinal),
            other => panic!("{other:?}"),
        }
        // The last, which is open, has a sealed one before it that misses its successor.
        if ordinal == 0 {
            continue;
        }
    }
    let scratch = Scratch::new("missing-last");
    let (mut writer, _) = create(&scratch);
    append(&mut writer, 0..3000);
    writer.finish().expect("a clean end");
    let last = (0..).take_while(|&n| scratch.segment(n).exists()).last().expect("segments");
    std::fs::remove_file(scratch.segment(last)).expect("removed");
    match open(&scratch) {
        Err(JournalError::MissingSegment { ordinal, .. }) => assert_eq!(ordinal, last),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_segment_of_another_journal_is_refused() {
    let (mine, other) = (Scratch::new("mine"), Scratch::new("other"));
    for scratch in [&mine, &other] {
        let (mut writer, _) = create(scratch);
        append(&mut writer, 0..1500);
        writer.finish().expect("a clean end");
    }
    std::fs::copy(other.segment(1), mine.segment(1)).expect("copied");
    assert!(matches!(open(&mine), Err(JournalError::OtherJournal { .. })));
}

#[test]
fn a_crash_between_two_recoveries_is_one_more_crash() {
    let scratch = Scratch::new("twice");
    let (mut writer, _) = create(&scratch);
    append(&mut writer, 0..1500);
    writer.finish().expect("a clean end");
    let last = (0..).take_while(|&n| scratch.segment(n).exists()).last().expect("segments");
    // The last segment loses its frames to a power cut, its sealed predecessor does not.
    let mut bytes = std::fs::read(scratch.segment(last)).expect("read");
    bytes[4096..].fill(0);
    std::fs::write(scratch.segment(last), &bytes).expect("written");
    let ends: Vec<u64> = (0..3)
        .map(|_| open(&scratch).expect("as often as you like").next_sequence().get())
        .collect();
    assert!(ends[0] > 0 && ends[0] < 1500 && ends.iter().all(|&end| end == ends[0]), "{ends:?}");
    // Its opening frame torn is the same, and what is left of it is kept once.
    bytes[4096 + 8] = 7;
    std::fs::write(scratch.segment(last), &bytes).expect("written");
    assert_eq!(open(&scratch).expect("sound").cuts().len(), 1);
    assert!(open(&scratch).expect("sound").cuts().is_empty());
    let (mut writer, _) = open(&scratch).expect("sound").into_writer().expect("a writer");
    append(&mut writer, ends[0]..2000);
    writer.finish().expect("a clean end");
    assert_holds(&open(&scratch).expect("sound"), 0, 2000);
}

#[test]
fn a_hole_in_the_middle_that_was_never_acknowledged_is_cut_with_all_behind_it() {
    let scratch = Scratch::new("hole");
    let (mut writer, _) = create(&scratch);
    append(&mut writer, 0..2000);
    drop(writer);
    // As if no sync had ever returned: footers gone, every lag says nothing.
    let count = (0..).take_while(|&n| scratch.segment(n).exists()).count() as u64;
    assert!(count >= 3);
    for ordinal in 0..count {
        let path = scratch.segment(ordinal);
        let mut bytes = std::fs::read(&path).expect("read");
        let header = segment::Header::decode(&path, &bytes).expect("a header");
        let salt = frame::Salt::new(header.salt);
        let mut at = header.frames_range().start;
        while let Ok(found) = frame::decode(&bytes[at..], salt) {
            let head = frame::Head { lag: frame::NO_LAG, ..found.head };
            let (payload, space) = (found.payload.to_vec(), found.space_bytes);
            frame::encode(&mut bytes[at + 4..at + space], &head, &payload, salt);
            at += space;
        }
        if ordinal == 1 {
            bytes[20_000..24_096].fill(0);
        }
        let footer = bytes.len() - segment::FOOTER_BYTES;
        bytes[footer..].fill(0);
        std::fs::write(&path, bytes).expect("written");
    }
    let (survived, cuts) = {
        let open = open(&scratch).expect("a torn tail, if a long one");
        (open.next_sequence().get(), open.cuts().len() as u64)
    };
    assert!(survived > 0 && survived < 2000);
    assert_eq!(cuts, count - 1, "what lies behind the hole is kept, segment by segment");
    let open = open(&scratch).expect("sound");
    assert!(open.cuts().is_empty());
    assert_holds(&open, 0, survived);
}

#[test]
fn an_event_larger_than_a_segment_is_refused_and_the_journal_goes_on() {
    let scratch = Scratch::new("large");
    let (mut writer, _) = create(&scratch);
    let refused = writer.append(Sequence::ZERO, 0, &vec![1; 60_000]);
    assert!(matches!(refused, Err(JournalError::FrameTooLarge { .. })));
    append(&mut writer, 0..10);
    writer.finish().expect("a clean end");
    assert_holds(&open(&scratch).expect("sound"), 0, 10);
}

/// A journal of one open segment, killed: its file, where its frames start and end, and where each
/// event's frame starts.
fn killed(scratch: &Scratch, events: u64) -> (Vec<u8>, Vec<usize>, usize) {
    let (mut writer, _) = create(scratch);
    append(&mut writer, 0..events);
    drop(writer);
    let bytes = std::fs::read(scratch.segment(0)).expect("read");
    let header = segment::Header::decode(&scratch.segment(0), &bytes).expect("a header");
    let salt = frame::Salt::new(header.salt);
    let mut at = header.frames_range().start;
    let mut starts = Vec::new();
    while let Ok(frame) = frame::decode(&bytes[at..], salt) {
        if frame.head.kind.takes_sequence() {
            starts.push(at);
        }
        at += frame.space_bytes;
    }
    (bytes, starts, at)
}

#[test]
fn every_torn_tail_opens_with_the_whole_frames_before_it_and_is_kept() {
    let scratch = Scratch::new("torn");
    let (bytes, starts, end) = killed(&scratch, 30);
    for cut in (starts[3]..end).step_by(4) {
        let mut torn = bytes.clone();
        torn[cut..end].fill(0);
        std::fs::write(scratch.segment(0), &torn).expect("written");
        let whole = starts.iter().filter(|&&start| start < cut).count() as u64 - 1;
        let open = open(&scratch).expect("a torn tail is no damage");
        // The frame that was cut is whole after all if only zeros were lost.
        let survived = open.next_sequence().get();
        assert!(survived == whole || survived == whole + 1, "{survived} of {whole} at {cut}");
        assert_holds(&open, 0, survived);
        for kept in open.cuts() {
            let aside = std::fs::read(&kept.kept).expect("kept");
            let from = kept.offset_bytes as usize;
            assert_eq!(aside, torn[from..from + kept.bytes as usize]);
            std::fs::remove_file(&kept.kept).expect("removed");
        }
    }
}

#[test]
fn a_flipped_bit_in_an_acknowledged_frame_refuses_and_names_the_sequences() {
    let scratch = Scratch::new("flip");
    let (mut writer, handle) = create(&scratch);
    append(&mut writer, 0..20);
    flush(&mut writer, &handle, 20);
    append(&mut writer, 20..25);
    drop(writer);
    let bytes = std::fs::read(scratch.segment(0)).expect("read");
    let header = segment::Header::decode(&scratch.segment(0), &bytes).expect("a header");
    let salt = frame::Salt::new(header.salt);
    let mut at = header.frames_range().start;
    while let Ok(frame) = frame::decode(&bytes[at..], salt) {
        let is_event = frame.head.kind.takes_sequence();
        let (sequence, space) = (frame.head.sequence.get(), frame.space_bytes);
        for bit in (0..space * 8).step_by(5).filter(|_| is_event && sequence < 20) {
            let mut rotten = bytes.clone();
            rotten[at + bit / 8] ^= 1 << (bit % 8);
            std::fs::write(scratch.segment(0), &rotten).expect("written");
            match open(&scratch) {
                Err(JournalError::Corrupt { offset_bytes, lost, .. }) => {
                    assert_eq!((offset_bytes, lost.start.get()), (at as u64, sequence));
                    assert!(lost.end.get() >= 20);
                }
                other => panic!("bit {bit} of event {sequence}: {other:?}"),
            }
        }
        at += space;
    }
}

#[test]
fn a_flipped_bit_in_a_header_is_found() {
    let scratch = Scratch::new("header");
    let (bytes, _, _) = killed(&scratch, 5);
    for bit in 0..256 * 8 {
        let mut rotten = bytes.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(scratch.segment(0), &rotten).expect("written");
        let error = open(&scratch).expect_err("found");
        assert!(
            matches!(error, JournalError::NotASegment { .. } | JournalError::OtherFormat { .. }),
            "bit {bit}: {error}"
        );
    }
}

#[test]
fn a_sealed_segment_that_rots_is_refused_by_the_replay() {
    let scratch = Scratch::new("sealed");
    let (mut writer, _) = create(&scratch);
    append(&mut writer, 0..2000);
    writer.finish().expect("a clean end");
    let mut bytes = std::fs::read(scratch.segment(0)).expect("read");
    bytes[4096 + 500] ^= 4;
    std::fs::write(scratch.segment(0), &bytes).expect("written");
    let open = open(&scratch).expect("sealed segments are not read at open");
    let mut replay = open.replay(Sequence::ZERO);
    let error = loop {
        match replay.next() {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the damage was passed over"),
        }
    };
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
    assert!(replay.next().is_none());
}

#[test]
fn hostile_bytes_are_refused_or_cut_and_never_believed() {
    let scratch = Scratch::new("hostile");
    let (bytes, starts, end) = killed(&scratch, 30);
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..300 {
        let mut hostile = bytes.clone();
        for _ in 0..1 + random() % 8 {
            let at = 4096 + (random() as usize) % (end + 256 - 4096);
            hostile[at] = random() as u8;
        }
        std::fs::write(scratch.segment(0), &hostile).expect("written");
        if let Ok(open) = open(&scratch) {
            let survived = open.next_sequence().get();
            assert!(survived <= starts.len() as u64);
            assert_holds(&open, 0, survived);
            for cut in open.cuts() {
                std::fs::remove_file(&cut.kept).expect("removed");
            }
        }
    }
}
