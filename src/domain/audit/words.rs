//! What each difference means, in the operator's words.

use std::fmt::{Formatter, Result};

use super::{Difference, Seen};

impl Difference {
    pub(super) fn of_the_event(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::NotLoaded => write!(
                f,
                "Redis does not have the event, or has it from another life: no Holds until it \
                 is loaded"
            ),
            Self::OtherEpoch { redis, postgres } => write!(
                f,
                "Redis has the event in epoch {redis}, Postgres in {postgres}: no sale gets \
                 through until it is loaded anew"
            ),
            Self::LogEnd { log: None, position } => write!(
                f,
                "Redis is at {position}, but its log is gone: streams and the journal miss changes"
            ),
            Self::LogEnd { log: Some(log), position } => write!(
                f,
                "Redis is at {position}, but its log ends at {log}: streams and the journal miss \
                 changes"
            ),
            Self::Rule { name, redis, postgres } => write!(
                f,
                "Redis has {name} = {redis}, Postgres {postgres}: holds are made by the wrong rule"
            ),
            Self::AreaCapacity { area, redis, postgres } => write!(
                f,
                "area {area}: capacity {redis} in Redis, {postgres} in Postgres: too much or too \
                 little is offered"
            ),
            Self::JournalStands { at } => write!(
                f,
                "the journal has stood still at {at} while the log went on: holds made since are \
                 lost if Redis is"
            ),
            Self::OutboxOpen { outbox_id, hold: Some(hold) } => write!(
                f,
                "outbox row {outbox_id} is open: Redis may not know that hold {hold} has ended"
            ),
            Self::OutboxOpen { outbox_id, hold: None } => write!(
                f,
                "outbox row {outbox_id} is open: Redis may not know that the event has changed"
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn of_a_place(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::SoldSeat { seat, hold, redis } => {
                let meaning = match redis {
                    Seen::Free => "it is offered again, and a Confirm of it will be refused",
                    Seen::Held(_) => "that hold cannot be confirmed",
                    Seen::Sold(_) => "two holds claim it; the ticket's is right",
                    Seen::Blocked => "it is shown as out of sale",
                };
                write!(f, "seat {seat} is sold to hold {hold}, but {redis} in Redis: {meaning}")
            }
            Self::SoldWithoutTicket { seat, hold } => write!(
                f,
                "seat {seat} is sold to hold {hold} in Redis, but has no ticket: it cannot be \
                 bought, and nobody owns it"
            ),
            Self::BlockedSeat { seat, redis } => {
                write!(f, "seat {seat} is blocked in Postgres, but {redis} in Redis: it is on sale")
            }
            Self::BlockedInRedis { seat } => write!(
                f,
                "seat {seat} is blocked in Redis, but not in Postgres: it goes on sale when Redis \
                 is rebuilt"
            ),
            Self::SeatWithoutHold { seat, hold } => write!(
                f,
                "seat {seat} is held by hold {hold} in Redis, but no live hold has it: it is \
                 shown as held, and whoever asks for it gets it"
            ),
            Self::HoldWithoutSeat { hold, seat, redis } => write!(
                f,
                "hold {hold} has seat {seat}, which is {redis} in Redis: the hold cannot be \
                 confirmed"
            ),
            Self::AreaCount { area, offered } if *offered > 0 => write!(
                f,
                "area {area}: Redis offers {offered} unit(s) more than are neither sold nor held: \
                 somebody will hold what cannot be sold"
            ),
            Self::AreaCount { area, offered } => write!(
                f,
                "area {area}: Redis offers {} unit(s) fewer than are neither sold nor held: they \
                 cannot be bought",
                -offered
            ),
            Self::HolderCount { holder, counted } => write!(
                f,
                "holder {holder}: Redis counts {counted:+} unit(s) beside what is held and owned: \
                 the holder's limit is wrong by as much"
            ),
            Self::HolderHolds { holder, counted } => write!(
                f,
                "holder {holder}: Redis counts {counted:+} hold(s) beside those that are open: the \
                 holder's limit is wrong by as much"
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn of_a_hold(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::HoldNotDue { hold } => write!(
                f,
                "hold {hold} lives in Redis, but is never due: nothing ends it when it runs out"
            ),
            Self::HoldDueAt { hold, due_ms, expected_ms } => write!(
                f,
                "hold {hold} is due at {due_ms} ms in Redis instead of {expected_ms} ms: it ends \
                 at the wrong time"
            ),
            Self::DueWithoutHold { hold } => {
                write!(f, "hold {hold} is due in Redis, but no such hold lives there")
            }
            Self::Overdue { hold, due_ms } => write!(
                f,
                "hold {hold} was due at {due_ms} ms and lives still: no server's expiry job gets \
                 to it"
            ),
            Self::EndedHoldLives { hold, outcome } => write!(
                f,
                "hold {hold} has ended as {outcome}, but lives in Redis: its items are not told \
                 as {}",
                if *outcome == "confirmed" { "sold" } else { "free" }
            ),
            Self::NotJournaled { hold } => write!(
                f,
                "hold {hold} lives in Redis, but is not in the journal: it is lost if Redis is"
            ),
            Self::JournaledOtherwise { hold, what } => write!(
                f,
                "hold {hold} has another {what} in the journal than in Redis: so it comes back \
                 if Redis is lost"
            ),
            Self::MissingHold { hold } => write!(
                f,
                "hold {hold} is in the journal, but not in Redis: its items are on sale to others, \
                 and its Confirm would answer HOLD_LOST"
            ),
            Self::LostHold { hold } => write!(
                f,
                "hold {hold} is in the journal, but not in Redis: it was lost, others have of its \
                 items, and its Confirm answers HOLD_LOST"
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn of_postgres(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::NoJournalCursor => write!(
                f,
                "the event has no journal cursor in Postgres: no job looks after it; a person \
                 must look"
            ),
            Self::ConfirmedWithoutOrder { hold } => write!(
                f,
                "hold {hold} is confirmed in Postgres, but its order is gone: the holder was told \
                 that it is sold; a person must look"
            ),
            Self::OrderWithoutOutcome { order, hold } => write!(
                f,
                "order {order} is there, but hold {hold} is not confirmed by it: the hold could \
                 end in another way; a person must look"
            ),
            Self::OrderTotal { order, total_micros, tickets_micros } => write!(
                f,
                "order {order} has a total of {total_micros} micros, but its tickets sum up to \
                 {tickets_micros}: a person must look"
            ),
            Self::OrderTickets { order, what } => {
                write!(f, "order {order} {what}: a person must look")
            }
            Self::OrderMoney { order, what } => {
                write!(f, "order {order} {what}: a person must look")
            }
            Self::AreaSold { area, sold, tickets } => write!(
                f,
                "area {area}: Postgres counts {sold} sold, but there are {tickets} tickets: too \
                 much or too little can be sold; a person must look"
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn of_a_stream(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::StreamSeat { server, seat, told: None, redis } => write!(
                f,
                "{server} does not tell seat {seat}, {redis:?} in Redis: restart that server"
            ),
            Self::StreamSeat { server, seat, told: Some(told), redis } => write!(
                f,
                "{server} tells seat {seat} as {told:?}, {redis:?} in Redis: restart that server"
            ),
            Self::StreamArea { server, area, told, redis } => write!(
                f,
                "{server} tells area {area} as {told:?}, {redis:?} in Redis: restart that server"
            ),
            Self::StreamSilent { server, after } => write!(
                f,
                "{server} tells nothing after {after}, though more has changed: restart that \
                 server"
            ),
            _ => Ok(()),
        }
    }
}
