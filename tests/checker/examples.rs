//! One promise broken at a time, and found by its name.

use std::collections::BTreeSet;

use rstest::rstest;

use crate::{
    checker,
    history::{Answer, Call, Final, Line, Log, Message, Operation, Status, Stream},
    story::{call, entry, hold, items, no, order, story, to_confirm, to_hold},
};

type Lines = Vec<Line>;

fn of_call(lines: &mut Lines, number: u64) -> &mut Call {
    let found = lines.iter_mut().find_map(|line| match line {
        Line::Call(call) if call.id == number => Some(call),
        _ => None,
    });
    found.unwrap()
}

fn of_log(lines: &mut Lines, epoch: u64, seq: u64) -> &mut Log {
    let found = lines.iter_mut().find_map(|line| match line {
        Line::Log(log) if (log.epoch, log.seq) == (epoch, seq) => Some(log),
        _ => None,
    });
    found.unwrap()
}

fn of_stream(lines: &mut Lines, at_ms: u64) -> &mut Message {
    let found = lines.iter_mut().find_map(|line| match line {
        Line::Stream(Stream { at_us, message, .. }) if *at_us == at_ms * 1_000 => Some(message),
        _ => None,
    });
    found.unwrap()
}

fn rest(lines: &mut Lines) -> &mut Final {
    let found = lines.iter_mut().find_map(|line| match line {
        Line::Final(rest) => Some(rest),
        _ => None,
    });
    found.unwrap()
}

/// Sold again, by a hold that never was.
fn sell_twice(lines: &mut Lines) {
    let rest = rest(lines);
    rest.orders.push(order("o9", "h9", "A", "p9"));
    rest.outcomes.push(("h9".into(), "confirmed".into(), Some("o9".into())));
}

fn change_a_ticket(lines: &mut Lines) {
    rest(lines).orders[0].tickets[0].ticket_id = "another".into();
}

/// A FAST hold may be forgotten, but not be sold after that was said.
fn refuse_and_sell(lines: &mut Lines) {
    let Line::Event(event) = &mut lines[1] else { panic!() };
    event.journaled = false;
    lines.push(call(10, 790, 795, to_confirm("h5", "p5"), no("HOLD_NOT_FOUND", &[])));
}

/// Two holds of one seat, both on the log, the second while the first lives.
fn hold_twice(lines: &mut Lines) {
    for (n, id, from_ms) in [(10, "h8", 1_000), (11, "h9", 1_010)] {
        let made_ms = i64::try_from(from_ms).unwrap() + 2;
        let held = hold(id, items(&["C"], 0), made_ms, made_ms + 100, "ACTIVE");
        let answer = Answer::Hold(held.clone());
        lines.push(call(n, from_ms, from_ms + 4, to_hold(id, items(&["C"], 0), 100), answer));
        lines.push(Line::Log(entry(2, n - 8, from_ms + 2, &[("C", Status::Held)], &[held])));
        rest(lines).outcomes.push((id.into(), "expired".into(), None));
    }
    lines.push(Line::Log(entry(2, 4, 1_200, &[("C", Status::Available)], &[])));
    resume_at(lines, &[("C", Status::Held), ("C", Status::Held), ("C", Status::Available)], "2-4");
}

/// The reader is told these changes, too.
fn resume_at(lines: &mut Lines, more: &[(&str, Status)], position: &str) {
    let Message::Updates { seats, resume_token, .. } = of_stream(lines, 900) else { panic!() };
    seats.extend(more.iter().map(|(seat, status)| ((*seat).to_owned(), *status)));
    *resume_token = format!("{position}-5ea1");
}

fn expire_early(lines: &mut Lines) {
    let entry = of_log(lines, 1, 5);
    entry.holds[0].expire_ms += 60_000;
    let Answer::Hold(hold) = &mut of_call(lines, 6).answer else { panic!() };
    hold.expire_ms += 60_000;
}

/// Redis was emptied, and the hold that was journaled is taken by another.
fn forget_the_journal(lines: &mut Lines) {
    lines.retain(|line| !matches!(line, Line::Call(call) if call.id == 8));
    lines.retain(|line| !matches!(line, Line::Stream(told) if told.at_us > 700_000));
    let held = hold("h9", items(&["B"], 0), 750, 1_750, "ACTIVE");
    let answer = Answer::Hold(held.clone());
    lines.push(call(10, 748, 754, to_hold("h9", items(&["B"], 0), 1_000), answer));
    *of_log(lines, 2, 1) = entry(2, 1, 750, &[("B", Status::Held)], &[held]);
    lines.push(Line::Log(entry(2, 2, 804, &[("B", Status::Sold)], &[])));
    *of_call(lines, 9) = match call(9, 800, 806, to_confirm("h9", "p5"), no("HOLD_LOST", &[])) {
        Line::Call(call) => Call { answer: Answer::Order(order("o5", "h9", "B", "p5")), ..call },
        _ => unreachable!(),
    };
    let rest = rest(lines);
    rest.orders[1] = order("o5", "h9", "B", "p5");
    rest.outcomes[3] = ("h9".into(), "confirmed".into(), Some("o5".into()));
    rest.redis_seats[1].2 = Some("h9".into());
}

fn tell_another_end(lines: &mut Lines) {
    let sold = hold("h3", items(&["B"], 1), 42, 1_042, "CONFIRMED");
    let get = Operation::GetHold { hold_id: "h3".into() };
    lines.push(call(10, 70, 74, get, Answer::Hold(sold)));
}

fn lose_an_entry(lines: &mut Lines) {
    lines.retain(|line| !matches!(line, Line::Log(log) if (log.epoch, log.seq) == (1, 3)));
    lines.retain(|line| !matches!(line, Line::Call(call) if [4, 5].contains(&call.id)));
    rest(lines).outcomes.remove(1);
}

fn skip_a_change(lines: &mut Lines) {
    let Message::Updates { seats, .. } = of_stream(lines, 39) else { panic!() };
    seats.remove(0);
}

fn repeat_a_change(lines: &mut Lines) {
    let again = of_stream(lines, 900).clone();
    lines.push(Line::Stream(Stream {
        reader: 0,
        server: 0,
        at_us: 901_000,
        event_id: "e".into(),
        message: again,
    }));
}

fn show_another_house(lines: &mut Lines) {
    rest(lines).maps[1].1[2].1 = Status::Held;
    // Only the maps: the reader has no house to compare.
    lines.retain(|line| !matches!(line, Line::Stream(_)));
}

fn use_an_id_twice(lines: &mut Lines) {
    let other = call(
        10,
        616,
        618,
        to_hold("h5", items(&["C"], 0), 2_000),
        Answer::Hold(hold("h5", items(&["C"], 0), 612, 2_612, "ACTIVE")),
    );
    lines.push(other);
}

fn miscount(lines: &mut Lines) {
    of_log(lines, 1, 4).areas[0].1 = 1;
}

fn oversell_the_floor(lines: &mut Lines) {
    rest(lines).redis_areas[0].1 = 1;
}

/// A seat that is sold is on sale again, in Redis alone.
fn put_on_sale_again(lines: &mut Lines) {
    rest(lines).redis_seats.remove(0);
}

fn forget_a_sale_in_the_map(lines: &mut Lines) {
    let Answer::SeatMap { seats, .. } = &mut of_call(lines, 8).answer else { panic!() };
    seats[0].1 = Status::Available;
    lines.retain(|line| !matches!(line, Line::Stream(told) if told.at_us > 700_000));
}

/// The journal's hold is free in the picture after the loss.
fn show_a_hold_as_free(lines: &mut Lines) {
    let Answer::SeatMap { seats, .. } = &mut of_call(lines, 8).answer else { panic!() };
    seats[1].1 = Status::Available;
    lines.retain(|line| !matches!(line, Line::Stream(told) if told.at_us > 700_000));
    // That it is sold then is not what is asked here.
    lines.retain(|line| !matches!(line, Line::Log(log) if (log.epoch, log.seq) == (2, 1)));
    lines.push(Line::Log(entry(2, 1, 810, &[], &[])));
}

fn pay_twice(lines: &mut Lines) {
    let Answer::Order(told) = &mut of_call(lines, 9).answer else { panic!() };
    told.payment_reference = "p1".into();
    of_call(lines, 9).operation = to_confirm("h5", "p1");
    rest(lines).orders[1].payment_reference = "p1".into();
}

/// h4 runs out at 562 ms, and is told long after, with no fault about.
fn tell_late(lines: &mut Lines) {
    for line in lines.iter_mut() {
        match line {
            Line::Call(call) if call.id >= 7 => {
                (call.start_us, call.end_us) =
                    (call.start_us + 40_000_000, call.end_us + 40_000_000);
                if let Answer::Hold(hold) = &mut call.answer {
                    (hold.create_ms, hold.expire_ms) =
                        (hold.create_ms + 40_000, hold.expire_ms + 40_000);
                }
            }
            Line::Log(log) if log.at_ms >= 1_700_000_000_600 => {
                (log.at_us, log.at_ms) = (log.at_us + 40_000_000, log.at_ms + 40_000);
                for hold in &mut log.holds {
                    (hold.create_ms, hold.expire_ms) =
                        (hold.create_ms + 40_000, hold.expire_ms + 40_000);
                }
            }
            Line::Stream(told) if told.at_us > 700_000 => told.at_us += 40_000_000,
            Line::Fault(fault) => {
                (fault.start_us, fault.end_us) =
                    (fault.start_us + 40_000_000, fault.end_us + 40_000_000);
            }
            Line::Final(rest) => rest.at_us += 40_000_000,
            _ => {}
        }
    }
}

fn answer_a_fault(lines: &mut Lines) {
    of_call(lines, 2).answer = Answer::Fault {
        code: "INTERNAL".into(),
        reason: "INTERNAL".into(),
        message: String::new(),
    };
}

/// C is free all the time.
fn refuse_what_is_free(lines: &mut Lines) {
    lines.push(call(
        10,
        20,
        24,
        to_hold("h9", items(&["C"], 0), 1_000),
        no("SEAT_UNAVAILABLE", &["C"]),
    ));
    // Far from the fault.
    for line in lines.iter_mut() {
        if let Line::Fault(fault) = line {
            (fault.start_us, fault.end_us) = (695_000, 700_000);
        }
    }
}

fn release_unasked(lines: &mut Lines) {
    of_call(lines, 5).operation = Operation::GetHold { hold_id: "h3".into() };
}

#[rstest]
#[case::a_seat_in_two_orders("I1", sell_twice)]
#[case::an_order_that_changed("I2", change_a_ticket)]
#[case::a_no_and_a_sale("I2'", refuse_and_sell)]
#[case::a_seat_held_twice("I3", hold_twice)]
#[case::a_hold_ended_early("I3", expire_early)]
#[case::a_journaled_hold_forgotten("I3", forget_the_journal)]
#[case::a_hold_released_by_nobody("I3", release_unasked)]
#[case::two_ends("I4", tell_another_end)]
#[case::a_gap_in_the_log("I5", lose_an_entry)]
#[case::a_change_not_told("I5", skip_a_change)]
#[case::a_change_told_twice("I5", repeat_a_change)]
#[case::two_houses_at_rest("I5", show_another_house)]
#[case::an_id_with_two_contents("I6", use_an_id_twice)]
#[case::a_unit_that_vanished("I7", miscount)]
#[case::a_unit_short_at_rest("I7", oversell_the_floor)]
#[case::a_sale_that_redis_forgot("I8", put_on_sale_again)]
#[case::a_sale_not_shown("I8", forget_a_sale_in_the_map)]
#[case::a_hold_not_rebuilt("I8", show_a_hold_as_free)]
#[case::a_payment_for_two("I9", pay_twice)]
#[case::told_late("I10", tell_late)]
#[case::a_fault_of_the_server("answers", answer_a_fault)]
#[case::a_free_seat_refused("answers", refuse_what_is_free)]
fn a_broken_promise_is_found(#[case] promise: &str, #[case] break_it: fn(&mut Lines)) {
    let mut lines = story();
    break_it(&mut lines);
    let verdict = checker::check(&lines);
    let found: BTreeSet<&str> =
        verdict.violations.iter().map(|violation| violation.promise.name()).collect();
    assert_eq!(found, BTreeSet::from([promise]), "{verdict}");
}

#[test]
fn the_story_itself_passes() {
    let verdict = checker::check(&story());
    assert!(verdict.violations.is_empty(), "{verdict}");
    let vacuous = verdict.vacuous.as_deref();
    assert_eq!(vacuous, Some("only 2 orders were confirmed, of 100 at least"));
    assert!(!verdict.passes());
}

/// Who hangs up does not know when the Hold arrives: it may come after a no.
#[test]
fn a_hold_that_comes_late_is_not_held_against_a_no() {
    let mut lines = story();
    let late = of_call(&mut lines, 7);
    (late.start_us, late.end_us) = (605_000, 606_000);
    late.answer = Answer::Unknown { code: "CANCELLED".into(), reason: "HUNG_UP".into() };
    let not_found = no("HOLD_NOT_FOUND", &[]);
    lines.push(call(10, 607, 609, to_confirm("h5", "p5"), not_found));
    let verdict = checker::check(&lines);
    assert!(verdict.violations.is_empty(), "{verdict}");
}
