//! Values of the domain as columns have them, both ways.

use std::{fmt::Display, str::FromStr, time::Duration};

use tokio_postgres::Row;

use super::Error;
use crate::domain::{Epoch, Position};

/// An id, or another value of the domain, as it was written.
pub(super) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Error> {
    text.parse().map_err(Error::corrupt)
}

/// A count that the schema keeps at zero or above.
pub(super) fn unsigned(value: i64) -> Result<u64, Error> {
    u64::try_from(value).map_err(Error::corrupt)
}

/// A position from its two columns, the epoch at `at` and the seq after it.
pub(super) fn position(row: &Row, at: usize) -> Result<Position, Error> {
    Ok(Position { epoch: Epoch(unsigned(row.get(at))?), seq: unsigned(row.get(at + 1))? })
}

/// A count or a number of the chart, which the schema keeps at zero or above.
pub(super) fn to_u32(value: i32) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// A count or a number of the chart; the limits are far below.
pub(super) fn to_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A count of changes.
pub(super) fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A span in milliseconds.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// What becomes of a row of `holds` that stands where a hold is written: it is moved on in
/// its log's order. A row of other content stays as it is.
macro_rules! move_hold_on {
    () => {
        "ON CONFLICT (event_id, hold_id) DO UPDATE SET holder_id = excluded.holder_id,
            expire_time = excluded.expire_time, seat_indexes = excluded.seat_indexes,
            area_indexes = excluded.area_indexes, area_quantities = excluded.area_quantities,
            area_at_first = excluded.area_at_first, epoch = excluded.epoch, seq = excluded.seq
        WHERE holds.fingerprint = excluded.fingerprint
            AND (holds.epoch, holds.seq) < (excluded.epoch, excluded.seq)"
    };
}
pub(super) use move_hold_on;
