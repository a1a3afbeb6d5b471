//! The judge: asks afterwards, by the contract alone, whether every answer is still
//! true, and no seat is held or sold twice.
//!
//! Each hold is asked for; each sale is confirmed again, which answers its order as
//! Postgres has it; then every event's seat map must show what was found, and, where
//! nobody else is, nothing else.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    time::SystemTime,
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::{
    Run,
    book::{Fate, Taken, holder_id},
    client::{No, told, why},
};
use crate::{
    limits::{LOAD_ASIDE_IN_FLIGHT, LOAD_CLOCK_SKEW},
    proto::{self, GetHoldRequest, GetSeatMapRequest, HoldState, OrderState, SeatStatus},
};

/// What a seat of an event must be.
#[derive(Debug, Clone)]
enum Claim {
    /// Nobody of us has it.
    Free,
    /// By this hold, until then.
    Held(Uuid, i64),
    Sold(Uuid),
    /// It is running out while we look, or something about it was told already.
    Unclear,
}

/// What one hold turned out to be.
struct Found<'a> {
    taken: &'a Taken,
    claim: Claim,
    violations: Vec<String>,
}

/// Every answer that is not true, in words.
///
/// # Errors
/// Where the server cannot be asked.
pub async fn check(run: &Run, book: &[Taken]) -> anyhow::Result<Vec<String>> {
    let found = stream::iter(book.iter().enumerate())
        .map(|(n, taken)| look(run, n, taken))
        .buffered(LOAD_ASIDE_IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await
        .context("cannot check")?;
    let mut claims: Vec<Vec<Claim>> =
        run.houses.iter().map(|house| vec![Claim::Free; house.seats.len()]).collect();
    let mut violations = Vec::new();
    for found in found {
        violations.extend(found.violations);
        claim(run, &mut claims, found.taken, &found.claim, &mut violations);
    }
    for (n, claims) in claims.iter().enumerate() {
        violations.extend(compare(run, n, claims).await.context("cannot check")?);
    }
    Ok(violations)
}

/// Asks for one hold, and for its order.
async fn look<'a>(run: &Run, n: usize, taken: &'a Taken) -> anyhow::Result<Found<'a>> {
    let house = taken.house_of(&run.houses);
    let (event_id, hold_id) = (house.event_id.clone(), taken.hold_id.to_string());
    let answer = run.clients.of(n).get_hold(GetHoldRequest { event_id, hold_id }).await;
    let hold = match told(answer) {
        Ok(answer) => answer.hold.unwrap_or_default(),
        Err(No::Refused(reason)) if reason == "HOLD_NOT_FOUND" => {
            return Ok(missing(run, taken));
        }
        Err(no) => anyhow::bail!("GetHold: {no}"),
    };
    let mut violations = Vec::new();
    let mut say = |what: String| violations.push(about(run, taken, &what));
    let state = hold.state();
    if hold.holder_id != holder_id(&run.name, taken.holder) {
        say(format!("belongs to {}", hold.holder_id));
    }
    let has_all = hold.seat_ids == taken.seats_of(&run.houses);
    let lives = matches!(state, HoldState::Active | HoldState::Confirming);
    if !has_all && (lives || state == HoldState::Confirmed) {
        say(format!("has {} seat(s): {}", hold.seat_ids.len(), hold.seat_ids.join(" ")));
    }
    let expires_ms = hold.expire_time.as_ref().map_or(0, super::book::millis);
    let is_over = expires_ms <= now_ms();
    let claim = match (taken.fate, state) {
        (Fate::Confirmed(order_id), HoldState::Confirmed) => {
            if hold.order_id != order_id.to_string() {
                say(format!("was sold by order {order_id}, and says {}", hold.order_id));
            }
            violations.extend(order(run, n, taken, &order_id.to_string()).await?);
            Claim::Sold(taken.hold_id)
        }
        (Fate::Unsettled, HoldState::Confirmed) => {
            violations.extend(order(run, n, taken, &hold.order_id).await?);
            Claim::Sold(taken.hold_id)
        }
        (Fate::Asked | Fate::Held, HoldState::Active) => Claim::Held(taken.hold_id, expires_ms),
        (Fate::Unsettled, HoldState::Active | HoldState::Confirming) => {
            Claim::Held(taken.hold_id, expires_ms)
        }
        (Fate::Held | Fate::Asked | Fate::Unsettled, HoldState::Expired) if is_over => {
            Claim::Unclear
        }
        (Fate::Ended, HoldState::Expired | HoldState::Lost) => Claim::Unclear,
        (Fate::Asked | Fate::Released | Fate::Unsettled, HoldState::Released) => Claim::Free,
        (fate, state) => {
            say(format!("was {}, and is {}", fate.name(), state.as_str_name()));
            Claim::Unclear
        }
    };
    Ok(Found { taken, claim, violations })
}

/// Nobody knows the hold.
fn missing<'a>(run: &Run, taken: &'a Taken) -> Found<'a> {
    let (claim, violations) = match taken.fate {
        // It never came to be.
        Fate::Asked => (Claim::Free, Vec::new()),
        fate => {
            let what = format!("was {}, and is not there", fate.name());
            (Claim::Unclear, vec![about(run, taken, &what)])
        }
    };
    Found { taken, claim, violations }
}

/// Confirms a sale again: the same order, paid, with a ticket for each seat.
async fn order(run: &Run, n: usize, taken: &Taken, order_id: &str) -> anyhow::Result<Vec<String>> {
    let request = taken.confirm_request(&run.name, &run.houses);
    let order = match run.clients.of(n).confirm(request).await {
        Ok(answer) => answer.into_inner().order.unwrap_or_default(),
        Err(status) if matches!(status.code(), tonic::Code::Unavailable) => {
            return Err(why(&status).context("Confirm again"));
        }
        Err(status) => {
            let what = format!("was sold by order {order_id}, and now: {}", why(&status));
            return Ok(vec![about(run, taken, &what)]);
        }
    };
    let mut wrong = Vec::new();
    if order.order_id != order_id {
        wrong.push(format!("was sold by order {order_id}, and now by {}", order.order_id));
    }
    if order.state() != OrderState::Paid {
        wrong.push(format!("has an order that is {}", order.state().as_str_name()));
    }
    let tickets: BTreeSet<_> = order.tickets.iter().filter_map(seat_of).collect();
    let seats: BTreeSet<_> = taken.seats_of(&run.houses).iter().map(String::as_str).collect();
    if tickets != seats || order.tickets.len() != seats.len() {
        let tickets: Vec<_> = order.tickets.iter().filter_map(seat_of).collect();
        wrong.push(format!("has {} ticket(s): {}", order.tickets.len(), tickets.join(" ")));
    }
    Ok(wrong.iter().map(|what| about(run, taken, what)).collect())
}

fn seat_of(ticket: &proto::Ticket) -> Option<&str> {
    match ticket.place.as_ref()? {
        proto::ticket::Place::SeatId(seat_id) => Some(seat_id),
        proto::ticket::Place::AreaId(_) => None,
    }
}

/// Notes what the seats of a hold must be; two holds of one seat are a violation.
fn claim(
    run: &Run,
    claims: &mut [Vec<Claim>],
    taken: &Taken,
    claim: &Claim,
    violations: &mut Vec<String>,
) {
    if matches!(claim, Claim::Free) {
        return;
    }
    let Range { start, end } = taken.seats.clone();
    let claims = &mut claims[taken.house as usize][start as usize..end as usize];
    for (before, seat) in claims.iter_mut().zip(taken.seats_of(&run.houses)) {
        match (&*before, claim) {
            (Claim::Held(other, _) | Claim::Sold(other), Claim::Held(..) | Claim::Sold(_)) => {
                let what = format!("has seat {seat}, and so has hold {other}");
                violations.push(about(run, taken, &what));
            }
            (Claim::Held(..) | Claim::Sold(_), Claim::Unclear) => {}
            _ => *before = claim.clone(),
        }
    }
}

/// The seat map beside what it must show.
async fn compare(run: &Run, house: usize, claims: &[Claim]) -> anyhow::Result<Vec<String>> {
    let house = &run.houses[house];
    let request = GetSeatMapRequest { event_id: house.event_id.clone(), ..Default::default() };
    let map = run.clients.of(0).get_seat_map(request).await.map_err(|status| why(&status))?;
    let map = map.into_inner();
    let told: HashMap<_, _> =
        map.seats.iter().map(|seat| (seat.seat_id.as_str(), seat.status())).collect();
    let mut violations = Vec::new();
    for (seat, claim) in house.seats.iter().zip(claims) {
        let is = told.get(seat.as_str()).copied().unwrap_or_default();
        let (must_be, because) = match claim {
            Claim::Held(hold_id, expires_ms) if *expires_ms > now_ms() => {
                (SeatStatus::Held, format!("hold {hold_id} has it"))
            }
            Claim::Sold(hold_id) => (SeatStatus::Sold, format!("hold {hold_id} was sold")),
            Claim::Free if house.own => (SeatStatus::Available, "nobody has it".to_owned()),
            Claim::Free | Claim::Held(..) | Claim::Unclear => continue,
        };
        if is != must_be {
            violations.push(format!(
                "violation: event {}: seat {seat} is {} in the seat map, and {because}",
                house.event_id,
                is.as_str_name()
            ));
        }
    }
    Ok(violations)
}

fn about(run: &Run, taken: &Taken, what: &str) -> String {
    let event_id = &taken.house_of(&run.houses).event_id;
    let seats = taken.seats_of(&run.houses).join(" ");
    format!("violation: event {event_id}: hold {} of {seats} {what}", taken.hold_id)
}

/// Now, as late as it may be where expiry is decided.
fn now_ms() -> i64 {
    let now = SystemTime::now() + LOAD_CLOCK_SKEW;
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
