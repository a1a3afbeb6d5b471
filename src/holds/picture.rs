//! From what a survey has found to a picture.

use std::{collections::HashMap, str::FromStr};

use super::{
    Error,
    survey::{Found, Whole},
};
use crate::domain::{
    Epoch, HoldId, HoldRecord, HoldState, Position,
    audit::{Counted, RULES, RedisPicture, Seen},
};

impl Found {
    /// With what was read at the end.
    pub(super) fn picture(self, whole: &Whole) -> Result<RedisPicture, Error> {
        let meta: HashMap<_, _> = pairs(&whole.meta).collect();
        let text = |name: &str| meta.get(name).copied().unwrap_or_default();
        // A rule that the event was loaded without is none; so do the scripts take it.
        let value = |name: &str| meta.get(name).copied().unwrap_or("0").to_owned();
        let rule = |name: &&str| ((*name).to_owned(), value(name));
        let is_live =
            |record: &HoldRecord| matches!(record.state, HoldState::Active | HoldState::Confirming);
        let areas: HashMap<_, _> = pairs(&whole.areas).collect();
        let area = |index: usize| -> Option<Result<(i64, i64), Error>> {
            let free = areas.get(&*format!("f{index}"));
            let capacity = areas.get(&*format!("c{index}"));
            (free.is_some() || capacity.is_some()).then(|| {
                let count = |text: Option<&&str>| number(text.copied().unwrap_or("0"));
                Ok((count(free)?, count(capacity)?))
            })
        };
        let (mut holds, mut due) = (HashMap::new(), HashMap::new());
        for (hold_id, (record, due_ms)) in self.holds {
            holds.extend(record.filter(is_live).map(|record| (hold_id, record)));
            due.extend(due_ms.map(|due_ms| (hold_id, due_ms)));
        }
        Ok(RedisPicture {
            now_ms: whole.now,
            later: HashMap::new(),
            position: Position { epoch: Epoch(number(text("epoch"))?), seq: number(text("seq"))? },
            log_end: Position::parse(&whole.log_end),
            revision: number(text("revision"))?,
            seat_count: number(text("seat_count"))?,
            rules: RULES.iter().map(rule).collect(),
            seats: self.seats,
            holds,
            due,
            areas: (0..).map_while(area).collect::<Result<_, _>>()?,
            holders: self.holders,
        })
    }
}

/// Names and values; without the entry of no name, which is in every key.
pub(super) fn pairs(flat: &[String]) -> impl Iterator<Item = (&str, &str)> {
    flat.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1])).filter(|(name, _)| !name.is_empty())
}

pub(super) fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    text: &str,
) -> Result<T, Error> {
    text.parse().map_err(Error::corrupt)
}

/// A score of a sorted set, which is a float but was a whole number of ms.
#[expect(clippy::cast_possible_truncation, reason = "ms since 1970 are exact in a float")]
pub(super) fn whole_ms(score: &str) -> Result<i64, Error> {
    Ok(number::<f64>(score)? as i64)
}

/// As `counts_of` in `prelude.lua`.
pub(super) fn counted(text: &str) -> Result<Counted, Error> {
    const ONE_HOLD: i64 = 1 << 32;
    let count: i64 = number(text)?;
    let holds = count.saturating_add(ONE_HOLD / 2).div_euclid(ONE_HOLD);
    Ok(Counted { units: count - holds * ONE_HOLD, holds })
}

fn hold_id_of(text: &str) -> Result<HoldId, Error> {
    uuid::Uuid::try_parse(text).map(HoldId).map_err(Error::corrupt)
}

pub(super) fn seen(value: &str) -> Result<Seen, Error> {
    match value.split_at_checked(1) {
        Some(("H", hold_id)) => Ok(Seen::Held(hold_id_of(hold_id)?)),
        Some(("S", hold_id)) => Ok(Seen::Sold(hold_id_of(hold_id)?)),
        Some(("B", "")) => Ok(Seen::Blocked),
        _ => Err(Error::corrupt("a seat has a value that is none")),
    }
}
