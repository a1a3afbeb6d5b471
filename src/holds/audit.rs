//! What an audit reads, and how it has an event built anew.

use std::{collections::HashMap, str::FromStr, time::Duration};

use deadpool_redis::redis::cmd;
use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply, keys,
    script::{Verb, verb},
};
use crate::domain::{
    Epoch, EventId, HoldId, HoldRecord, HoldState, Position, SeatIndex,
    audit::{RULES, RedisPicture, Seen},
};
use crate::limits::RECONCILE_PERIOD;

static AUDIT: Verb = verb!("audit");
static AUDIT_HOLDS: Verb = verb!("audit_holds");

/// Holds that one script call reads.
const PAGE: usize = 1_000;

#[derive(Serialize)]
struct Request {}

#[derive(Serialize)]
struct HoldsRequest<'a> {
    epoch: Epoch,
    hold_ids: &'a [HoldId],
}

/// What `audit.lua` answers: hashes flat, names and values in turn.
#[derive(Deserialize)]
struct Answer {
    now: i64,
    meta: Vec<String>,
    log_end: String,
    seats: Vec<String>,
    due: Vec<String>,
    areas: Vec<String>,
    holders: Vec<String>,
    records: Vec<(HoldId, HoldRecord)>,
}

impl Holds {
    /// All that Redis has of an event, at one position; `None` where it does
    /// not have it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it has what no script writes.
    pub async fn audit(&self, event_id: &EventId) -> Result<Option<RedisPicture>, Error> {
        match self.run::<Answer>(&AUDIT, event_id, &Request {}).await? {
            Reply::Done(answer) => answer.picture().map(Some),
            Reply::NotLoaded | Reply::Epoch(_) => Ok(None),
        }
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
        for hold_ids in hold_ids.chunks(PAGE) {
            let request = HoldsRequest { epoch, hold_ids };
            let page = self.run::<Vec<_>>(&AUDIT_HOLDS, event_id, &request).await?;
            if let Reply::Done(page) = page {
                found.extend(page);
            }
        }
        Ok(found)
    }

    /// Takes an event's turn to be compared in the background; answers whether
    /// nobody has it. Where the answer is lost, this turn is.
    pub async fn take_reconcile_turn(&self, event_id: &EventId) -> Result<bool, Error> {
        let mut set = cmd("SET");
        // A little less, or every other run would find the turn taken.
        let period = RECONCILE_PERIOD * 5 / 6;
        set.arg(keys::reconciled(event_id)).arg(1).arg("NX").arg("PX").arg(millis(period));
        let taken: Option<String> = self.links.query(event_id.as_str(), &set).await?;
        Ok(taken.is_some())
    }

    /// Keeps the turn that was taken for so many periods: Redis does nothing else
    /// while it tells all that it has of a big event.
    pub async fn keep_reconcile_turn(&self, event_id: &EventId, periods: u32) -> Result<(), Error> {
        let mut keep = cmd("PEXPIRE");
        keep.arg(keys::reconciled(event_id)).arg(millis(RECONCILE_PERIOD * periods));
        self.links.query(event_id.as_str(), &keep).await
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Answer {
    fn picture(self) -> Result<RedisPicture, Error> {
        let meta: HashMap<_, _> = pairs(&self.meta).collect();
        let text = |name: &str| meta.get(name).copied().unwrap_or_default();
        let rule = |name: &&str| ((*name).to_owned(), text(name).to_owned());
        let is_live =
            |record: &HoldRecord| matches!(record.state, HoldState::Active | HoldState::Confirming);
        let areas: HashMap<_, _> = pairs(&self.areas).collect();
        let area = |index: usize| -> Option<Result<(i64, i64), Error>> {
            let free = areas.get(&*format!("f{index}"));
            let capacity = areas.get(&*format!("c{index}"));
            (free.is_some() || capacity.is_some()).then(|| {
                let count = |text: Option<&&str>| number(text.copied().unwrap_or("0"));
                Ok((count(free)?, count(capacity)?))
            })
        };
        Ok(RedisPicture {
            now_ms: self.now,
            later: HashMap::new(),
            position: Position { epoch: Epoch(number(text("epoch"))?), seq: number(text("seq"))? },
            log_end: Position::parse(&self.log_end),
            revision: number(text("revision"))?,
            seat_count: number(text("seat_count"))?,
            rules: RULES.iter().map(rule).collect(),
            seats: pairs(&self.seats)
                .map(|(seat, value)| Ok((SeatIndex(number(seat)?), seen(value)?)))
                .collect::<Result<_, Error>>()?,
            holds: self.records.into_iter().filter(|(_, record)| is_live(record)).collect(),
            due: pairs(&self.due)
                .map(|(hold_id, score)| Ok((hold_id_of(hold_id)?, whole(score)?)))
                .collect::<Result<_, Error>>()?,
            areas: (0..).map_while(area).collect::<Result<_, _>>()?,
            holders: pairs(&self.holders)
                .map(|(holder, units)| {
                    Ok((holder.parse().map_err(Error::corrupt)?, number(units)?))
                })
                .collect::<Result<_, Error>>()?,
        })
    }
}

/// Names and values; without the entry of no name, which is in every key.
fn pairs(flat: &[String]) -> impl Iterator<Item = (&str, &str)> {
    flat.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1])).filter(|(name, _)| !name.is_empty())
}

fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    text: &str,
) -> Result<T, Error> {
    text.parse().map_err(Error::corrupt)
}

/// A score of a sorted set, which is a float but was a whole number of ms.
#[expect(clippy::cast_possible_truncation, reason = "ms since 1970 are exact in a float")]
fn whole(score: &str) -> Result<i64, Error> {
    Ok(number::<f64>(score)? as i64)
}

fn hold_id_of(text: &str) -> Result<HoldId, Error> {
    uuid::Uuid::try_parse(text).map(HoldId).map_err(Error::corrupt)
}

fn seen(value: &str) -> Result<Seen, Error> {
    match value.split_at_checked(1) {
        Some(("H", hold_id)) => Ok(Seen::Held(hold_id_of(hold_id)?)),
        Some(("S", hold_id)) => Ok(Seen::Sold(hold_id_of(hold_id)?)),
        Some(("B", "")) => Ok(Seen::Blocked),
        _ => Err(Error::corrupt("a seat has a value that is none")),
    }
}
