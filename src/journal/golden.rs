//! The bytes of the format, as they are and stay: computed once by other code than the crate's.

use super::*;
use std::path::PathBuf;

const SCHEMA: SchemaId = SchemaId { name: "test.bytes", version: 1, fingerprint: 0x1234 };

#[test]
fn the_bytes_of_each_frame_kind_are_golden() {
    let golden = |kind, sequence, time_ns, lag, payload: &[u8], expected: &str| {
        let head = frame::Head { kind, sequence: Sequence::new(sequence), time_ns, lag };
        let mut space = vec![0; frame::space_bytes(payload.len())];
        let salt = frame::Salt::new(0x0102_0304_0506_0708);
        let len_word = frame::encode(&mut space[4..], &head, payload, salt);
        space[..4].copy_from_slice(&len_word.to_le_bytes());
        let hex: String = space.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected, "{kind:?}");
        let decoded = frame::decode(&space, salt).expect("its own bytes");
        assert_eq!((decoded.head, decoded.payload), (head, payload));
    };
    use frame::Kind;
    golden(
        Kind::Event(0),
        5,
        9,
        2,
        b"tick",
        "2400000074571ce90500000000000000090000000000000000000000020000007469636b000000000000000000000000",
    );
    golden(
        Kind::Open,
        0,
        0,
        0,
        b"",
        "20000080e7351b0c000000000000000000000000000000000100000000000000",
    );
    golden(
        Kind::Abort,
        6,
        9,
        3,
        b"",
        "20000080590d005d060000000000000009000000000000000200000003000000",
    );
    golden(
        Kind::Mark,
        7,
        9,
        1,
        &6u64.to_le_bytes(),
        "280000802a79d4e407000000000000000900000000000000030000000100000006000000000000000000000000000000",
    );
    golden(
        Kind::Pad,
        7,
        9,
        u32::MAX,
        &[0; 16],
        "3000008034ff408b0700000000000000090000000000000004000000ffffffff00000000000000000000000000000000",
    );
}

#[test]
fn the_bytes_of_a_segment_header_are_golden() {
    let header = segment::Header {
        journal_id: 0xAABB,
        ordinal: 3,
        salt: 0x0102_0304_0506_0708,
        segment_bytes: 65_536,
        schemas: vec![SchemaEntry::from(&SCHEMA)],
    };
    let bytes = header.encode();
    assert_eq!(bytes.len(), 4096);
    assert!(bytes[176..].iter().all(|&byte| byte == 0));
    let hex: String = bytes[..176].iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = "5452424c534547000100000000100000bbaa0000000000000000000000000000\
         0300000000000000080706050403020100000100000000000100000001000000\
         726b797620302e38206c6974746c6520616c69676e6564203332000000000000\
         3be0424a00000000000000000000000000000000000000000000000000000000\
         34120000000000000000000000000000010000000a0000000000000000000000\
         746573742e6279746573000000000000";
    assert_eq!(hex, golden);
    let mut file = bytes;
    file.resize(65_536, 0);
    let decoded = segment::Header::decode(&PathBuf::from("golden"), &file).expect("its own bytes");
    assert_eq!(decoded, header);
}
