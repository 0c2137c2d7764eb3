//! *Owns* NASDAQ TotalView-ITCH 5.0 files: two bytes, then a message. *Invariant*: `messages` yields
//! exactly what `check` found sound; no byte is read outside a message. *Source*: the ITCH 5.0
//! specification.
//!
//! No parser crate is used. `itchy` ignores the two bytes, so it cannot find them wrong, and panics on
//! symbols that are not UTF-8; `itch5` decodes a message but leaves the records to its caller, which
//! is most of what stands here.

use super::{FeedError, padded};
use crate::events::{Action, Message};
use std::path::Path;

/// Bytes before each message.
const PREFIX_BYTES: usize = 2;

/// The length of a message of this type.
const fn length_of(kind: u8) -> Option<usize> {
    Some(match kind {
        b'S' => 12,
        b'R' => 39,
        b'H' => 25,
        b'Y' => 20,
        b'L' => 26,
        b'V' => 35,
        b'W' => 12,
        b'K' => 28,
        b'J' => 35,
        b'h' => 21,
        b'A' => 36,
        b'F' => 40,
        b'E' => 31,
        b'C' => 36,
        b'X' => 23,
        b'D' => 19,
        b'U' => 35,
        b'P' => 44,
        b'Q' => 40,
        b'B' => 19,
        b'I' => 50,
        b'N' => 20,
        b'O' => 48,
        _ => return None,
    })
}

/// Where in a file to begin, and whose messages to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Bytes that are skipped, whatever is in them.
    pub from_bytes: usize,
    /// Only messages of this stock locate.
    pub locate: Option<u16>,
}

/// The stock locate that the directory of a file gives a symbol.
pub fn locate_of(bytes: &[u8], path: &Path, symbol: &str) -> Result<u16, FeedError> {
    let mut rest = bytes;
    while let Ok((message, behind)) = split(rest) {
        if message[0] == b'R' && message[11..19] == padded(symbol) {
            return Ok(short(message, 1));
        }
        rest = behind;
    }
    Err(FeedError::new(path.display(), format_args!("no symbol `{symbol}` in its directory")))
}

/// Checks every record of the window; gives the number of messages taken.
pub fn check(bytes: &[u8], path: &Path, window: Window) -> Result<u64, FeedError> {
    let mut rest = bytes.get(window.from_bytes..).unwrap_or_default();
    while !rest.is_empty() {
        let offset_bytes = bytes.len() - rest.len();
        let refuse = |why: String| {
            FeedError::new(format_args!("{}: byte {offset_bytes}", path.display()), why)
        };
        let (message, behind) = split(rest).map_err(refuse)?;
        if has_side(message[0]) && !matches!(message[19], b'B' | b'S') {
            return Err(refuse(format!("{:#04x} is neither buy nor sell", message[19])));
        }
        rest = behind;
    }
    match messages(bytes, window).count() as u64 {
        0 if window.from_bytes == 0 => {
            Err(FeedError::new(path.display(), "the file holds no message"))
        }
        count => Ok(count),
    }
}

/// The messages of a file that was checked.
pub fn messages(bytes: &[u8], window: Window) -> impl Iterator<Item = Message> + '_ {
    let mut rest = bytes.get(window.from_bytes..).unwrap_or_default();
    let all = std::iter::from_fn(move || {
        let position = (bytes.len() - rest.len()) as u64;
        let (message, behind) = split(rest).ok()?;
        rest = behind;
        Some(decode(message, position))
    });
    all.filter(move |message| window.locate.is_none_or(|locate| locate == message.instrument))
}

/// The first message, without its prefix, and what follows it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let cut = || "the record is cut short".to_owned();
    let (prefix, rest) = bytes.split_at_checked(PREFIX_BYTES).ok_or_else(cut)?;
    let kind = *rest.first().ok_or_else(cut)?;
    let length = length_of(kind).ok_or_else(|| format!("{kind:#04x} is no message type"))?;
    let said = usize::from(u16::from_be_bytes([prefix[0], prefix[1]]));
    if said != 0 && said != length {
        let kind = char::from(kind);
        return Err(format!("the prefix says {said} bytes, a message of type {kind} has {length}"));
    }
    rest.split_at_checked(length).ok_or_else(cut)
}

/// Whether byte 19 of a message of this type says buy or sell.
const fn has_side(kind: u8) -> bool {
    matches!(kind, b'A' | b'F' | b'P')
}

/// The message in bytes that `split` found long enough for their type.
fn decode(bytes: &[u8], position: u64) -> Message {
    let is_sell = has_side(bytes[0]) && bytes[19] == b'S';
    let add = if is_sell { Action::Ask } else { Action::Bid };
    let other = Message {
        position,
        order: 0,
        replaces: 0,
        price: 0,
        quantity: 0,
        instrument: short(bytes, 1),
        action: Action::Other,
        record_bytes: (PREFIX_BYTES + bytes.len()) as u8,
    };
    match bytes[0] {
        b'A' | b'F' => Message {
            action: add,
            order: long(bytes, 11),
            quantity: word(bytes, 20),
            price: i64::from(word(bytes, 32)),
            ..other
        },
        b'E' | b'C' => Message {
            action: Action::Execute,
            order: long(bytes, 11),
            quantity: word(bytes, 19),
            ..other
        },
        b'X' => Message {
            action: Action::Cancel,
            order: long(bytes, 11),
            quantity: word(bytes, 19),
            ..other
        },
        b'D' => Message { action: Action::Delete, order: long(bytes, 11), ..other },
        b'U' => Message {
            action: Action::Replace,
            replaces: long(bytes, 11),
            order: long(bytes, 19),
            quantity: word(bytes, 27),
            price: i64::from(word(bytes, 31)),
            ..other
        },
        b'P' => Message {
            action: Action::ExecuteHidden,
            quantity: word(bytes, 20),
            price: i64::from(word(bytes, 32)),
            ..other
        },
        _ => other,
    }
}

/// Big-endian fields of a message that is long enough.
fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(std::array::from_fn(|n| bytes[at + n]))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|n| bytes[at + n]))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|n| bytes[at + n]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, prefix: u16, fields: &[(usize, &[u8])]) -> Vec<u8> {
        let mut message = vec![0; length_of(kind).expect("a type")];
        message[0] = kind;
        message[2] = 7;
        for (at, bytes) in fields {
            message[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        [&prefix.to_be_bytes()[..], &message].concat()
    }

    fn sample() -> Vec<u8> {
        let reference = 99u64.to_be_bytes();
        let shares = 100u32.to_be_bytes();
        [
            record(b'R', 39, &[(11, b"AAPL    ")]),
            record(b'A', 0, &[(11, &reference), (19, b"S"), (20, &shares), (32, &[0, 0, 1, 0])]),
            record(b'E', 31, &[(11, &reference), (19, &40u32.to_be_bytes())]),
            record(b'U', 0, &[(11, &reference), (19, &100u64.to_be_bytes()), (27, &shares)]),
            record(b'D', 19, &[(11, &100u64.to_be_bytes())]),
        ]
        .concat()
    }

    const WHOLE: Window = Window { from_bytes: 0, locate: None };

    #[test]
    fn a_sound_file_gives_its_messages() {
        let bytes = sample();
        let path = Path::new("f");
        assert_eq!(check(&bytes, path, WHOLE).expect("sound"), 5);
        assert_eq!(locate_of(&bytes, path, "AAPL").expect("listed"), 7);
        let unknown = locate_of(&bytes, path, "MSFT").expect_err("unknown").to_string();
        assert!(unknown.contains("MSFT"));
        let actions: Vec<Action> = messages(&bytes, WHOLE).map(|message| message.action).collect();
        use Action::{Ask, Delete, Execute, Other, Replace};
        assert_eq!(actions, [Other, Ask, Execute, Replace, Delete]);
        let add = messages(&bytes, WHOLE).nth(1).expect("five");
        assert_eq!((add.price, add.quantity, add.order), (256, 100, 99));
        assert_eq!(messages(&bytes, Window { locate: Some(8), ..WHOLE }).count(), 0);
    }

    #[test]
    fn bytes_that_are_skipped_may_hold_anything() {
        let mut bytes = sample();
        let second = messages(&bytes, WHOLE).nth(1).expect("five");
        let from_bytes = second.position as usize + usize::from(second.record_bytes);
        bytes[..from_bytes].fill(0xEE);
        let rest = Window { from_bytes, locate: Some(7) };
        assert_eq!(check(&bytes, Path::new("f"), rest).expect("the rest is sound"), 3);
        assert_eq!(messages(&bytes, rest).next().map(|m| m.position), Some(from_bytes as u64));
    }

    #[test]
    fn every_cut_is_named_by_file_and_offset_and_none_panics() {
        let bytes = sample();
        let ends: Vec<usize> = messages(&bytes, WHOLE).map(|m| m.position as usize).collect();
        for cut in 1..bytes.len() {
            let checked = check(&bytes[..cut], Path::new("day.itch"), WHOLE);
            if ends.contains(&cut) {
                assert!(checked.is_ok());
            } else {
                let error = checked.expect_err("cut").to_string();
                assert!(error.starts_with("day.itch: byte ") && error.contains("cut"), "{error}");
            }
        }
        assert!(check(b"", Path::new("f"), WHOLE).is_err());
    }

    #[test]
    fn a_wrong_prefix_and_an_unknown_type_are_refused() {
        let mut bytes = sample();
        bytes[1] = 38;
        assert!(
            check(&bytes, Path::new("f"), WHOLE).expect_err("prefix").to_string().contains("38")
        );
        bytes[1] = 0;
        bytes[2] = b'z';
        assert!(
            check(&bytes, Path::new("f"), WHOLE).expect_err("type").to_string().contains("0x7a")
        );
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 1u64;
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..200)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let byte = (state >> 40) as u8;
                    if byte < 200 { b"\0SRAFEXDU"[usize::from(byte) % 9] } else { byte }
                })
                .collect();
            if check(&bytes, Path::new("f"), WHOLE).is_ok() {
                assert!(messages(&bytes, WHOLE).count() > 0);
            }
        }
    }
}
