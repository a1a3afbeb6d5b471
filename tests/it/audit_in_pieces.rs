//! An audit's picture of Redis is taken in pieces, and yet is one of the event at
//! one position, whatever changes between them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use holdfast::{
    app,
    domain::{
        AreaIndex, AreaUnits, Ended, Epoch, EventId, HoldId, HoldRecord, HoldState, Items, OrderId,
        Outcome, SeatIndex,
        audit::{Difference, RedisPicture},
    },
    holds::{HoldArgs, HoldReply, Holds, Reply, Step},
    limits::AUDIT_PIECE,
    proto::{self, HoldDurability},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use redis::AsyncCommands;
use tokio::time::Instant;

use crate::support::{EVENT, Server, Stage, Stores, floor, hold_request, ms, seat, small_event};

const ROWS: u8 = 10;
const SEATS_IN_A_ROW: u32 = 300;

/// A house of 3,000 seats and a large floor.
fn house() -> proto::CreateEventRequest {
    let mut house = small_event(EVENT);
    let chart = house.chart.as_mut().unwrap();
    chart.areas[0].capacity = 1_000_000;
    chart.sections[0].rows = (b'A'..b'A' + ROWS)
        .map(|row| proto::Row {
            row_id: char::from(row).to_string(),
            seats: (1..=SEATS_IN_A_ROW).map(|n| seat(&seat_id(row - b'A', n))).collect(),
        })
        .collect();
    house
}

fn seat_id(row: u8, number: u32) -> String {
    format!("{}-{number}", char::from(b'A' + row))
}

/// An event that only this test changes, by the scripts themselves.
struct Scripts {
    stores: Stores,
    holds: Holds,
    event_id: EventId,
    made: Vec<(HoldId, HoldRecord)>,
    chance: StdRng,
}

impl Scripts {
    const EPOCH: Epoch = Epoch(1);

    async fn new() -> Self {
        let Stage { stores, server } = Stage::empty().await;
        let mut house = house();
        // So that holds can be undone.
        let event = house.event.as_mut().unwrap();
        event.set_hold_durability(HoldDurability::Journaled);
        // So that holds are counted.
        event.max_holds_per_holder = 1_000;
        server.create_event(house).await.unwrap();
        server.app.stop().await;
        let holds = Holds::new(&stores.settings().redis_url).unwrap();
        let (event_id, made) = (EVENT.parse().unwrap(), Vec::new());
        Self { stores, holds, event_id, made, chance: StdRng::seed_from_u64(4) }
    }

    async fn change(&mut self) {
        match self.chance.random_range(0..100) {
            0..50 => self.hold().await,
            50..55 => self.block().await,
            kind => {
                if self.made.is_empty() {
                    return;
                }
                let which = self.chance.random_range(0..self.made.len());
                let (hold_id, record) = self.made[which].clone();
                self.change_hold(kind, hold_id, &record).await;
            }
        }
    }

    async fn hold(&mut self) {
        let first = self.chance.random_range(0..u32::from(ROWS) * SEATS_IN_A_ROW - 3);
        let count = self.chance.random_range(0..4);
        let units = self.chance.random_range(u32::from(count == 0)..3);
        let mut areas = vec![(AreaIndex(0), units)];
        areas.retain(|(_, units)| *units > 0);
        let mut args = HoldArgs {
            hold_id: HoldId::new_v7(),
            holder: format!("holder-{}", self.chance.random_range(0..700)).parse().unwrap(),
            fingerprint: "fingerprint".into(),
            ttl_ms: None,
            seats: (first..first + count).map(SeatIndex).collect(),
            areas,
            revision: 1 << 40,
            entitled: false,
            owed: false,
            beside: Vec::new(),
            strict: false,
        };
        if self.chance.random_ratio(1, 5) {
            // It runs out at once, and the next one expires it in passing.
            let holder = "late".parse().unwrap();
            let late = HoldArgs { holder, ttl_ms: Some(0), ..args.clone() };
            self.hold_these(late).await;
            args.hold_id = HoldId::new_v7();
        }
        self.hold_these(args).await;
    }

    async fn hold_these(&mut self, args: HoldArgs) {
        let hold_id = args.hold_id;
        let reply = self.holds.hold(&self.event_id, Self::EPOCH, args).await.unwrap();
        if let Reply::Done(HoldReply::Held(record)) = reply {
            self.made.push((hold_id, record));
        }
    }

    async fn block(&mut self) {
        let (holds, event_id) = (&self.holds, &self.event_id);
        let seats = [SeatIndex(self.chance.random_range(0..3_000))];
        holds.block_seats(event_id, Self::EPOCH, &seats).await.unwrap();
        let seats = [SeatIndex(self.chance.random_range(0..3_000))];
        holds.unblock_seats(event_id, Self::EPOCH, &seats).await.unwrap();
    }

    /// One of the ways of a hold that was made at some time, wherever it is now.
    async fn change_hold(&mut self, kind: u32, hold_id: HoldId, record: &HoldRecord) {
        let (holds, event_id, holder) = (&self.holds, &self.event_id, &record.holder_id);
        match kind {
            55..60 => _ = holds.extend_hold(event_id, Self::EPOCH, hold_id, holder, 60_000).await,
            60..70 => {
                let units = AreaUnits { area: AreaIndex(0), quantity: 1 };
                let seats = record.seats.iter().take(1).copied().collect();
                let items = Items { seats, areas: vec![units] };
                _ = holds.release(event_id, Self::EPOCH, hold_id, holder, &items).await.unwrap();
            }
            70..75 => _ = holds.confirm(event_id, Self::EPOCH, hold_id, holder).await.unwrap(),
            75..85 => {
                // Of the latest, or it is changed by now.
                let (hold_id, record) = self.made.pop().unwrap();
                let undone = holds.undo_hold(event_id, Self::EPOCH, hold_id, record.seq).await;
                assert!(matches!(undone.unwrap(), Reply::Done(_)));
            }
            _ => {
                let outcomes = [
                    Outcome::Confirmed(OrderId::new_v7()),
                    Outcome::Released,
                    Outcome::Expired,
                    Outcome::Lost,
                ];
                let outcome = outcomes[self.chance.random_range(0..4)];
                let seats = record.seats.clone();
                // Some are sold as others than they were: forgotten, and used again.
                let units = record.units() + u32::from(self.chance.random_ratio(1, 10));
                let ended = Ended { hold_id, outcome, seats, units };
                holds.finish(event_id, Self::EPOCH, &[ended]).await.unwrap();
            }
        }
    }

    /// At rest; what it counts is what Redis counts.
    async fn picture(&self) -> RedisPicture {
        let picture = self.holds.audit(&self.event_id).await.unwrap().unwrap();
        let mut redis = self.stores.redis().await;
        // Each key has an entry of no name.
        let seats: usize = redis.hlen("hf:{event}:seats").await.unwrap();
        let holders: usize = redis.hlen("hf:{event}:holders").await.unwrap();
        let due: usize = redis.zcard("hf:{event}:due").await.unwrap();
        let counted = (picture.seats.len(), picture.holders.len(), picture.due.len());
        assert_eq!(counted, (seats - 1, holders - 1, due - 1));
        picture
    }
}

/// Brings those holds of a picture up to the other one that only a Confirm has
/// fenced since, or that were asked for again: no entry of the log tells of that. They
/// were whole before.
fn fence(picture: &mut RedisPicture, now: &RedisPicture) {
    for (hold_id, record) in &mut picture.holds {
        let Some(fenced) = now.holds.get(hold_id) else { continue };
        record.asked = fenced.asked;
        if (record.state, fenced.state) == (HoldState::Active, HoldState::Confirming) {
            assert_eq!(picture.due[hold_id], record.expires_ms);
            record.state = HoldState::Confirming;
            picture.due.insert(*hold_id, now.due[hold_id]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_between_the_pieces_is_as_it_is_at_the_end() {
    let mut event = Scripts::new().await;
    for _ in 0..2_000 {
        event.change().await;
    }
    for changes in [1, 10, 60, 200] {
        let (holds, event_id) = (Holds::new(&event.stores.settings().redis_url), EVENT.parse());
        let (holds, event_id) = (holds.unwrap(), event_id.unwrap());
        let mut survey = holds.survey(&event_id).await.unwrap().unwrap();
        let mut pieces = 1;
        let mut picture = loop {
            match survey.go_on().await.unwrap() {
                Step::More => pieces += 1,
                Step::Lost => panic!("the log has it all"),
                Step::Whole(picture) => break picture,
            }
            // In the end it must catch up.
            if pieces < 40 {
                for _ in 0..changes {
                    event.change().await;
                }
            }
        };
        let now = event.picture().await;
        picture.now_ms = now.now_ms;
        fence(&mut picture, &now);
        assert!(pieces > 5 && now.holds.len() > AUDIT_PIECE, "{pieces} pieces are few");
        assert_eq!((picture.position, picture.log_end), (now.position, now.log_end));
        assert_eq!(picture.areas, now.areas);
        let differ = |one: &RedisPicture, other: &RedisPicture| {
            let seats = one.seats.iter().filter(|(seat, seen)| other.seat(**seat) != **seen);
            let holds = one.holds.iter().filter(|(id, hold)| other.holds.get(id) != Some(hold));
            let due = one.due.iter().filter(|(id, due)| other.due.get(id) != Some(due));
            let units = one.holders.iter().filter(|(id, n)| other.holders.get(id) != Some(n));
            (seats.count(), holds.count(), due.count(), units.count())
        };
        assert_eq!(differ(&picture, &now), (0, 0, 0, 0), "with {changes} changes a piece");
        assert_eq!(differ(&now, &picture), (0, 0, 0, 0), "with {changes} changes a piece");
        assert!(*picture == now);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_lost_with_the_epoch_it_was_begun_in() {
    let stage = Stage::new().await;
    let held = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    for pieces in 0..4 {
        let mut survey = holds.survey(&event_id).await.unwrap().unwrap();
        for _ in 0..pieces {
            assert!(matches!(survey.go_on().await.unwrap(), Step::More), "{pieces} pieces");
        }
        // The next call finds it void, and has it built anew.
        holds.seal(&event_id).await.unwrap();
        assert!(matches!(survey.go_on().await.unwrap(), Step::Lost));
        stage.server.extend_hold(&held, 600_000).await.unwrap();
        assert!(matches!(survey.go_on().await.unwrap(), Step::Lost));
        let picture = holds.audit(&event_id).await.unwrap().unwrap();
        assert_eq!(picture.position.epoch, Epoch(pieces + 2));
        assert_eq!((picture.seats.len(), picture.holds.len()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_lost_with_the_log_it_needs() {
    let stage = Stage::new().await;
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let mut survey = holds.survey(&event_id).await.unwrap().unwrap();
    assert!(matches!(survey.go_on().await.unwrap(), Step::More));
    stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let mut redis = stage.stores.redis().await;
    let trim: redis::RedisResult<()> = redis::cmd("XTRIM")
        .arg("hf:{event}:log")
        .arg("MAXLEN")
        .arg(0)
        .query_async(&mut redis)
        .await;
    trim.unwrap();
    let last = loop {
        match survey.go_on().await.unwrap() {
            Step::More => {}
            last => break last,
        }
    };
    assert!(matches!(last, Step::Lost));
    let picture = holds.audit(&event_id).await.unwrap().unwrap();
    assert_eq!((picture.seats.len(), picture.log_end), (1, None));
}

/// What no first look may find in health; the rest may be a moment late.
fn is_exact(difference: &Difference) -> bool {
    let late = [
        "journal_stands",
        "outbox_open",
        "ended_hold_lives",
        "not_journaled",
        "journaled_otherwise",
        "missing_hold",
        "lost_hold",
    ];
    !late.contains(&difference.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_the_first_look_is_right() {
    let stage = Stage::empty().await;
    stage.server.create_event(house()).await.unwrap();
    let other = stage.another_server().await;
    let servers = [&stage.server, &other];
    let is_over = AtomicBool::new(false);
    let clients = (0..32_usize).map(|client| {
        let is_over = &is_over;
        async move {
            let mut chance = StdRng::seed_from_u64(client as u64);
            while !is_over.load(Ordering::Relaxed) {
                trade(servers[client % 2], client, &mut chance).await;
            }
        }
    });
    let looks = async {
        let flows = app::connect(&stage.stores.settings()).await.unwrap();
        let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
        let event_id: EventId = EVENT.parse().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let (mut looks, mut changes) = (0, 0);
        // Both are many, and the house is full enough for several pieces.
        while looks < 20 || changes < 200 {
            assert!(Instant::now() < until, "{looks} looks, {changes} changes meanwhile");
            let before = holds.position(&event_id).await.unwrap().unwrap();
            let look = flows.look(&event_id).await.unwrap();
            let after = holds.position(&event_id).await.unwrap().unwrap();
            let wrong: Vec<_> = look.differences.into_iter().filter(is_exact).collect();
            assert!(wrong.is_empty(), "look {looks} of {} holds: {wrong:?}", look.holds);
            if look.holds > 2 * AUDIT_PIECE {
                looks += 1;
                changes += after.seq - before.seq;
            }
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let ((), _) = tokio::join!(looks, join_all(clients));
}

/// A hold of seats, of the floor, or of both, and what comes of it.
async fn trade(server: &Server, client: usize, chance: &mut StdRng) {
    let row = chance.random_range(0..ROWS);
    let first = chance.random_range(1..SEATS_IN_A_ROW);
    let seats = [seat_id(row, first), seat_id(row, first + 1)];
    let seats: Vec<&str> = seats.iter().map(String::as_str).collect();
    let mut request = hold_request(&format!("client-{client}"), &seats);
    match chance.random_range(0..3) {
        0 => request.areas = floor(2),
        1 => {
            request.seat_ids.clear();
            request.areas = floor(3);
        }
        _ => {}
    }
    request.ttl = ms(if chance.random_ratio(1, 7) { 20 } else { 20_000 });
    // Some seats are taken; whatever comes of the rest, some have run out by now.
    let Ok(hold) = server.hold(request).await else { return };
    match chance.random_range(0..20) {
        0 => _ = server.confirm(&hold, &hold.hold_id).await,
        1..4 => _ = server.extend_hold(&hold, 10_000).await,
        4..7 if !hold.areas.is_empty() => _ = server.release(&hold, &[], floor(1)).await,
        7..13 => _ = server.release(&hold, &[], vec![]).await,
        _ => {}
    }
}
