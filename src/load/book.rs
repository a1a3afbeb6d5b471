//! What was asked for, and what was answered: for the check, and for cleaning up.

use std::ops::Range;

use uuid::Uuid;

use super::{client::No, houses::House};
use crate::proto;

/// One hold that this run asked for.
#[derive(Debug, Clone)]
pub struct Taken {
    pub hold_id: Uuid,
    pub holder: u32,
    /// Which of the run's houses.
    pub house: u32,
    /// Which of the house's seats.
    pub seats: Range<u32>,
    pub fate: Fate,
}

/// What a hold has come to, as far as it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Hold had no answer: there may be such a hold.
    Asked,
    Held,
    Released,
    /// By this order.
    Confirmed(Uuid),
    /// Release or Confirm had no answer: either may be true.
    Unsettled,
    /// Told to have ended by itself.
    Ended,
}

impl Fate {
    /// In words: what it was told to be.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked for",
            Self::Held => "held",
            Self::Released => "released",
            Self::Confirmed(_) => "sold",
            Self::Unsettled => "sold or released, or neither",
            Self::Ended => "at its end",
        }
    }
}

/// Milliseconds since 1970.
pub fn millis(time: &prost_types::Timestamp) -> i64 {
    time.seconds * 1_000 + i64::from(time.nanos / 1_000_000)
}

/// Who holds: told apart by the run and the worker.
pub fn holder_id(run: &str, holder: u32) -> String {
    format!("{run}-{holder}")
}

/// What pays for a hold.
pub fn payment_reference(hold_id: Uuid) -> String {
    format!("load-{hold_id}")
}

impl Taken {
    /// A hold that is asked for now, under a new id.
    pub fn new(house: u32, holder: u32, seats: Range<u32>) -> Self {
        let hold_id = Uuid::now_v7();
        Self { hold_id, holder, house, seats, fate: Fate::Asked }
    }

    pub fn seats_of<'a>(&self, houses: &'a [House]) -> &'a [String] {
        &self.house_of(houses).seats[self.seats.start as usize..self.seats.end as usize]
    }

    pub fn house_of<'a>(&self, houses: &'a [House]) -> &'a House {
        &houses[self.house as usize]
    }

    pub fn hold_request(
        &self,
        run: &str,
        houses: &[House],
        ttl: Option<prost_types::Duration>,
    ) -> proto::HoldRequest {
        proto::HoldRequest {
            event_id: self.house_of(houses).event_id.clone(),
            holder_id: holder_id(run, self.holder),
            hold_id: self.hold_id.to_string(),
            seat_ids: self.seats_of(houses).to_vec(),
            areas: Vec::new(),
            ttl,
            ..Default::default()
        }
    }

    pub fn confirm_request(&self, run: &str, houses: &[House]) -> proto::ConfirmRequest {
        proto::ConfirmRequest {
            event_id: self.house_of(houses).event_id.clone(),
            hold_id: self.hold_id.to_string(),
            holder_id: holder_id(run, self.holder),
            payment_reference: payment_reference(self.hold_id),
        }
    }

    pub fn release_request(&self, run: &str, houses: &[House]) -> proto::ReleaseRequest {
        proto::ReleaseRequest {
            event_id: self.house_of(houses).event_id.clone(),
            hold_id: self.hold_id.to_string(),
            holder_id: holder_id(run, self.holder),
            ..proto::ReleaseRequest::default()
        }
    }

    /// Notes the answer to its Hold; whether it may be there now.
    pub fn held(&mut self, answer: &Result<proto::HoldResponse, No>) -> bool {
        if answer.is_ok() {
            self.fate = Fate::Held;
        }
        !matches!(answer, Err(No::Refused(_)))
    }

    /// Notes the answer to its Release.
    pub fn released(&mut self, answer: &Result<proto::ReleaseResponse, No>) {
        self.fate = match answer {
            Ok(_) => Fate::Released,
            Err(no) => self.after(no),
        };
    }

    /// Notes the answer to its Confirm.
    pub fn confirmed(&mut self, answer: &Result<proto::ConfirmResponse, No>) {
        self.fate = match answer {
            // An id that is none is found by the check: no order has it.
            Ok(answer) => Fate::Confirmed(
                answer
                    .order
                    .as_ref()
                    .and_then(|order| order.order_id.parse().ok())
                    .unwrap_or_default(),
            ),
            Err(no) => self.after(no),
        };
    }

    /// What it is after its Release or Confirm was answered by a no.
    fn after(&self, no: &No) -> Fate {
        match (self.fate, no) {
            // Whether there is such a hold at all is as open as it was.
            (Fate::Asked, _) => Fate::Asked,
            (_, No::Failed(_)) => Fate::Unsettled,
            (_, No::Refused(reason)) if reason.starts_with("HOLD_") => Fate::Ended,
            // Not now: nothing was changed.
            (fate, No::Refused(_)) => fate,
        }
    }

    /// Whether it may still hold its seats.
    pub fn may_hold(&self) -> bool {
        matches!(self.fate, Fate::Asked | Fate::Held | Fate::Unsettled)
    }
}
