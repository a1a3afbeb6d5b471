//! The stream's messages, read without a copy: a hundred thousand of them come in
//! a second, to the same cores that send them.

use anyhow::{Context as _, bail};

/// What a message tells.
pub enum Said<'a> {
    House { is_last: bool },
    Updates(Seats<'a>),
    Heartbeat,
}

/// The numbers of the seats that changed, in order; see `events::seat_id`.
pub struct Seats<'a>(Fields<'a>);

impl Iterator for Seats<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            // SeatUpdates.seats, SeatState.seat_id
            let (1, Value::Bytes(state)) = self.0.next()?.ok()? else { continue };
            let (1, Value::Bytes(id)) = Fields(state).next()?.ok()? else { continue };
            let digits = id.strip_prefix(b"A:")?;
            return Some(digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')));
        }
    }
}

/// Reads a StreamSeatUpdatesResponse: what it says, and its resume token.
pub fn read(message: &[u8]) -> anyhow::Result<(Said<'_>, &str)> {
    let (mut said, mut token) = (Said::Heartbeat, "");
    for field in Fields(message) {
        match field? {
            (1, Value::Bytes(house)) => {
                let mut is_last = false;
                for field in Fields(house) {
                    is_last |= matches!(field?, (3, Value::Number(1)));
                }
                said = Said::House { is_last };
            }
            (2, Value::Bytes(updates)) => said = Said::Updates(Seats(Fields(updates))),
            (4, Value::Bytes(text)) => token = std::str::from_utf8(text)?,
            _ => {}
        }
    }
    Ok((said, token))
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message of Protocol Buffers, by number.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = anyhow::Result<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.field())
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> anyhow::Result<(u64, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            2 => {
                let len = usize::try_from(self.number()?)?;
                let (bytes, rest) = self.0.split_at_checked(len).context("cut off")?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            kind => bail!("a field of kind {kind}, which the contract does not have"),
        };
        Ok((tag >> 3, value))
    }

    fn number(&mut self) -> anyhow::Result<u64> {
        let mut bytes = self.0;
        let number = prost::encoding::decode_varint(&mut bytes)?;
        self.0 = bytes;
        Ok(number)
    }
}
