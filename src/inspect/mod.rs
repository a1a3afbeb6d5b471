//! What an operator looks at from a shell: `holdfast events`, `holds`, `why`, straight
//! from the stores; and `drain`, which sends a server away.
//!
//! Each page is printed as it is read: an event of any size takes no more memory.

mod drain;
mod events;
mod holds;
mod why;

use time::{
    OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description,
};

use crate::{
    app,
    config::{DrainOptions, HoldsOptions, Stores, Told, WhyOptions},
    domain::{AreaId, HoldState, SeatId},
    flow::Error,
};

/// What the commands end with.
const GOOD: u8 = 0;
/// There is no such thing; or, of `drain`, it has not come to its end.
const NOT_SO: u8 = 1;
const TROUBLE: u8 = 2;

/// Prints all events; answers what to exit with.
pub async fn events(stores: &Stores, told: &Told) -> u8 {
    match app::connect(stores).await {
        Ok(flows) => code(events::print(&flows, told).await),
        Err(error) => trouble(&error),
    }
}

/// Prints an event's open holds; answers what to exit with.
pub async fn holds(stores: &Stores, options: &HoldsOptions) -> u8 {
    match app::connect(stores).await {
        Ok(flows) => code(holds::print(&flows, options).await),
        Err(error) => trouble(&error),
    }
}

/// Prints what happened to a seat; answers what to exit with.
pub async fn why(stores: &Stores, options: &WhyOptions) -> u8 {
    match app::connect(stores).await {
        Ok(flows) => code(why::print(&flows, options).await),
        Err(error) => trouble(&error),
    }
}

/// Sends a server away; answers what to exit with: 0 where it drains, and nothing is under
/// way where that was waited for, 1 where something still is, 2 where it cannot be asked.
pub async fn drain(options: &DrainOptions) -> u8 {
    match drain::drain(options).await {
        Ok(true) => GOOD,
        Ok(false) => NOT_SO,
        Err(error) => trouble(&error),
    }
}

fn code(printed: Result<(), Error>) -> u8 {
    match printed {
        Ok(()) => GOOD,
        Err(Error::Refused(refusal)) => {
            eprintln!("holdfast: {refusal}");
            NOT_SO
        }
        Err(error) => trouble(&anyhow::Error::from(error)),
    }
}

fn trouble(error: &anyhow::Error) -> u8 {
    eprintln!("holdfast: {error:#}");
    TROUBLE
}

/// A time as people and machines read it, to the millisecond.
fn time(time: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.to_offset(UtcOffset::UTC).format(FORMAT).unwrap_or_default()
}

fn state(state: HoldState) -> &'static str {
    match state {
        HoldState::Active => "ACTIVE",
        HoldState::Confirming => "CONFIRMING",
        HoldState::Confirmed => "CONFIRMED",
        HoldState::Released => "RELEASED",
        HoldState::Expired => "EXPIRED",
        HoldState::Lost => "LOST",
    }
}

/// What a hold has, in short.
fn items(seat_ids: &[SeatId], areas: &[(AreaId, u32)]) -> String {
    let seats = seat_ids.iter().map(ToString::to_string);
    let areas = areas.iter().map(|(area_id, quantity)| format!("{area_id}*{quantity}"));
    seats.chain(areas).collect::<Vec<_>>().join(" ")
}
