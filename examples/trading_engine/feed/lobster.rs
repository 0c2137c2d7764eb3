//! *Owns* LOBSTER message files. *Invariant*: `messages` yields exactly the lines that `check` found
//! sound. *Source*: the LOBSTER output format: time in s, type, order id, size, price × 10⁴, side.

use super::FeedError;
use crate::events::{Action, Message};
use std::path::Path;

/// The largest price: far above any, and small enough that sums of prices stay in range.
const PRICE_MAX: i64 = 100_000_000_000;

/// Checks every line behind the first `skipped`; gives their number.
pub fn check(bytes: &[u8], path: &Path, skipped: u64) -> Result<u64, FeedError> {
    let mut count = 0;
    for (number, line) in lines(bytes, skipped) {
        parse(number, line)
            .map_err(|why| FeedError::new(format_args!("{}:{number}", path.display()), why))?;
        count += 1;
    }
    if count + skipped == 0 {
        return Err(FeedError::new(path.display(), "the file holds no message"));
    }
    Ok(count)
}

/// The messages of a file that was checked.
pub fn messages(bytes: &[u8], skipped: u64) -> impl Iterator<Item = Message> + '_ {
    lines(bytes, skipped).filter_map(|(number, line)| parse(number, line).ok())
}

/// Lines with their numbers, from 1, but for the first `skipped`, whatever is in those. A newline at
/// the very end begins no line.
fn lines(bytes: &[u8], skipped: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let is_empty = bytes.is_empty();
    let lines = bytes.split(|&byte| byte == b'\n').filter(move |_| !is_empty);
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    (1..).zip(lines).skip(usize::try_from(skipped).unwrap_or(usize::MAX))
}

fn parse(number: u64, line: &[u8]) -> Result<Message, String> {
    let text = std::str::from_utf8(line).map_err(|_| "the line is not text")?;
    let mut fields = text.split(',');
    let mut field = |name: &str| fields.next().ok_or_else(|| format!("{name} is missing"));
    check_time(field("the time")?)?;
    let kind = field("the type")?;
    let order_text = field("the order id")?;
    let size = unsigned(field("the size")?, "size")?;
    let price_text = field("the price")?;
    let price: i64 = price_text.parse().map_err(|_| format!("`{price_text}` is no price"))?;
    let add = match field("the direction")? {
        "1" => Action::Bid,
        "-1" => Action::Ask,
        other => return Err(format!("`{other}` is no direction: 1 is buy, -1 is sell")),
    };
    if fields.next().is_some() {
        return Err("more than six fields".to_owned());
    }
    let action = match kind {
        "1" => add,
        "2" => Action::Cancel,
        "3" => Action::Delete,
        "4" => Action::Execute,
        "5" => Action::ExecuteHidden,
        "6" | "7" => Action::Other,
        other => return Err(format!("`{other}` is no type: 1 to 7 are")),
    };
    // Crosses and halts name no order, and halts say their kind in the price.
    let is_about_orders = action != Action::Other;
    let lowest = if is_about_orders { 0 } else { -1 };
    if !(lowest..=PRICE_MAX).contains(&price) {
        return Err(format!("price {price} is out of range"));
    }
    let order = match order_text {
        "-1" if !is_about_orders => 0,
        text => unsigned(text, "order id")?,
    };
    let quantity = u32::try_from(size).map_err(|_| format!("size {size} is too large"))?;
    Ok(Message {
        position: number,
        order,
        replaces: 0,
        price,
        quantity,
        instrument: 1,
        action,
        record_bytes: 0,
    })
}

fn unsigned(text: &str, name: &str) -> Result<u64, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or_else(|| format!("`{text}` is no {name}"))
}

/// Seconds after midnight with up to nine decimals.
fn check_time(text: &str) -> Result<(), String> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_sound = is_number(seconds) && is_number(decimals) && decimals.len() <= 9;
    let is_in_a_day = seconds.parse::<u64>().is_ok_and(|seconds| seconds < 86_400);
    if is_sound && is_in_a_day {
        Ok(())
    } else {
        Err(format!("`{text}` is no time: seconds after midnight with up to nine decimals"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "34200.004241176,1,16113575,18,5853300,1\n34200.25,4,16113575,8,5853300,1\r\n\
        34201,5,0,10,5853250,-1\n34202.1,7,0,0,-1,-1";

    #[test]
    fn a_sound_file_gives_its_messages_with_or_without_a_last_newline() {
        for text in [SOUND.to_owned(), format!("{SOUND}\n")] {
            assert_eq!(check(text.as_bytes(), Path::new("f"), 0).expect("sound"), 4);
            let messages: Vec<Message> = messages(text.as_bytes(), 0).collect();
            assert_eq!(messages.len(), 4);
            assert_eq!(messages[0].order, 16_113_575);
            assert_eq!((messages[1].action, messages[1].quantity), (Action::Execute, 8));
            assert_eq!(messages[3].position, 4);
        }
    }

    #[test]
    fn lines_that_are_skipped_may_hold_anything() {
        let text = "#!?\n,,,noise\n34200,1,5,10,100,1\n34200,7,-1,0,-1,-1\n";
        assert_eq!(check(text.as_bytes(), Path::new("f"), 2).expect("the rest is sound"), 2);
        let positions: Vec<u64> = messages(text.as_bytes(), 2).map(|m| m.position).collect();
        assert_eq!(positions, [3, 4]);
        assert_eq!(check(text.as_bytes(), Path::new("f"), 4).expect("nothing is left"), 0);
    }

    #[test]
    fn a_malformed_line_is_named_by_file_and_line() {
        let bad = [
            "34200,1,5,10,100",
            "34200,1,5,10,100,1,9",
            "34200,8,5,10,100,1",
            "34200,1,5,10,100,2",
            "34200,1,-5,10,100,1",
            "34200,1,5,99999999999,100,1",
            "34200,1,5,10,1.5,1",
            "34200,1,5,10,-1,1",
            "34200,1,5,10,900000000000,1",
            "34200,1,-1,10,100,1",
            "34200.0123456789,1,5,10,100,1",
            "99999,1,5,10,100,1",
            "",
        ];
        for line in bad {
            let text = format!("34200,1,5,10,100,1\n{line}\n34200,3,5,10,100,1\n");
            let error =
                check(text.as_bytes(), Path::new("day.csv"), 0).expect_err(line).to_string();
            assert!(error.starts_with("day.csv:2: "), "{error}");
        }
        assert!(check(b"", Path::new("f"), 0).is_err());
        assert!(check(b"\n", Path::new("f"), 0).is_err());
        assert!(check(b"\xFF\xFE", Path::new("f"), 0).is_err());
    }
}
