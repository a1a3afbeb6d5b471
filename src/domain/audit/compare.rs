//! The comparison: from pictures to differences.

use std::collections::{HashMap, HashSet};

use super::{
    Difference, House, PostgresPicture, RecentSale, RedisPicture, Seen, pictures::is_live,
};
use crate::domain::{
    AreaIndex, Chart, HoldId, HoldRecord, HoldState, HolderId, Outcome, SeatIndex,
};
use crate::limits::{AUDIT_OVERDUE, CONFIRMING_GRACE};

struct Comparison<'a> {
    redis: &'a RedisPicture,
    postgres: &'a PostgresPicture,
    chart: &'a Chart,
    /// Recent sales whose holds were made only after Redis' picture.
    later: Vec<&'a RecentSale>,
    /// All recent sales.
    recent: HashSet<HoldId>,
    found: Vec<Difference>,
}

/// What differs between Redis, as it was, and Postgres, as it was a moment
/// later.
///
/// Seats, areas and holders are told exactly, whatever goes on meanwhile. Of
/// the rest some differ for a moment in health: what a second look finds
/// again is wrong.
pub fn compare(
    redis: Option<&RedisPicture>,
    postgres: &PostgresPicture,
    chart: &Chart,
) -> Vec<Difference> {
    let mut own = postgres.own.clone();
    if postgres.is_active && postgres.cursor.is_none() {
        own.push(Difference::NoJournalCursor);
    }
    let Some(redis) = redis else {
        if postgres.is_active {
            own.push(Difference::NotLoaded);
        }
        return own;
    };
    if redis.position.epoch != postgres.epoch {
        let (redis, postgres) = (redis.position.epoch, postgres.epoch);
        own.push(Difference::OtherEpoch { redis, postgres });
        return own;
    }
    let mut seen = redis.clone();
    // A hold that is neither due nor on any seat is found by the journal only.
    for (hold_id, record) in &redis.later {
        if is_live(record) && record.created_ms < redis.now_ms {
            seen.holds.entry(*hold_id).or_insert_with(|| record.clone());
        }
    }
    let is_later = |sale: &&RecentSale| was_made_later(redis, sale.hold_id);
    let mut comparison = Comparison {
        redis: &seen,
        postgres,
        chart,
        later: postgres.recent.iter().filter(is_later).collect(),
        recent: postgres.recent.iter().map(|sale| sale.hold_id).collect(),
        found: own,
    };
    comparison.event();
    comparison.seats();
    comparison.holds();
    comparison.due();
    comparison.journal();
    comparison.areas();
    comparison.holders();
    if postgres.gives_back {
        comparison.found.retain(|difference| !difference.may_come_back());
    }
    comparison.found
}

/// Whether a sold hold was made after Redis' picture. Redis forgets a sold hold
/// only after a while, or when it is rebuilt from the sales.
fn was_made_later(redis: &RedisPicture, hold: HoldId) -> bool {
    let is_there = redis.holds.contains_key(&hold);
    !is_there && redis.later.get(&hold).is_some_and(|record| record.created_ms >= redis.now_ms)
}

impl Comparison<'_> {
    fn seat_name(&self, seat: SeatIndex) -> String {
        match self.chart.seat_id(seat) {
            Some(seat_id) => seat_id.to_string(),
            None => format!("number {}", seat.0),
        }
    }

    fn area_name(&self, area: usize) -> String {
        let index = AreaIndex(u32::try_from(area).unwrap_or(u32::MAX));
        match self.chart.area_id(index) {
            Some(area_id) => area_id.to_string(),
            None => format!("number {area}"),
        }
    }

    /// Whether a hold was sold so lately that Redis need not know it.
    fn is_under_way(&self, hold: HoldId) -> bool {
        self.recent.contains(&hold)
            && (self.redis.holds.contains_key(&hold) || was_made_later(self.redis, hold))
    }

    /// The holds that have their items beside all that Postgres has as sold.
    fn unsold(&self) -> impl Iterator<Item = &HoldRecord> {
        let is_sold =
            |hold| matches!(self.postgres.outcomes.get(hold), Some(Outcome::Confirmed(_)));
        let holds = self.redis.holds.iter().filter(move |(hold, _)| !is_sold(*hold));
        holds.map(|(_, record)| record)
    }

    fn event(&mut self) {
        let (redis, postgres) = (self.redis, self.postgres);
        if redis.log_end != Some(redis.position) {
            self.found.push(Difference::LogEnd { log: redis.log_end, position: redis.position });
        }
        let counts = |revision: u64, seats: usize| {
            [("revision", revision.to_string()), ("seat_count", seats.to_string())]
        };
        let pairs = counts(redis.revision, redis.seat_count)
            .into_iter()
            .zip(counts(postgres.revision, postgres.seat_count))
            .map(|((name, redis), (_, postgres))| (name.to_owned(), redis, postgres));
        let rules = redis.rules.iter().zip(&postgres.rules);
        let rules = rules.map(|((name, a), (_, b))| (name.clone(), a.clone(), b.clone()));
        for (name, redis, postgres) in pairs.chain(rules) {
            if redis != postgres {
                self.found.push(Difference::Rule { name, redis, postgres });
            }
        }
        if let Some(at) = postgres.cursor.filter(|at| postgres.is_active && *at < redis.position) {
            self.found.push(Difference::JournalStands { at });
        }
    }

    fn seats(&mut self) {
        let (redis, postgres) = (self.redis, self.postgres);
        let all: HashSet<SeatIndex> = redis
            .seats
            .keys()
            .chain(postgres.sold.keys())
            .chain(&postgres.blocked)
            .copied()
            .collect();
        for seat in all {
            let (seen, owner) = (redis.seat(seat), postgres.sold.get(&seat).copied());
            let name = || self.seat_name(seat);
            let difference = match (owner, seen) {
                (Some(hold), Seen::Sold(by)) if by == hold => None,
                (Some(hold), _) if self.is_under_way(hold) => None,
                (Some(hold), redis) => Some(Difference::SoldSeat { seat: name(), hold, redis }),
                (None, Seen::Sold(hold)) => {
                    Some(Difference::SoldWithoutTicket { seat: name(), hold })
                }
                (None, seen) => match (postgres.blocked.contains(&seat), seen) {
                    (true, Seen::Blocked) | (false, Seen::Free | Seen::Held(_)) => None,
                    (false, _) => Some(Difference::BlockedInRedis { seat: name() }),
                    (true, redis) => Some(Difference::BlockedSeat { seat: name(), redis }),
                },
            };
            self.found.extend(difference);
        }
    }

    /// Redis with itself: seats, and the holds that have them.
    fn holds(&mut self) {
        let redis = self.redis;
        let mut listed = HashSet::new();
        for (&hold, record) in &redis.holds {
            for &seat in &record.seats {
                match redis.seat(seat) {
                    Seen::Held(by) if by == hold => _ = listed.insert(seat),
                    seen => {
                        let seat = self.seat_name(seat);
                        self.found.push(Difference::HoldWithoutSeat { hold, seat, redis: seen });
                    }
                }
            }
        }
        for (&seat, seen) in &redis.seats {
            if let Seen::Held(hold) = *seen
                && !listed.contains(&seat)
            {
                self.found.push(Difference::SeatWithoutHold { seat: self.seat_name(seat), hold });
            }
        }
    }

    fn due(&mut self) {
        let redis = self.redis;
        let to_ms = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        for (&hold, record) in &redis.holds {
            let expected_ms = match record.state {
                HoldState::Confirming => record.expires_ms + to_ms(CONFIRMING_GRACE),
                _ => record.expires_ms,
            };
            match redis.due.get(&hold) {
                None => self.found.push(Difference::HoldNotDue { hold }),
                Some(&due_ms) if due_ms != expected_ms => {
                    self.found.push(Difference::HoldDueAt { hold, due_ms, expected_ms });
                }
                Some(&due_ms) if due_ms + to_ms(AUDIT_OVERDUE) < redis.now_ms => {
                    self.found.push(Difference::Overdue { hold, due_ms });
                }
                Some(_) => {}
            }
        }
        let gone = redis.due.keys().filter(|hold| !redis.holds.contains_key(hold));
        self.found.extend(gone.map(|&hold| Difference::DueWithoutHold { hold }));
    }

    fn journal(&mut self) {
        let (redis, postgres) = (self.redis, self.postgres);
        for (&hold, record) in &redis.holds {
            match postgres.outcomes.get(&hold) {
                Some(_) if self.recent.contains(&hold) => {}
                Some(outcome) => {
                    let outcome = outcome.name();
                    self.found.push(Difference::EndedHoldLives { hold, outcome });
                }
                None => self.found.extend(match postgres.journal.get(&hold) {
                    None => Some(Difference::NotJournaled { hold }),
                    Some(row) => otherwise(record, &row.record)
                        .map(|what| Difference::JournaledOtherwise { hold, what }),
                }),
            }
        }
        let lost = postgres
            .journal
            .iter()
            .filter(|(hold, row)| row.is_live && !redis.holds.contains_key(hold));
        let lost: Vec<_> = lost
            .map(|(&hold, row)| match self.is_to_be_had(hold, &row.record) {
                true => Difference::MissingHold { hold },
                false => Difference::LostHold { hold },
            })
            .collect();
        self.found.extend(lost);
    }

    /// Whether nobody else has any of a hold's items.
    fn is_to_be_had(&self, id: HoldId, hold: &HoldRecord) -> bool {
        let nobodys = |seen: Seen| matches!(seen, Seen::Free) || seen == Seen::Held(id);
        let free = |area: AreaIndex| self.redis.areas.get(area.0 as usize).map_or(0, |area| area.0);
        hold.seats.iter().all(|&seat| nobodys(self.redis.seat(seat)))
            && hold.areas.iter().all(|part| free(part.area) >= i64::from(part.quantity))
    }

    fn areas(&mut self) {
        let (redis, postgres) = (self.redis, self.postgres);
        for (index, book) in postgres.areas.iter().enumerate() {
            let (free, capacity) = redis.areas.get(index).copied().unwrap_or_default();
            if capacity != i64::from(book.capacity) {
                let (area, postgres) = (self.area_name(index), book.capacity);
                self.found.push(Difference::AreaCapacity { area, redis: capacity, postgres });
            }
            let units_of = |parts: &[(AreaIndex, u32)]| -> i64 {
                let parts = parts.iter().filter(|(area, _)| area.0 as usize == index);
                parts.map(|&(_, units)| i64::from(units)).sum()
            };
            let held: i64 = self
                .unsold()
                .flat_map(|record| &record.areas)
                .filter(|part| part.area.0 as usize == index)
                .map(|part| i64::from(part.quantity))
                .sum();
            let later: i64 = self.later.iter().map(|sale| units_of(&sale.areas)).sum();
            let offered = free - (capacity - (i64::from(book.tickets) - later) - held);
            if offered != 0 {
                self.found.push(Difference::AreaCount { area: self.area_name(index), offered });
            }
        }
    }

    fn holders(&mut self) {
        let (redis, postgres) = (self.redis, self.postgres);
        let mut used: HashMap<&HolderId, i64> = HashMap::new();
        for record in self.unsold() {
            *used.entry(&record.holder_id).or_default() += i64::from(record.units());
        }
        for (holder, &units) in &postgres.owned {
            *used.entry(holder).or_default() += i64::from(units);
        }
        for sale in &self.later {
            *used.entry(&sale.holder_id).or_default() -= i64::from(sale.units);
        }
        let mut open: HashMap<&HolderId, i64> = HashMap::new();
        for record in redis.holds.values().filter(|_| redis.counts_holds()) {
            *open.entry(&record.holder_id).or_default() += 1;
        }
        let mut miscounted = Vec::new();
        let counted = redis.holders.keys();
        let all = counted.chain(used.keys().copied()).chain(open.keys().copied());
        let all: HashSet<&HolderId> = all.collect();
        for holder in all {
            let of = |counts: &HashMap<&HolderId, i64>| counts.get(holder).copied().unwrap_or(0);
            let counted = redis.holders.get(holder).copied().unwrap_or_default();
            let (units, holds) = (counted.units - of(&used), counted.holds - of(&open));
            let holder = holder.to_string();
            if units != 0 {
                let holder = holder.clone();
                miscounted.push(Difference::HolderCount { holder, counted: units });
            }
            if holds != 0 {
                miscounted.push(Difference::HolderHolds { holder, counted: holds });
            }
        }
        self.found.extend(miscounted);
    }
}

/// In what the journal has a hold otherwise.
fn otherwise(redis: &HoldRecord, journal: &HoldRecord) -> Option<&'static str> {
    [
        ("holder", redis.holder_id == journal.holder_id),
        ("content", redis.fingerprint == journal.fingerprint),
        ("expiry", redis.expires_ms == journal.expires_ms),
        ("list of seats", redis.seats == journal.seats),
        ("list of area units", redis.areas == journal.areas),
    ]
    .into_iter()
    .find_map(|(what, same)| (!same).then_some(what))
}

/// What a server's stream tells otherwise than Redis has it at the same
/// position.
pub fn compare_stream(server: &str, told: &House, redis: &House) -> Vec<Difference> {
    let mut found = Vec::new();
    for (seat, &status) in &redis.seats {
        let told = told.seats.get(seat).copied();
        if told != Some(status) {
            let (server, seat) = (server.to_owned(), seat.clone());
            found.push(Difference::StreamSeat { server, seat, told, redis: status });
        }
    }
    for (area, &state) in &redis.areas {
        let told = told.areas.get(area).copied();
        if told != Some(state) {
            let (server, area) = (server.to_owned(), area.clone());
            found.push(Difference::StreamArea { server, area, told, redis: state });
        }
    }
    found
}
