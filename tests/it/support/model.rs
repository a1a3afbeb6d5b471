//! What holds are, on a page: the rules as the contract tells them, without
//! clocks, stores or servers.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::proto::{GetSeatMapResponse, Hold, HoldRequest, HoldState, SeatState, SeatStatus};

pub const SEATS: usize = 12;
pub const CAPACITY: i32 = 20;
pub const PER_HOLD: usize = 5;
pub const PER_HOLDER: usize = 14;
pub const HOLDS_PER_HOLDER: usize = 3;

/// A hold as the model has it.
#[derive(Debug, Clone)]
pub struct Held {
    pub request: HoldRequest,
    pub holder: usize,
    pub seats: BTreeSet<usize>,
    pub units: i32,
    pub units_at_first: i32,
    pub state: HoldState,
    pub payment: Option<usize>,
}

/// What a call comes to: the hold as it is then, or the reason of a refusal.
pub type Verdict = Result<View, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub state: HoldState,
    pub seats: Vec<String>,
    pub units: i32,
}

#[derive(Debug, Default)]
pub struct Model {
    pub holds: Vec<Held>,
    /// Which hold paid with which payment.
    pub payments: BTreeMap<usize, usize>,
}

impl Model {
    pub fn holds_it(&self, seat: usize) -> bool {
        self.living().any(|held| held.seats.contains(&seat))
    }

    pub fn living(&self) -> impl Iterator<Item = &Held> {
        self.holds.iter().filter(|held| {
            matches!(held.state, HoldState::Active | HoldState::Confirming | HoldState::Confirmed)
        })
    }

    pub fn is_shown_by(&self, map: &GetSeatMapResponse) -> bool {
        let held: i32 = self.living().map(|held| held.units).sum();
        let seat_is_shown = |seat: &SeatState| {
            let number = seat.seat_id[2..].parse().unwrap();
            let owner = self.living().find(|held| held.seats.contains(&number));
            let expected = match owner.map(|held| held.state) {
                None => SeatStatus::Available,
                Some(HoldState::Confirmed) => SeatStatus::Sold,
                Some(_) => SeatStatus::Held,
            };
            seat.status() == expected
        };
        map.areas[0].available == CAPACITY - held && map.seats.iter().all(seat_is_shown)
    }

    pub fn hold(
        &mut self,
        request: HoldRequest,
        holder: usize,
        seats: BTreeSet<usize>,
        units: i32,
    ) -> Verdict {
        let asked = seats.len() + units as usize;
        let used: usize = self
            .living()
            .filter(|held| held.holder == holder)
            .map(|held| held.seats.len() + held.units as usize)
            .sum();
        let is_open = |state| matches!(state, HoldState::Active | HoldState::Confirming);
        let open = self.holds.iter().filter(|held| held.holder == holder && is_open(held.state));
        let free = CAPACITY - self.living().map(|held| held.units).sum::<i32>();
        let refused = if asked > PER_HOLD {
            Some("HOLDER_LIMIT_EXCEEDED")
        } else if seats.iter().any(|&seat| self.holds_it(seat)) {
            Some("SEAT_UNAVAILABLE")
        } else if free < units {
            Some("INSUFFICIENT_CAPACITY")
        } else if used + asked > PER_HOLDER || open.count() >= HOLDS_PER_HOLDER {
            Some("HOLDER_LIMIT_EXCEEDED")
        } else {
            None
        };
        let state = HoldState::Active;
        let held =
            Held { request, holder, seats, units, units_at_first: units, state, payment: None };
        if let Some(reason) = refused {
            return Err(reason.into());
        }
        let view = held.view();
        self.holds.push(held);
        Ok(view)
    }

    pub fn again(&self, hold: usize) -> Verdict {
        let held = &self.holds[hold];
        match held.state {
            _ if held.request.holder_id != held.named().holder_id => Err("HOLD_ID_REUSED".into()),
            HoldState::Released | HoldState::Expired => Err(held.refusal()),
            _ => Ok(held.view()),
        }
    }

    pub fn extend(&self, hold: usize, holder: usize) -> Verdict {
        let held = &self.holds[hold];
        match held.state {
            _ if holder != held.holder => Err("HOLD_NOT_FOUND".into()),
            HoldState::Active => Ok(held.view()),
            _ => Err(held.refusal()),
        }
    }

    /// All that the hold shall have.
    pub fn change(
        &mut self,
        hold: usize,
        holder: usize,
        seats: BTreeSet<usize>,
        units: i32,
    ) -> Verdict {
        let held = self.holds[hold].clone();
        match held.state {
            _ if holder != held.holder => return Err("HOLD_NOT_FOUND".into()),
            HoldState::Active => {}
            _ => return Err(held.refusal()),
        }
        if held.seats == seats && held.units == units {
            return Ok(held.view());
        }
        let count = |held: &Held| held.seats.len() + held.units as usize;
        let (before, after) = (count(&held), seats.len() + units as usize);
        let used: usize = self.living().filter(|held| held.holder == holder).map(count).sum();
        let free = CAPACITY - self.living().map(|held| held.units).sum::<i32>();
        let mut new = seats.difference(&held.seats);
        let refused = if after > before && after > PER_HOLD {
            Some("HOLDER_LIMIT_EXCEEDED")
        } else if new.any(|&seat| self.holds_it(seat)) {
            Some("SEAT_UNAVAILABLE")
        } else if units > held.units && free < units - held.units {
            Some("INSUFFICIENT_CAPACITY")
        } else if after > before && used - before + after > PER_HOLDER {
            Some("HOLDER_LIMIT_EXCEEDED")
        } else {
            None
        };
        if let Some(reason) = refused {
            return Err(reason.into());
        }
        let held = &mut self.holds[hold];
        (held.seats, held.units, held.units_at_first) = (seats, units, units);
        Ok(held.view())
    }

    /// By an operator.
    pub fn force_release(&mut self, hold: usize) -> Verdict {
        let held = &mut self.holds[hold];
        match held.state {
            HoldState::Released | HoldState::Active => held.state = HoldState::Released,
            _ => return Err(held.refusal()),
        }
        Ok(held.view())
    }

    /// By an operator, whatever the other holder has.
    pub fn reassign(&mut self, hold: usize, to: usize) -> Verdict {
        let held = &mut self.holds[hold];
        match held.state {
            HoldState::Active => held.holder = to,
            _ => return Err(held.refusal()),
        }
        Ok(held.view())
    }

    pub fn release(&mut self, hold: usize, seats: &BTreeSet<usize>, units: i32) -> Verdict {
        let held = &mut self.holds[hold];
        match held.state {
            HoldState::Released => return Ok(held.view()),
            HoldState::Active => {}
            _ => return Err(held.refusal()),
        }
        let kept: BTreeSet<usize> = held.seats.difference(seats).copied().collect();
        let kept_units = match units {
            0 => held.units,
            units => held.units.min((held.units_at_first - units).max(0)),
        };
        let all = seats.is_empty() && units == 0;
        if all || (kept.is_empty() && kept_units == 0) {
            // It ends with what it had.
            held.state = HoldState::Released;
        } else {
            (held.seats, held.units) = (kept, kept_units);
        }
        Ok(held.view())
    }

    pub fn confirm(&mut self, hold: usize, payment: usize) -> Verdict {
        let paid_for = self.payments.get(&payment).copied();
        let held = &mut self.holds[hold];
        match held.state {
            HoldState::Confirmed if held.payment == Some(payment) => return Ok(held.view()),
            HoldState::Active | HoldState::Confirming => {}
            _ => return Err(held.refusal()),
        }
        if paid_for.is_some() {
            held.state = HoldState::Confirming;
            return Err("PAYMENT_REFERENCE_USED".into());
        }
        (held.state, held.payment) = (HoldState::Confirmed, Some(payment));
        let view = held.view();
        self.payments.insert(payment, hold);
        Ok(view)
    }
}

impl Held {
    pub fn view(&self) -> View {
        let seats = self.seats.iter().map(|seat| format!("S-{seat}")).collect();
        View { state: self.state, seats, units: self.units }
    }

    /// Why nothing more can be done with it.
    pub fn refusal(&self) -> String {
        match self.state {
            HoldState::Confirming => "HOLD_CONFIRMING",
            HoldState::Confirmed => "HOLD_CONFIRMED",
            HoldState::Released => "HOLD_RELEASED",
            HoldState::Expired => "HOLD_EXPIRED",
            state => unreachable!("{state:?}"),
        }
        .into()
    }

    /// The hold as its caller would name it.
    pub fn named(&self) -> Hold {
        Hold {
            event_id: self.request.event_id.clone(),
            hold_id: self.request.hold_id.clone(),
            holder_id: format!("holder-{}", self.holder),
            ..Hold::default()
        }
    }
}
