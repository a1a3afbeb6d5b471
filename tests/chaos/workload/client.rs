//! One client: it holds, confirms, extends and releases, repeats itself, and
//! does what it should not.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Caller, Floor, Show,
    deck::{self, Move},
};
use crate::{
    history::{Answer, Items, Operation},
    stage::SERVERS,
};

/// Holds that a client has in mind.
const MOST_HOLDS: usize = 6;
/// Calls that a client may make once more.
const MOST_REMEMBERED: usize = 8;
/// How often a call is made whose outcome is not known.
const MOST_TRIES: usize = 6;
const DEADLINE_MS: std::ops::Range<u64> = 2_000..4_000;
/// Between two calls, in ms.
const PAUSE_MS: std::ops::Range<u64> = 0..30;
/// What a client that hangs up waits before, in µs.
const HANG_UP_US: std::ops::Range<u64> = 0..20_000;

/// A hold that this client made, or may have made.
#[derive(Clone)]
struct Mine {
    show: Arc<Show>,
    hold_id: String,
    holder_id: String,
    items: Items,
}

/// A call to be made once more.
struct Again {
    event_id: String,
    operation: Operation,
    server: usize,
}

pub struct Client {
    floor: Arc<Floor>,
    caller: Caller,
    number: u32,
    random: StdRng,
    mine: VecDeque<Mine>,
    remembered: VecDeque<Again>,
    /// Where it was served last.
    server: usize,
}

impl Client {
    pub fn new(floor: Arc<Floor>, number: u32, random: StdRng) -> Self {
        let caller = Caller::new(floor.clone(), number);
        let server = number as usize % SERVERS;
        let (mine, remembered) = (VecDeque::new(), VecDeque::new());
        Self { floor, caller, number, random, mine, remembered, server }
    }

    /// Goes on until the floor is closed.
    pub async fn run(mut self) {
        while !self.floor.closing.is_cancelled() {
            let drawn = deck::draw(&mut self.random);
            self.play(drawn).await;
            let pause = self.random.random_range(PAUSE_MS);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn play(&mut self, drawn: Move) {
        let on_sale = self.floor.on_sale();
        let Some(show) = on_sale.choose(&mut self.random).cloned() else { return };
        let mine =
            self.mine.iter().collect::<Vec<_>>().choose(&mut self.random).map(|m| (*m).clone());
        match (drawn, mine) {
            (Move::GetSeatMap, _) => {
                self.settle(&show.event_id, Operation::GetSeatMap).await;
            }
            (Move::Again, _) => self.again().await,
            (Move::Hold, _) | (_, None) => self.hold(show).await,
            (drawn, Some(mine)) => self.use_hold(drawn, mine).await,
        }
    }

    async fn hold(&mut self, show: Arc<Show>) {
        let items = self.wish(&show);
        let ttl_ms = match self.random.random_range(0..10) {
            0..7 => Some(self.random.random_range(1_000..4_000)),
            7 => Some(self.random.random_range(4_000..9_000)),
            _ => None,
        };
        let hold_id = Uuid::from_u128(self.random.random()).to_string();
        let holder_id = format!("holder-{}", self.number);
        let mine = Mine { show, hold_id, holder_id, items };
        let operation = Operation::Hold {
            hold_id: mine.hold_id.clone(),
            holder_id: mine.holder_id.clone(),
            items: mine.items.clone(),
            ttl_ms,
        };
        let event_id = mine.show.event_id.clone();
        match self.settle(&event_id, operation).await {
            Answer::Hold(hold) if hold.state == "ACTIVE" => self.remember_hold(mine),
            Answer::Unknown { .. } => self.remember_hold(mine),
            _ => {}
        }
    }

    async fn use_hold(&mut self, drawn: Move, mine: Mine) {
        let Mine { show, hold_id, holder_id, items } = mine;
        let shared = self.random.random_range(0..3);
        let operation = match drawn {
            Move::HoldOther => {
                let items = self.wish(&show);
                Operation::Hold { hold_id, holder_id, items, ttl_ms: None }
            }
            Move::Extend => {
                let ttl_ms = self.random.random_range(500..6_000);
                Operation::ExtendHold { hold_id, holder_id, ttl_ms }
            }
            Move::ReleaseAll => Operation::Release { hold_id, holder_id, items: Items::default() },
            Move::ReleasePart => {
                let items = self.part_of(&items);
                Operation::Release { hold_id, holder_id, items }
            }
            Move::Confirm => {
                let payment_reference = format!("pay-{hold_id}");
                Operation::Confirm { hold_id, holder_id, payment_reference }
            }
            Move::ConfirmShared => {
                let payment_reference = format!("pay-shared-{shared}-{}", show.event_id);
                Operation::Confirm { hold_id, holder_id, payment_reference }
            }
            Move::Steal => self.theft(hold_id),
            Move::Hold | Move::GetHold | Move::GetSeatMap | Move::Again => {
                Operation::GetHold { hold_id }
            }
        };
        let ends = matches!(drawn, Move::ReleaseAll | Move::Confirm | Move::ConfirmShared);
        let hold_id = hold_of(&operation).map(str::to_owned);
        let answer = self.settle(&show.event_id, operation).await;
        let is_over =
            ends && matches!(answer, Answer::Hold(_) | Answer::Order(_) | Answer::No { .. });
        if is_over || matches!(&answer, Answer::No { reason, .. } if reason.starts_with("HOLD_E")) {
            self.mine.retain(|mine| Some(&mine.hold_id) != hold_id.as_ref());
        }
    }

    /// What somebody tries with another's hold.
    fn theft(&mut self, hold_id: String) -> Operation {
        let holder_id = format!("thief-{}", self.number);
        match self.random.random_range(0..3) {
            0 => Operation::Release { hold_id, holder_id, items: Items::default() },
            1 => Operation::ExtendHold { hold_id, holder_id, ttl_ms: 1_000 },
            _ => {
                let payment_reference = format!("pay-stolen-{hold_id}");
                Operation::Confirm { hold_id, holder_id, payment_reference }
            }
        }
    }

    /// Something from before, once more, at the other server.
    async fn again(&mut self) {
        let Some(Again { event_id, operation, server }) = self.remembered.pop_front() else {
            return;
        };
        self.make(1 - server, &event_id, &operation).await;
    }

    /// Makes a call until its outcome is known, or often enough; sometimes at
    /// both servers at the same time.
    async fn settle(&mut self, event_id: &str, operation: Operation) -> Answer {
        if self.random.random_bool(0.2) {
            self.server = 1 - self.server;
        }
        let is_change = !matches!(operation, Operation::GetHold { .. } | Operation::GetSeatMap);
        if is_change && self.random.random_bool(0.1) {
            let (deadline, server) = (self.deadline(), self.server);
            let (answer, _) = tokio::join!(
                self.caller.call(server, event_id, &operation, deadline, None),
                self.caller.call(1 - server, event_id, &operation, deadline, None),
            );
            return answer;
        }
        let mut tries = 0;
        loop {
            let answer = self.make(self.server, event_id, &operation).await;
            tries += 1;
            let is_open = matches!(answer, Answer::Unknown { .. } | Answer::Unavailable { .. });
            if !is_open || tries == MOST_TRIES || self.floor.closing.is_cancelled() {
                if is_change && self.random.random_bool(0.3) {
                    self.remember_call(event_id, operation);
                }
                return answer;
            }
            self.server = 1 - self.server;
            let pause = self.random.random_range(50..300) * tries as u64;
            sleep(Duration::from_millis(pause)).await;
            // Some give up, and leave it open.
            if self.random.random_bool(0.2) {
                return answer;
            }
        }
    }

    async fn make(&mut self, server: usize, event_id: &str, operation: &Operation) -> Answer {
        let cancels = self.floor.cancels.load(std::sync::atomic::Ordering::Relaxed);
        let hang_up = (cancels && self.random.random_bool(0.5))
            .then(|| Duration::from_micros(self.random.random_range(HANG_UP_US)));
        let deadline = self.deadline();
        let answer = self.caller.call(server, event_id, operation, deadline, hang_up).await;
        if matches!(&answer, Answer::Unknown { reason, .. } if reason == "HUNG_UP") {
            self.floor.cancelled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        answer
    }

    fn deadline(&mut self) -> Duration {
        Duration::from_millis(self.random.random_range(DEADLINE_MS))
    }

    fn remember_hold(&mut self, mine: Mine) {
        self.mine.push_back(mine);
        if self.mine.len() > MOST_HOLDS {
            self.mine.pop_front();
        }
    }

    fn remember_call(&mut self, event_id: &str, operation: Operation) {
        let again = Again { event_id: event_id.to_owned(), operation, server: self.server };
        self.remembered.push_back(again);
        if self.remembered.len() > MOST_REMEMBERED {
            self.remembered.pop_front();
        }
    }

    /// One to three seats, some units of the floor, or both.
    fn wish(&mut self, show: &Show) -> Items {
        let kind = self.random.random_range(0..10);
        let count = if kind == 0 { 0 } else { self.random.random_range(1..=3) };
        let mut seat_ids: Vec<String> =
            show.seat_ids.choose_multiple(&mut self.random, count).cloned().collect();
        seat_ids.sort();
        let units = self.random.random_range(1..=3);
        let areas = if kind < 3 { vec![(show.area_id.clone(), units)] } else { Vec::new() };
        Items { seat_ids, areas }
    }

    fn part_of(&mut self, items: &Items) -> Items {
        let count = self.random.random_range(0..=1.min(items.seat_ids.len()));
        let seat_ids: Vec<String> =
            items.seat_ids.choose_multiple(&mut self.random, count).cloned().collect();
        let areas = match seat_ids.is_empty() {
            true => items.areas.iter().map(|(area_id, _)| (area_id.clone(), 1)).collect(),
            false => Vec::new(),
        };
        Items { seat_ids, areas }
    }
}

fn hold_of(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::Hold { hold_id, .. }
        | Operation::ExtendHold { hold_id, .. }
        | Operation::Release { hold_id, .. }
        | Operation::Confirm { hold_id, .. }
        | Operation::GetHold { hold_id } => Some(hold_id),
        Operation::GetSeatMap => None,
    }
}
