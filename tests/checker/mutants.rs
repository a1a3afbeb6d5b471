//! Histories of a house that keeps its promises, changed in one place: found.

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};
use rstest::rstest;

use crate::{
    checker,
    history::{Answer, Final, Line, Log, Message, Order, Status},
    simulator,
};

/// How many places each change must be found in.
const PLACES: usize = 60;

/// Changes the history in some place; whether there was one. What it breaks must
/// be known for sure there: not beyond a part of the log that was lost.
type Mutate = fn(&mut Vec<Line>, usize) -> bool;

/// One of the lines that something can be done with.
fn pick<'l, T>(
    lines: &'l mut [Line],
    place: usize,
    choose: impl Fn(&'l mut Line) -> Option<T>,
) -> Option<T> {
    let mut found: Vec<T> = lines.iter_mut().filter_map(choose).collect();
    let count = found.len();
    (count > 0).then(|| found.swap_remove(place % count))
}

fn rest(lines: &mut [Line]) -> &mut Final {
    pick(lines, 0, |line| if let Line::Final(rest) = line { Some(rest) } else { None }).unwrap()
}

fn sold(lines: &mut [Line], place: usize) -> Option<Order> {
    pick(lines, place, |line| match line {
        Line::Call(call) => match &call.answer {
            Answer::Order(order) => Some(order.clone()),
            _ => None,
        },
        _ => None,
    })
}

/// Entries with one before and one after them in their epoch.
fn entry(lines: &mut [Line], place: usize, which: fn(&Log) -> bool) -> Option<&mut Log> {
    let mut last = std::collections::BTreeMap::new();
    for line in &*lines {
        if let Line::Log(log) = line {
            last.insert(log.epoch, log.seq);
        }
    }
    pick(lines, place, |line| match line {
        Line::Log(log) if log.seq > 0 && log.seq < last[&log.epoch] && which(log) => Some(log),
        _ => None,
    })
}

fn drop_an_order(lines: &mut Vec<Line>, place: usize) -> bool {
    let Some(order) = sold(lines, place) else { return false };
    rest(lines).orders.retain(|kept| kept.order_id != order.order_id);
    true
}

fn sell_a_seat_again(lines: &mut Vec<Line>, place: usize) -> bool {
    let Some(order) = sold(lines, place).filter(|o| o.tickets[0].seat_id.is_some()) else {
        return false;
    };
    let other = |text: &str| format!("{text}-again");
    let again = Order {
        order_id: other(&order.order_id),
        hold_id: other(&order.hold_id),
        payment_reference: other(&order.payment_reference),
        ..order
    };
    rest(lines).orders.push(again);
    true
}

fn refuse_what_was_sold(lines: &mut Vec<Line>, place: usize) -> bool {
    let no = |reason: &str| Answer::No {
        code: "FAILED_PRECONDITION".into(),
        reason: reason.into(),
        named: vec![],
    };
    let answer = pick(lines, place, |line| match line {
        Line::Call(call) if matches!(call.answer, Answer::Order(_)) => Some(&mut call.answer),
        _ => None,
    });
    answer.map(|answer| *answer = no("HOLD_EXPIRED")).is_some()
}

fn skip_an_entry(lines: &mut Vec<Line>, place: usize) -> bool {
    let Some(at) = entry(lines, place, |_| true).map(|log| (log.epoch, log.seq)) else {
        return false;
    };
    lines.retain(|line| !matches!(line, Line::Log(log) if (log.epoch, log.seq) == at));
    true
}

/// Two that follow each other and are about the same seat.
fn swap_two_entries(lines: &mut Vec<Line>, place: usize) -> bool {
    let mut log: Vec<Log> = lines
        .iter()
        .filter_map(|line| if let Line::Log(log) = line { Some(log.clone()) } else { None })
        .collect();
    log.sort_by_key(|log| (log.epoch, log.seq));
    let is_about_one = |pair: &&[Log]| {
        let has = |seat: &String| pair[1].seats.iter().any(|(id, _)| id == seat);
        let is_next = (pair[0].epoch, pair[0].seq + 1) == (pair[1].epoch, pair[1].seq);
        // What a seat was before is known.
        let is_known = pair[0].epoch == 1 && pair[0].seq > 0;
        is_next && is_known && pair[0].seats.iter().any(|(seat, _)| has(seat))
    };
    let pairs: Vec<_> = log.windows(2).filter(is_about_one).collect();
    let Some(at) = pairs.get(place % pairs.len().max(1)).map(|pair| pair[0].seq) else {
        return false;
    };
    for line in lines {
        match line {
            Line::Log(log) if (log.epoch, log.seq) == (1, at) => log.seq += 1,
            Line::Log(log) if (log.epoch, log.seq) == (1, at + 1) => log.seq -= 1,
            _ => {}
        }
    }
    true
}

fn hold_by_another(lines: &mut Vec<Line>, place: usize) -> bool {
    let found = entry(lines, place, |log| log.holds.iter().any(|hold| hold.create_ms == log.at_ms));
    found.map(|log| log.holds[0].items.areas.push(("floor".into(), 99))).is_some()
}

/// A seat is never given back: who takes it next takes what is held.
fn take_what_is_held(lines: &mut Vec<Line>, place: usize) -> bool {
    let mut taken_last = std::collections::BTreeMap::new();
    for line in &*lines {
        if let Line::Log(log) = line
            && log.epoch == 1
        {
            let taken = log.seats.iter().filter(|(_, status)| *status == Status::Held);
            taken_last.extend(taken.map(|(seat, _)| (seat.clone(), log.seq)));
        }
    }
    let freed = pick(lines, place, |line| match line {
        Line::Log(log) if log.epoch == 1 && log.holds.is_empty() && log.expired.is_empty() => {
            let is_taken_again = |(seat, status): &(String, Status)| {
                let last = taken_last.get(seat).copied().unwrap_or_default();
                *status == Status::Available && log.seq < last
            };
            log.seats.iter().any(is_taken_again).then_some(&mut log.seats)
        }
        _ => None,
    });
    freed.map(Vec::clear).is_some()
}

fn expire_too_soon(lines: &mut Vec<Line>, place: usize) -> bool {
    let passes = |log: &Log| !log.expired.is_empty();
    let Some(log) = entry(lines, place, passes) else { return false };
    let (id, epoch) = (log.expired[0].clone(), log.epoch);
    let mut is_known = false;
    for line in lines {
        if let Line::Log(log) = line {
            let is_it = |hold: &&mut crate::history::Hold| hold.hold_id == id;
            for hold in log.holds.iter_mut().filter(is_it) {
                hold.expire_ms += 1_000_000;
                is_known |= log.epoch == epoch;
            }
        }
    }
    is_known
}

fn miscount_an_area(lines: &mut Vec<Line>, place: usize) -> bool {
    let counts = |log: &Log| log.epoch == 1 && !log.areas.is_empty() && !log.holds.is_empty();
    let found = entry(lines, place, counts);
    found.map(|log| log.areas[0].1 = (log.areas[0].1 + 1) % 7).is_some()
}

/// Up to here nothing of the first epoch's log was lost.
fn whole(lines: &[Line]) -> u64 {
    let seqs = lines.iter().filter_map(|line| match line {
        Line::Log(log) if log.epoch == 1 => Some(log.seq),
        _ => None,
    });
    seqs.max().unwrap_or_default()
}

fn is_whole(token: &str, whole: u64) -> bool {
    let mut parts = token.split('-').map(|part| part.parse::<u64>().ok());
    parts.next() == Some(Some(1)) && parts.next().flatten().is_some_and(|seq| seq <= whole)
}

fn show_another_seat(lines: &mut Vec<Line>, place: usize) -> bool {
    let whole = whole(lines);
    let seats = pick(lines, place, |line| match line {
        Line::Call(call) => match &mut call.answer {
            Answer::SeatMap { seats, resume_token, .. } if is_whole(resume_token, whole) => {
                Some(seats)
            }
            _ => None,
        },
        _ => None,
    });
    let Some(seats) = seats else { return false };
    let at = place % seats.len();
    seats[at].1 = if seats[at].1 == Status::Held { Status::Available } else { Status::Held };
    true
}

fn skip_an_update(lines: &mut Vec<Line>, place: usize) -> bool {
    let whole = whole(lines);
    let seats = pick(lines, place, |line| match line {
        Line::Stream(told) => match &mut told.message {
            Message::Updates { seats, resume_token, .. }
                if !seats.is_empty() && is_whole(resume_token, whole) =>
            {
                Some(seats)
            }
            _ => None,
        },
        _ => None,
    });
    seats.map(|seats| seats.remove(place % seats.len())).is_some()
}

fn end_otherwise(lines: &mut Vec<Line>, place: usize) -> bool {
    let outcomes = &mut rest(lines).outcomes;
    let mut sold: Vec<_> = outcomes.iter_mut().filter(|(_, how, _)| how == "confirmed").collect();
    let count = sold.len();
    if count == 0 {
        return false;
    }
    sold[place % count].1 = "expired".into();
    true
}

fn leave_a_seat_held(lines: &mut Vec<Line>, place: usize) -> bool {
    let maps = &mut rest(lines).maps;
    let (_, seats, _) = &mut maps[place % 2];
    let at = place % seats.len();
    seats[at].1 = if seats[at].1 == Status::Sold { Status::Available } else { Status::Held };
    true
}

fn answer_another_hold(lines: &mut Vec<Line>, place: usize) -> bool {
    let hold = pick(lines, place, |line| match line {
        Line::Call(call) => match &mut call.answer {
            Answer::Hold(hold) => Some(hold),
            _ => None,
        },
        _ => None,
    });
    hold.map(|hold| hold.holder_id = "somebody else".into()).is_some()
}

#[rstest]
#[case(&["I2"], drop_an_order)]
#[case(&["I1"], sell_a_seat_again)]
#[case(&["I2'"], refuse_what_was_sold)]
#[case(&["I5"], skip_an_entry)]
#[case(&["I3", "I4", "I5", "I6", "I7"], swap_two_entries)]
#[case(&["I6"], hold_by_another)]
#[case(&["I3", "I4", "I5", "I7", "I10"], take_what_is_held)]
#[case(&["I3"], expire_too_soon)]
#[case(&["I7"], miscount_an_area)]
#[case(&["I5", "I8"], show_another_seat)]
#[case(&["I5"], skip_an_update)]
#[case(&["I4"], end_otherwise)]
#[case(&["I5"], leave_a_seat_held)]
#[case(&["I6"], answer_another_hold)]
fn a_change_is_found(#[case] promises: &[&str], #[case] mutate: Mutate) {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut places = 0;
    while places < PLACES {
        let (seed, place) = (rng.next_u64(), rng.next_u32() as usize);
        let mut lines = simulator::history(seed, 250, seed % 2 == 0);
        if !mutate(&mut lines, place) {
            continue;
        }
        let verdict = checker::check(&lines);
        let mut found = verdict.violations.iter().map(|violation| violation.promise.name());
        let is_found = found.any(|name| promises.contains(&name));
        assert!(is_found, "not found with seed {seed}, place {place}: {verdict}");
        places += 1;
    }
}
