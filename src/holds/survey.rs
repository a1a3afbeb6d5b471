//! A picture of an event, taken in pieces: between them others have their turn,
//! and what changes meanwhile is read again at the end.
//!
//! Every change has an entry in the event's log, but the fence of Confirm. So what
//! no entry after the beginning names is at the end as it was read, and the picture
//! is one of the event at the last entry, as if it had been read at once.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    picture::{counted, number, pairs, seen, whole_ms},
    script::{Verb, verb},
};
use crate::{
    domain::{
        Epoch, EventId, HoldId, HoldRecord, HolderId, Position, SeatIndex,
        audit::{Counted, RedisPicture, Seen},
    },
    limits::{AUDIT_CATCH_UP_CALLS, AUDIT_PIECE},
};

static AUDIT: Verb = verb!("audit");

/// What [`Survey::go_on`] has come to.
pub enum Step {
    /// There is more to read.
    More,
    /// This one comes to nothing: the event was built anew meanwhile, or its log
    /// does not tell all that has changed.
    Lost,
    Whole(Box<RedisPicture>),
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    #[serde(flatten)]
    part: Part<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Part<'a> {
    Walk(&'static str, &'a str, usize),
    HoldIds(&'a [HoldId]),
    Changes(u64, usize, &'a [HolderId]),
}

/// What `audit.lua` answers.
#[derive(Deserialize)]
enum Answer {
    Gap,
    Piece(Piece),
}

/// Hashes are flat, names and values in turn.
#[derive(Deserialize)]
struct Piece {
    onward: String,
    seats: Vec<String>,
    holders: Vec<String>,
    holds: Vec<(HoldId, String, Option<HoldRecord>)>,
    whole: Option<Whole>,
}

/// What is small, and so is read only at the end.
#[derive(Deserialize)]
pub(super) struct Whole {
    pub now: i64,
    pub meta: Vec<String>,
    pub log_end: String,
    pub areas: Vec<String>,
}

/// What is read next.
enum Task {
    Seats {
        cursor: String,
    },
    Due {
        cursor: String,
    },
    /// Holds that have a seat, but are not due, or were not yet.
    Holds(Vec<HoldId>),
    Holders {
        cursor: String,
    },
    Changes {
        after: u64,
    },
}

/// What was read, each thing as it was read last.
#[derive(Default)]
pub(super) struct Found {
    pub seats: HashMap<SeatIndex, Seen>,
    /// Record, and when it is due: always read together.
    pub holds: HashMap<HoldId, (Option<HoldRecord>, Option<i64>)>,
    pub holders: HashMap<HolderId, Counted>,
}

/// A picture that is being taken.
pub struct Survey<'a> {
    holds: &'a Holds,
    event_id: &'a EventId,
    begun_at: Position,
    task: Task,
    found: Found,
    /// Holders whose hold has gone, which the log does not name.
    bereft: Vec<HolderId>,
    calls_to_catch_up: usize,
}

impl Holds {
    /// Begins a picture of an event; `None` where Redis does not have it.
    pub async fn survey<'a>(&'a self, event_id: &'a EventId) -> Result<Option<Survey<'a>>, Error> {
        let position = self.position(event_id).await?;
        Ok(position.map(|begun_at| Survey {
            holds: self,
            event_id,
            begun_at,
            task: Task::Seats { cursor: "0".into() },
            found: Found::default(),
            bereft: Vec::new(),
            calls_to_catch_up: 0,
        }))
    }

    /// Records of holds, ended ones included, as far as Redis has them in this
    /// epoch.
    pub async fn audit_holds(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_ids: &[HoldId],
    ) -> Result<HashMap<HoldId, HoldRecord>, Error> {
        let mut found = HashMap::new();
        for hold_ids in hold_ids.chunks(AUDIT_PIECE) {
            let request = Request { epoch, part: Part::HoldIds(hold_ids) };
            if let Reply::Done(Answer::Piece(piece)) = self.run(&AUDIT, event_id, &request).await? {
                let records = piece.holds.into_iter();
                found.extend(records.filter_map(|(hold_id, _, record)| Some((hold_id, record?))));
            }
        }
        Ok(found)
    }
}

impl Survey<'_> {
    /// Reads the next piece.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where Redis has what no script writes.
    pub async fn go_on(&mut self) -> Result<Step, Error> {
        let bereft = mem::take(&mut self.bereft);
        let part = match &self.task {
            Task::Seats { cursor } => Part::Walk("seats", cursor, AUDIT_PIECE),
            Task::Due { cursor } => Part::Walk("due", cursor, AUDIT_PIECE),
            Task::Holds(left) => Part::HoldIds(&left[..left.len().min(AUDIT_PIECE)]),
            Task::Holders { cursor } => Part::Walk("holders", cursor, AUDIT_PIECE),
            Task::Changes { after } => Part::Changes(*after, AUDIT_PIECE, &bereft),
        };
        let request = Request { epoch: self.begun_at.epoch, part };
        let answer = self.holds.run(&AUDIT, self.event_id, &request).await?;
        let Reply::Done(Answer::Piece(mut piece)) = answer else { return Ok(Step::Lost) };
        let whole = piece.whole.take();
        let onward = mem::take(&mut piece.onward);
        let newly_bereft = self.found.take(piece)?;
        if !matches!(self.task, Task::Changes { .. }) {
            // Not asked for yet.
            self.bereft = bereft;
        }
        self.bereft.extend(newly_bereft);
        self.turn_to_next(onward)?;
        match whole {
            Some(whole) if self.bereft.is_empty() => {
                Ok(Step::Whole(Box::new(mem::take(&mut self.found).picture(&whole)?)))
            }
            _ if self.calls_to_catch_up > AUDIT_CATCH_UP_CALLS => Ok(Step::Lost),
            _ => Ok(Step::More),
        }
    }

    fn turn_to_next(&mut self, onward: String) -> Result<(), Error> {
        const END: &str = "0";
        let is_through = onward == END;
        self.task = match mem::replace(&mut self.task, Task::Holds(Vec::new())) {
            Task::Seats { .. } if !is_through => Task::Seats { cursor: onward },
            Task::Seats { .. } => Task::Due { cursor: END.into() },
            Task::Due { .. } if !is_through => Task::Due { cursor: onward },
            Task::Due { .. } => Task::Holds(self.found.unread_holds()),
            Task::Holds(mut left) => Task::Holds(left.split_off(left.len().min(AUDIT_PIECE))),
            Task::Holders { .. } if !is_through => Task::Holders { cursor: onward },
            Task::Holders { .. } => Task::Changes { after: self.begun_at.seq },
            Task::Changes { .. } => {
                self.calls_to_catch_up += 1;
                Task::Changes { after: onward.parse().map_err(Error::corrupt)? }
            }
        };
        // Holders come last: where a hold is gone without a trace after its holder
        // was read, it was there all the time in which holds were read.
        if matches!(&self.task, Task::Holds(left) if left.is_empty()) {
            self.task = Task::Holders { cursor: END.into() };
        }
        Ok(())
    }
}

impl Found {
    /// Puts a piece over what was read before; answers holders of holds that are
    /// not theirs any more.
    fn take(&mut self, piece: Piece) -> Result<Vec<HolderId>, Error> {
        for (seat, value) in pairs(&piece.seats) {
            match (SeatIndex(number(seat)?), value) {
                (seat, "") => _ = self.seats.remove(&seat),
                (seat, value) => _ = self.seats.insert(seat, seen(value)?),
            }
        }
        for (holder, count) in pairs(&piece.holders) {
            match (holder.parse().map_err(Error::corrupt)?, count) {
                (holder, "") => _ = self.holders.remove(&holder),
                (holder, count) => _ = self.holders.insert(holder, counted(count)?),
            }
        }
        let mut bereft = Vec::new();
        for (hold_id, due, record) in piece.holds {
            let due = (!due.is_empty()).then(|| whole_ms(&due)).transpose()?;
            let holder_id = record.as_ref().map(|record| record.holder_id.clone());
            let before = self.holds.insert(hold_id, (record, due)).and_then(|(record, _)| record);
            let holder_before = before.map(|record| record.holder_id);
            bereft.extend(holder_before.filter(|before| Some(before) != holder_id.as_ref()));
        }
        Ok(bereft)
    }

    /// Holds that have a seat, but were not read.
    fn unread_holds(&self) -> Vec<HoldId> {
        let named: HashSet<HoldId> = self
            .seats
            .values()
            .filter_map(|seen| match seen {
                Seen::Held(hold_id) if !self.holds.contains_key(hold_id) => Some(*hold_id),
                _ => None,
            })
            .collect();
        named.into_iter().collect()
    }
}
