//! Random interleavings of all that can happen to holds, against a model that
//! fits on a page: model and system agree on every answer.

use std::collections::BTreeSet;

use holdfast::proto::{Hold, HoldDurability, HoldState, Order};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tonic::Status;

use crate::change_hold::{change, to};
use crate::operator::{force_release, reassign};
use crate::support::{
    Server, Stage, eventually, floor, hold_request,
    model::{CAPACITY, HOLDS_PER_HOLDER, Model, PER_HOLD, PER_HOLDER, SEATS, Verdict, View},
    refusal, seat, small_event,
};

const CASES: u32 = 20;
const STEPS: usize = 200;

/// One call. Holds and payments are named by when they were first used, round
/// and round.
#[derive(Debug, Clone)]
enum Step {
    Hold {
        holder: usize,
        seats: BTreeSet<usize>,
        units: i32,
    },
    HoldAgain {
        hold: usize,
    },
    HoldReused {
        hold: usize,
        seats: BTreeSet<usize>,
    },
    Extend {
        hold: usize,
        holder: Option<usize>,
    },
    Change {
        hold: usize,
        holder: Option<usize>,
        seats: BTreeSet<usize>,
        units: i32,
    },
    /// An operator's.
    ForceRelease {
        hold: usize,
    },
    Reassign {
        hold: usize,
        holder: usize,
    },
    Release {
        hold: usize,
        seats: BTreeSet<usize>,
        units: i32,
    },
    Confirm {
        hold: usize,
        payment: Option<usize>,
    },
    /// Its time runs out.
    Expire {
        hold: usize,
    },
    Get {
        hold: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let hold = 0..60_usize;
    let seats = || prop::collection::btree_set(0..SEATS, 0..4);
    prop_oneof![
        6 => (0..3_usize, seats(), 0..4).prop_map(|(holder, mut seats, units)| {
            if seats.is_empty() && units == 0 {
                seats.insert(0);
            }
            Step::Hold { holder, seats, units }
        }),
        1 => hold.clone().prop_map(|hold| Step::HoldAgain { hold }),
        1 => (hold.clone(), seats()).prop_map(|(hold, seats)| Step::HoldReused { hold, seats }),
        2 => (hold.clone(), prop::option::weighted(0.2, 0..3_usize))
            .prop_map(|(hold, holder)| Step::Extend { hold, holder }),
        4 => (hold.clone(), prop::option::weighted(0.1, 0..3_usize), seats(), 0..4)
            .prop_map(|(hold, holder, mut seats, units)| {
                if seats.is_empty() && units == 0 {
                    seats.insert(0);
                }
                Step::Change { hold, holder, seats, units }
            }),
        1 => hold.clone().prop_map(|hold| Step::ForceRelease { hold }),
        2 => (hold.clone(), 0..3_usize)
            .prop_map(|(hold, holder)| Step::Reassign { hold, holder }),
        3 => (hold.clone(), seats(), 0..4)
            .prop_map(|(hold, seats, units)| Step::Release { hold, seats, units }),
        3 => (hold.clone(), prop::option::weighted(0.2, 0..60_usize))
            .prop_map(|(hold, payment)| Step::Confirm { hold, payment }),
        3 => hold.clone().prop_map(|hold| Step::Expire { hold }),
        2 => hold.prop_map(|hold| Step::Get { hold }),
    ]
}

fn view(answer: Result<Hold, Status>) -> Verdict {
    match answer {
        Ok(hold) => Ok(View {
            state: hold.state(),
            units: hold.areas.iter().map(|area| area.quantity).sum(),
            seats: hold.seat_ids,
        }),
        Err(status) => Err(refusal(Err::<(), _>(status)).reason),
    }
}

/// An order as the hold that it ends.
fn sold_view(answer: Result<Order, Status>) -> Verdict {
    use holdfast::proto::ticket::Place;
    let order = answer.map_err(|status| refusal(Err::<(), _>(status)).reason)?;
    let (mut seats, mut units) = (Vec::new(), 0);
    for ticket in order.tickets {
        match ticket.place.unwrap() {
            Place::SeatId(seat) => seats.push(seat),
            Place::AreaId(_) => units += 1,
        }
    }
    Ok(View { state: HoldState::Confirmed, seats, units })
}

impl Step {
    /// The hold that it names; `None` where it makes one.
    fn hold_mut(&mut self) -> Option<&mut usize> {
        match self {
            Step::Hold { .. } => None,
            Step::HoldAgain { hold }
            | Step::HoldReused { hold, .. }
            | Step::Extend { hold, .. }
            | Step::Change { hold, .. }
            | Step::ForceRelease { hold }
            | Step::Reassign { hold, .. }
            | Step::Release { hold, .. }
            | Step::Confirm { hold, .. }
            | Step::Expire { hold }
            | Step::Get { hold } => Some(hold),
        }
    }
}

/// A hold is released by an operator, or given to another holder.
async fn by_hand(
    server: &Server,
    model: &mut Model,
    hold: usize,
    to: Option<usize>,
) -> (Verdict, Verdict) {
    let named = model.holds[hold].named();
    match to {
        None => (view(force_release(server, &named).await), model.force_release(hold)),
        Some(holder) => {
            let to = format!("holder-{holder}");
            (view(reassign(server, &named, &to).await), model.reassign(hold, holder))
        }
    }
}

/// The step at the system and in the model; false where there was nothing to
/// do it with.
async fn take(server: &Server, model: &mut Model, event_id: &str, mut step: Step) -> bool {
    if let Some(hold) = step.hold_mut() {
        if model.holds.is_empty() {
            return false;
        }
        *hold %= model.holds.len();
    }
    let ids = |seats: &BTreeSet<usize>| seats.iter().map(|i| format!("S-{i}")).collect::<Vec<_>>();
    let units_of = |units: i32| if units > 0 { floor(units) } else { vec![] };
    let (told, expected): (Verdict, Verdict) = match step.clone() {
        Step::Hold { holder, seats, units } => {
            let mut request = hold_request(&format!("holder-{holder}"), &[]);
            request.event_id = event_id.into();
            (request.seat_ids, request.areas) = (ids(&seats), units_of(units));
            let told = view(server.hold(request.clone()).await);
            (told, model.hold(request, holder, seats, units))
        }
        Step::HoldAgain { hold } => {
            (view(server.hold(model.holds[hold].request.clone()).await), model.again(hold))
        }
        Step::HoldReused { hold, seats } => {
            let mut request = model.holds[hold].request.clone();
            (request.seat_ids, request.areas) = (ids(&seats), floor(CAPACITY));
            (view(server.hold(request).await), Err("HOLD_ID_REUSED".into()))
        }
        Step::Extend { hold, holder } => {
            let mut named = model.holds[hold].named();
            let holder = holder.unwrap_or(model.holds[hold].holder);
            named.holder_id = format!("holder-{holder}");
            (view(server.extend_hold(&named, 600_000).await), model.extend(hold, holder))
        }
        Step::Change { hold, holder, seats, units } => {
            let holder = holder.unwrap_or(model.holds[hold].holder);
            let named = Hold { holder_id: format!("holder-{holder}"), ..model.holds[hold].named() };
            let told = view(change(server, to(&named, ids(&seats), units_of(units))).await);
            (told, model.change(hold, holder, seats, units))
        }
        Step::ForceRelease { hold } => by_hand(server, model, hold, None).await,
        Step::Reassign { hold, holder } => by_hand(server, model, hold, Some(holder)).await,
        Step::Release { hold, seats, units } => {
            let named = ids(&seats);
            let named: Vec<&str> = named.iter().map(String::as_str).collect();
            let held = model.holds[hold].named();
            let told = view(server.release(&held, &named, units_of(units)).await);
            (told, model.release(hold, &seats, units))
        }
        Step::Confirm { hold, payment } => {
            let payment = payment.unwrap_or(hold);
            let reference = format!("{event_id}-{payment}");
            let held = model.holds[hold].named();
            let told = sold_view(server.confirm(&held, &reference).await);
            (told, model.confirm(hold, payment))
        }
        Step::Expire { hold } => {
            if model.holds[hold].state != HoldState::Active {
                return false;
            }
            server.expire(&model.holds[hold].named()).await;
            model.holds[hold].state = HoldState::Expired;
            return true;
        }
        Step::Get { hold } => {
            let id = &model.holds[hold].request.hold_id;
            (view(server.get_hold(event_id, id).await), Ok(model.holds[hold].view()))
        }
    };
    assert_eq!(told, expected, "{step:?}");
    true
}

/// All steps, at two servers in turn; answers how many there were to take.
async fn play(servers: [&Server; 2], journaled: bool, steps: &[Step]) -> usize {
    let event_id = uuid::Uuid::now_v7().to_string();
    let mut event = small_event(&event_id);
    let chart = event.chart.as_mut().unwrap();
    chart.sections[0].rows.truncate(1);
    chart.sections[0].rows[0].seats = (0..SEATS).map(|i| seat(&format!("S-{i}"))).collect();
    chart.areas[0].capacity = CAPACITY;
    let own = event.event.as_mut().unwrap();
    own.max_units_per_hold = PER_HOLD as i32;
    own.max_units_per_holder = PER_HOLDER as i32;
    own.max_holds_per_holder = HOLDS_PER_HOLDER as i32;
    if journaled {
        own.set_hold_durability(HoldDurability::Journaled);
    }
    servers[0].create_event(event).await.unwrap();

    let mut model = Model::default();
    let mut taken = 0;
    for (i, step) in steps.iter().enumerate() {
        let server = servers[i % 2];
        taken += usize::from(take(server, &mut model, &event_id, step.clone()).await);
    }
    // At the end the house is what the model has, once expiry is told.
    for server in servers {
        eventually("the house is the model's", async || {
            let map = server.get_seat_map(&event_id).await.unwrap();
            model.is_shown_by(&map).then_some(())
        })
        .await;
    }
    taken
}

#[test]
fn model_and_system_agree_on_every_answer() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stage, other) = runtime.block_on(async {
        let stage = Stage::empty().await;
        let other = stage.another_server().await;
        (stage, other)
    });
    let taken = std::cell::Cell::new(0);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(any::<bool>(), prop::collection::vec(step(), STEPS)), |(journaled, steps)| {
            let count = runtime.block_on(play([&stage.server, &other], journaled, &steps));
            taken.set(taken.get() + count);
            Ok(())
        })
        .unwrap();
    assert!(taken.get() > 3_000, "only {} steps could be taken", taken.get());
}
