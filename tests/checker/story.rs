//! A short history that keeps every promise, to be broken in one place.
//!
//! h1 buys A; h2 is refused it; h3 gives B and a unit of the floor back; h4 lets
//! B run out; h5 holds B while Redis is emptied, and buys it.

use crate::history::{
    Answer, Begin, Call, Event, Fault, Final, Hold, Items, Line, Log, Message, Operation, Order,
    Status,
    Status::{Available, Held, Sold},
    Stream, Ticket,
};

pub const EVENT: &str = "e";
const BEGINNING_MS: i64 = 1_700_000_000_000;

pub fn items(seats: &[&str], units: u32) -> Items {
    let areas = if units > 0 { vec![("floor".to_owned(), units)] } else { vec![] };
    Items { seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(), areas }
}

pub fn hold(id: &str, items: Items, made_ms: i64, expire_ms: i64, state: &str) -> Hold {
    Hold {
        hold_id: id.into(),
        holder_id: "c".into(),
        items,
        state: state.into(),
        create_ms: BEGINNING_MS + made_ms,
        expire_ms: BEGINNING_MS + expire_ms,
        order_id: None,
    }
}

pub fn order(id: &str, hold_id: &str, seat: &str, payment: &str) -> Order {
    let ticket_id = format!("t-{id}");
    Order {
        order_id: id.into(),
        hold_id: hold_id.into(),
        holder_id: "c".into(),
        payment_reference: payment.into(),
        tickets: vec![Ticket { ticket_id, seat_id: Some(seat.into()), area_id: None }],
    }
}

pub fn no(reason: &str, named: &[&str]) -> Answer {
    let named = named.iter().map(|&seat| seat.to_owned()).collect();
    Answer::No { code: "FAILED_PRECONDITION".into(), reason: reason.into(), named }
}

pub fn call(id: u64, from_ms: u64, to_ms: u64, operation: Operation, answer: Answer) -> Line {
    Line::Call(Call {
        id,
        client: 0,
        server: 0,
        start_us: from_ms * 1_000,
        end_us: to_ms * 1_000,
        event_id: EVENT.into(),
        operation,
        answer,
    })
}

pub fn to_hold(hold_id: &str, items: Items, ttl_ms: u64) -> Operation {
    let (hold_id, holder_id) = (hold_id.into(), "c".into());
    Operation::Hold { hold_id, holder_id, items, ttl_ms: Some(ttl_ms) }
}

pub fn to_confirm(hold_id: &str, payment: &str) -> Operation {
    Operation::Confirm {
        hold_id: hold_id.into(),
        holder_id: "c".into(),
        payment_reference: payment.into(),
    }
}

pub fn entry(epoch: u64, seq: u64, at_ms: u64, seats: &[(&str, Status)], holds: &[Hold]) -> Log {
    Log {
        event_id: EVENT.into(),
        at_us: (at_ms + 1) * 1_000,
        epoch,
        seq,
        at_ms: BEGINNING_MS + i64::try_from(at_ms).unwrap(),
        reset: seq == 0,
        seats: named(seats),
        areas: vec![],
        holds: holds.to_vec(),
        expired: vec![],
    }
}

fn named(seats: &[(&str, Status)]) -> Vec<(String, Status)> {
    seats.iter().map(|(seat, status)| ((*seat).to_owned(), *status)).collect()
}

fn floor(units: u32) -> Vec<(String, u32)> {
    vec![("floor".into(), units)]
}

fn told(at_ms: u64, message: Message) -> Line {
    Line::Stream(Stream {
        reader: 0,
        server: 0,
        at_us: at_ms * 1_000,
        event_id: EVENT.into(),
        message,
    })
}

/// What was done, and what was answered.
fn calls() -> Vec<Line> {
    let give_back =
        Operation::Release { hold_id: "h3".into(), holder_id: "c".into(), items: Items::default() };
    let h3 = hold("h3", items(&["B"], 1), 42, 1_042, "RELEASED");
    let map = Answer::SeatMap {
        seats: named(&[("A", Sold), ("B", Held), ("C", Available)]),
        areas: floor(2),
        resume_token: "2-0-5ea1".into(),
    };
    let held = |id, seats: &[&str], units, made_ms, ttl_ms| {
        let hold = hold(id, items(seats, units), made_ms, made_ms + ttl_ms, "ACTIVE");
        Answer::Hold(hold)
    };
    let (a, b) = (|| items(&["A"], 0), || items(&["B"], 0));
    vec![
        call(1, 10, 14, to_hold("h1", a(), 1_000), held("h1", &["A"], 0, 12, 1_000)),
        call(2, 20, 24, to_hold("h2", a(), 1_000), no("SEAT_UNAVAILABLE", &["A"])),
        call(3, 30, 36, to_confirm("h1", "p1"), Answer::Order(order("o1", "h1", "A", "p1"))),
        call(4, 40, 44, to_hold("h3", items(&["B"], 1), 1_000), held("h3", &["B"], 1, 42, 1_000)),
        call(5, 50, 54, give_back, Answer::Hold(h3)),
        call(6, 60, 64, to_hold("h4", b(), 500), held("h4", &["B"], 0, 62, 500)),
        call(7, 610, 614, to_hold("h5", b(), 2_000), held("h5", &["B"], 0, 612, 2_000)),
        call(8, 720, 724, Operation::GetSeatMap, map),
        call(9, 800, 806, to_confirm("h5", "p5"), Answer::Order(order("o5", "h5", "B", "p5"))),
    ]
}

fn log() -> Vec<Line> {
    let hold = |id, seats: &[&str], units, made_ms, ttl_ms| {
        hold(id, items(seats, units), made_ms, made_ms + ttl_ms, "ACTIVE")
    };
    let entries = [
        entry(1, 0, 0, &[], &[]),
        entry(1, 1, 12, &[("A", Held)], &[hold("h1", &["A"], 0, 12, 1_000)]),
        entry(1, 2, 34, &[("A", Sold)], &[]),
        Log {
            areas: floor(1),
            ..entry(1, 3, 42, &[("B", Held)], &[hold("h3", &["B"], 1, 42, 1_000)])
        },
        Log { areas: floor(2), ..entry(1, 4, 52, &[("B", Available)], &[]) },
        entry(1, 5, 62, &[("B", Held)], &[hold("h4", &["B"], 0, 62, 500)]),
        entry(1, 6, 600, &[("B", Available)], &[]),
        entry(1, 7, 612, &[("B", Held)], &[hold("h5", &["B"], 0, 612, 2_000)]),
        entry(2, 0, 700, &[], &[]),
        entry(2, 1, 804, &[("B", Sold)], &[]),
    ];
    entries.into_iter().map(Line::Log).collect()
}

fn stream() -> Vec<Line> {
    let token = |position: &str| format!("{position}-5ea1");
    let all = |a, b| named(&[("A", a), ("B", b), ("C", Available)]);
    let (updates, snapshot) = (
        Message::Updates {
            seats: named(&[("A", Held), ("A", Sold)]),
            areas: vec![],
            resume_token: token("1-2"),
        },
        |seats, position| Message::Snapshot {
            seats,
            areas: floor(2),
            last: true,
            resume_token: token(position),
        },
    );
    vec![
        told(5, Message::Opened { resume_token: String::new() }),
        told(6, snapshot(all(Available, Available), "1-0")),
        told(39, updates),
        told(45, Message::Ended { code: "CUT".into() }),
        told(750, Message::Opened { resume_token: token("1-2") }),
        told(751, snapshot(all(Sold, Held), "2-0")),
        told(
            900,
            Message::Updates {
                seats: named(&[("B", Sold)]),
                areas: vec![],
                resume_token: token("2-1"),
            },
        ),
    ]
}

fn rest() -> Final {
    let ended = |id: &str, how: &str, order: Option<&str>| {
        (id.to_owned(), how.to_owned(), order.map(str::to_owned))
    };
    let seats = named(&[("A", Sold), ("B", Sold), ("C", Available)]);
    Final {
        event_id: EVENT.into(),
        at_us: 20_000_000,
        orders: vec![order("o1", "h1", "A", "p1"), order("o5", "h5", "B", "p5")],
        outcomes: vec![
            ended("h1", "confirmed", Some("o1")),
            ended("h3", "released", None),
            ended("h4", "expired", None),
            ended("h5", "confirmed", Some("o5")),
        ],
        open_holds: vec![],
        areas_sold: vec![("floor".into(), 2, 0)],
        outbox_open: 0,
        redis_seats: vec![
            ("A".into(), Sold, Some("h1".into())),
            ("B".into(), Sold, Some("h5".into())),
        ],
        redis_areas: floor(2),
        redis_holds: vec![],
        maps: vec![(0, seats.clone(), floor(2)), (1, seats, floor(2))],
        audit: vec![],
    }
}

/// The whole story.
pub fn story() -> Vec<Line> {
    let event = Event {
        event_id: EVENT.into(),
        journaled: true,
        seat_ids: ["A", "B", "C"].map(str::to_owned).to_vec(),
        areas: floor(2),
    };
    let fault = Fault {
        kind: "flushall".into(),
        target: "redis".into(),
        start_us: 690_000,
        end_us: 700_000,
        loses_redis: true,
        detail: String::new(),
    };
    let begin = Begin { seed: 1, mutant: None, topology: "single".into() };
    let mut lines = vec![Line::Begin(begin), Line::Event(event)];
    lines.extend(calls());
    lines.extend(log());
    lines.extend(stream());
    lines.push(Line::Fault(fault));
    lines.push(Line::Final(rest()));
    lines
}
