//! I3: from the answer of a Hold until its expiry, release or outcome, no other
//! Hold of its seats is answered OK, and it is not denied itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    checker::{
        Told,
        facts::{Facts, hold, holder_id, is_held, no, order_seats, proof},
        verdict::{Promise, Violation},
    },
    history::{Call, Hold, Operation},
};

/// Within an epoch, and wherever the log tells, it is decided by the log's own
/// order and clock; else by real time.
pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let mut broken = event.replay.broken(Promise::Exclusion);
    let promised: Vec<Promised> =
        facts.hold_ids().iter().filter_map(|id| Promised::of(event, id)).collect();
    broken.extend(held_by_two(facts, &promised));
    for one in &promised {
        let calls = facts.calls_of(&one.hold.hold_id).iter();
        broken.extend(calls.filter_map(|call| denied(facts, one, call)));
    }
    broken
}

/// A hold that was answered OK, and made once only.
struct Promised<'a> {
    hold: &'a Hold,
    /// The first call that was answered with it.
    call: &'a Call,
    /// Before this it cannot have been made.
    start_us: u64,
    /// From here on it was its holder's.
    from_us: u64,
    /// The earliest expiry that it ever had; `None` where that is not known.
    expire_ms: Option<i64>,
}

impl<'a> Promised<'a> {
    fn of(event: &Told<'a>, hold_id: &str) -> Option<Self> {
        let calls = event.facts.calls_of(hold_id);
        let held = || calls.iter().filter(|call| is_held(call));
        let call = held().min_by_key(|call| call.end_us)?;
        let told: Vec<&Hold> = calls.iter().filter_map(|call| hold(call)).collect();
        let mut made_ms: BTreeSet<i64> = told.iter().map(|hold| hold.create_ms).collect();
        made_ms.extend(event.facts.made_last_ms(hold_id));
        if made_ms.len() > 1 {
            return None;
        }
        let is_open = |call: &&&Call| {
            let extends = matches!(call.operation, Operation::ExtendHold { .. });
            extends && event.facts.may_have_changed(call) && hold(call).is_none()
        };
        let starts = calls.iter().filter(|c| matches!(c.operation, Operation::Hold { .. }));
        Some(Self {
            hold: hold(call)?,
            call,
            start_us: starts.map(|call| call.start_us).min()?,
            from_us: call.end_us,
            expire_ms: match calls.iter().find(is_open) {
                Some(_) => None,
                None => told.iter().map(|hold| hold.expire_ms).min(),
            },
        })
    }

    /// Until when the seat was certainly this hold's, in real time.
    fn until_us(&self, facts: &Facts<'a>, seat: &str) -> u64 {
        let id = &self.hold.hold_id;
        let is_sold =
            facts.order_of(id).is_some_and(|order| order_seats(order).any(|sold| sold == seat));
        if is_sold {
            return u64::MAX;
        }
        if facts.may_be_released(id, u64::MAX) {
            return 0;
        }
        // Whoever changed it later found it alive.
        let found = facts.calls_of(id).iter().filter(|call| {
            let changes = matches!(call.operation, Operation::ExtendHold { .. });
            changes && hold(call).is_some()
        });
        found.map(|call| call.start_us).max().unwrap_or(0)
    }

    /// Whether its time had certainly not come when the call was answered.
    fn lives_at(&self, facts: &Facts<'a>, at_us: u64) -> bool {
        match (facts.clock, self.expire_ms) {
            (Some(clock), Some(expire_ms)) => clock.is_before(at_us, expire_ms),
            _ => false,
        }
    }
}

/// Two holds of a seat, the whole call for one of which lies where the seat was
/// certainly the other's.
fn held_by_two(facts: &Facts<'_>, promised: &[Promised<'_>]) -> Vec<Violation> {
    let mut of_seat: BTreeMap<&str, Vec<&Promised>> = BTreeMap::new();
    for one in promised {
        for seat in &one.hold.items.seat_ids {
            of_seat.entry(seat).or_default().push(one);
        }
    }
    let mut broken = Vec::new();
    for (seat, mut holds) in of_seat {
        let mut by_answer = holds.clone();
        by_answer.sort_by_key(|one| one.from_us);
        holds.sort_by_key(|one| one.start_us);
        let mut answered = by_answer.into_iter().peekable();
        let mut longest: Option<(u64, &Promised)> = None;
        let mut last: Option<&Promised> = None;
        for other in holds {
            while let Some(one) = answered.next_if(|one| one.from_us < other.start_us) {
                let until_us = one.until_us(facts, seat);
                if longest.is_none_or(|(longest_us, _)| until_us > longest_us) {
                    longest = Some((until_us, one));
                }
                last = Some(one);
            }
            let sure = longest.filter(|(until_us, one)| {
                let is_sold = *until_us == u64::MAX;
                let lasts = is_sold || facts.must_last(one.start_us, other.from_us);
                other.from_us < *until_us && lasts
            });
            let by_clock = last.filter(|one| {
                let id = &one.hold.hold_id;
                one.lives_at(facts, other.from_us)
                    && !facts.may_be_released(id, other.from_us)
                    && facts.must_last(one.start_us, other.from_us)
            });
            if let Some(one) = sure.map(|(_, one)| one).or(by_clock) {
                let what = format!("seat {seat} was promised to two holds at once");
                let proofs = [proof(one.call), proof(other.call)];
                broken.push(facts.broken(Promise::Exclusion, what, proofs));
            }
        }
    }
    broken
}

/// A no to the holder of a hold that lives.
fn denied(facts: &Facts<'_>, one: &Promised<'_>, call: &Call) -> Option<Violation> {
    let is_holder = holder_id(call).is_none_or(|holder| holder == one.hold.holder_id);
    if call.start_us <= one.from_us || !is_holder {
        return None;
    }
    let state = hold(call).map(|hold| hold.state.as_str());
    let lives = one.lives_at(facts, call.end_us);
    let what = match (no(call), state) {
        (Some("HOLD_NOT_FOUND"), _) if facts.must_last(one.start_us, call.end_us) => {
            "a hold that was answered is not there"
        }
        (Some("HOLD_LOST"), _) | (_, Some("LOST"))
            if lives && facts.must_last(one.start_us, call.end_us) =>
        {
            "a hold was lost that had to last"
        }
        (Some("HOLD_EXPIRED"), _) | (_, Some("EXPIRED")) if lives => {
            "a hold is called expired before its time"
        }
        _ => return None,
    };
    Some(facts.broken(Promise::Exclusion, what, [proof(one.call), proof(call)]))
}
