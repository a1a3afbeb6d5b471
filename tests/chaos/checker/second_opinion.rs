//! A second opinion, by a linearizability checker that is not ours: seat by
//! seat, between two moments at which the seat was certainly free, with nothing
//! known but who held it, gave it back, bought it, or was told that it is taken.

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::{
    Told,
    facts::{asked, hold, hold_id, is_held, no, order, order_seats, proof},
    free::{Free, Span},
    verdict::{Promise, Violation},
};
use crate::history::{Answer, Call};

/// The checker tries orders one by one: more operations take too long.
const MAX_OPERATIONS: usize = 9;
/// Samples of one run.
const MAX_SAMPLES: usize = 20_000;

/// A seat, as a single thread would see it.
#[derive(Debug, Clone, Default)]
struct Seat<'a> {
    owner: Option<&'a str>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Hold(&'a str),
    Free(&'a str),
    Sell(&'a str),
}

impl<'a> SequentialSpec for Seat<'a> {
    type Op = Step<'a>;
    /// Whether it was done.
    type Ret = bool;

    fn invoke(&mut self, step: &Step<'a>) -> bool {
        match *step {
            Step::Hold(hold) => *self.owner.get_or_insert(hold) == hold,
            Step::Free(hold) => self.owner.take_if(|owner| *owner == hold).is_some(),
            Step::Sell(hold) => self.owner == Some(hold),
        }
    }
}

/// A step, when it may have been taken, and what it came to.
#[derive(Debug, Clone)]
struct Taken<'a> {
    step: Step<'a>,
    is_done: bool,
    start_us: u64,
    end_us: u64,
    proof: String,
}

pub struct Opinion {
    pub violations: Vec<Violation>,
    pub note: String,
}

pub fn of_all(events: &[Told<'_>]) -> Opinion {
    let (mut violations, mut samples, mut steps) = (Vec::new(), 0, 0);
    for event in events {
        let free = Free::of(event);
        for seat in &event.facts.event.seat_ids {
            let cuts = cuts(event, seat, free.spans_of(seat));
            for pair in cuts.windows(2).filter(|pair| pair[0].1 == pair[1].1) {
                let [(from_us, epoch), (to_us, _)] = *pair else { continue };
                let sample = Sample { from_us, to_us, epoch };
                let Some(taken) = taken(event, seat, sample) else { continue };
                if taken.len() < 2 || taken.len() > MAX_OPERATIONS || samples == MAX_SAMPLES {
                    continue;
                }
                (samples, steps) = (samples + 1, steps + taken.len());
                if !is_linearizable(&taken) {
                    let what = format!("no order of what happened to seat {seat} explains it");
                    let proof = taken.into_iter().map(|taken| taken.proof);
                    violations.push(event.facts.broken(Promise::Exclusion, what, proof));
                }
            }
        }
    }
    let note = format!("second opinion: {samples} samples of {steps} operations");
    Opinion { violations, note }
}

/// Moments at which the seat was free and no call was about it, with the epoch.
/// After the last one there is the end.
fn cuts(event: &Told<'_>, seat: &str, spans: &[Span]) -> Vec<(u64, u64)> {
    let about: Vec<&Call> =
        event.facts.calls.iter().copied().filter(|call| is_about(call, seat)).collect();
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| span.from_us);
    let mut cuts = Vec::new();
    for span in &spans {
        let ends = about.iter().map(|call| call.end_us + 1);
        let moments =
            ends.chain([span.from_us]).filter(|at| span.from_us <= *at && *at < span.to_us);
        let is_calm = |at: &u64| about.iter().all(|call| call.end_us < *at || *at < call.start_us);
        if let Some(at) = moments.filter(is_calm).min() {
            cuts.push((at, span.epoch));
        }
    }
    if let Some(&(_, epoch)) = cuts.last() {
        let last = event.facts.log.last().filter(|last| last.at.epoch == epoch);
        cuts.extend(last.map(|_| (u64::MAX, epoch)));
    }
    cuts
}

fn is_about(call: &Call, seat: &str) -> bool {
    let holds = asked(call).is_some_and(|items| items.seat_ids.iter().any(|id| id == seat));
    holds || order(call).is_some_and(|order| order_seats(order).any(|id| id == seat))
}

/// The time between two cuts.
#[derive(Clone, Copy)]
struct Sample {
    from_us: u64,
    to_us: u64,
    epoch: u64,
}

impl Sample {
    fn has(&self, start_us: u64, end_us: u64) -> bool {
        self.from_us <= start_us && end_us <= self.to_us
    }
}

/// All that happened to the seat between two cuts; `None` where that is not
/// certain. What the log has was done before it was read, so an answer that is
/// not known does not matter.
fn taken<'a>(event: &Told<'a>, seat: &str, sample: Sample) -> Option<Vec<Taken<'a>>> {
    let facts = &event.facts;
    let last_us = facts.calls.iter().map(|call| call.end_us).max().unwrap_or_default();
    // Two Redis at a time, each with its own answers, are no register.
    if !facts.has_one_redis(sample.from_us, sample.to_us.min(last_us)) {
        return None;
    }
    let mut taken = Vec::new();
    for life in event.replay.lives.iter().filter(|life| life.made.at.epoch == sample.epoch) {
        let hold_id = life.hold.hold_id.as_str();
        let mut made = life.made.log.holds.iter().filter(|hold| hold.hold_id == hold_id);
        if !made.any(|hold| hold.items.seat_ids.iter().any(|id| id == seat)) {
            continue;
        }
        if !life.is_whole() {
            return None;
        }
        let calls = || facts.calls_of(hold_id).iter().filter(|call| asked(call).is_some());
        let start_us = calls().map(|call| call.start_us).min()?;
        let made_us = life.made.log.at_us;
        if start_us < sample.from_us && sample.from_us < made_us {
            return None;
        }
        if !sample.has(start_us, made_us) {
            continue;
        }
        let step = |step, end_us, proof| Taken { step, is_done: true, start_us, end_us, proof };
        taken.push(step(Step::Hold(hold_id), made_us, life.made.proof()));
        // The same Hold again finds it.
        for call in calls().filter(|call| is_held(call) && sample.has(made_us, call.end_us)) {
            let told = hold(call).filter(|hold| hold.state == "ACTIVE");
            let has_it = told.is_some_and(|hold| hold.items.seat_ids.iter().any(|id| id == seat));
            if has_it && call.start_us > made_us {
                taken.push(of_call(call, Step::Hold(hold_id), true));
            }
        }
        // Given back in part or as a whole; a seat sold never is, but by a hold that
        // was undone and made again before its sale.
        let is_made_again =
            event.replay.lives.iter().any(|other| {
                other.hold.hold_id == life.hold.hold_id && other.made.at > life.made.at
            });
        let is_sold = facts.order_of_seat(seat).is_some_and(|order| order.hold_id == hold_id);
        if is_made_again || !is_sold {
            let end_us = life.ended.map_or(u64::MAX, |ended| ended.log.at_us);
            let proof = life.ended.map_or_else(|| "the end".into(), |ended| ended.proof());
            taken.push(step(Step::Free(hold_id), end_us, proof));
        }
    }
    for call in facts.calls.iter().filter(|call| sample.has(call.start_us, call.end_us)) {
        let id = hold_id(call).unwrap_or_default();
        if order(call).is_some() && is_about(call, seat) {
            taken.push(of_call(call, Step::Sell(id), true));
        } else if let (Some("SEAT_UNAVAILABLE"), Answer::No { named, .. }) =
            (no(call), &call.answer)
            && named.iter().any(|named| named == seat)
        {
            taken.push(of_call(call, Step::Hold(id), false));
        }
    }
    Some(taken)
}

fn of_call<'a>(call: &Call, step: Step<'a>, is_done: bool) -> Taken<'a> {
    let (start_us, end_us) = (call.start_us, call.end_us);
    Taken { step, is_done, start_us, end_us, proof: proof(call) }
}

fn is_linearizable(taken: &[Taken<'_>]) -> bool {
    let mut tester = LinearizabilityTester::new(Seat::default());
    // At one moment everything begins before anything ends: then it overlaps.
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (i, taken) in taken.iter().enumerate() {
        moments.push((taken.start_us, false, i));
        if taken.end_us != u64::MAX {
            moments.push((taken.end_us, true, i));
        }
    }
    moments.sort_unstable();
    let told = moments.into_iter().all(|(_, ends, i)| match ends {
        false => tester.on_invoke(i, taken[i].step).is_ok(),
        true => tester.on_return(i, taken[i].is_done).is_ok(),
    });
    !told || tester.is_consistent()
}
