//! Every case: what is done, and how that must end. `docs/PAYMENTS.md` lists them.

mod late;
mod lied;
mod paid;
mod refunds;
mod unheard;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use holdfast::proto;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    chart,
    end::End,
    process::until,
    report::{Line, Report},
    sale::{SEAT, Sale, TOTAL, UNITS},
    stage::Stage,
};

const EVENT: &str = "demo";
/// Takes no late payment.
const STRICT_EVENT: &str = "demo-strict";
/// No case is longer under way.
const LONGEST: Duration = Duration::from_secs(120);
/// How long what was done may take to be seen everywhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done with an order; answers how that must end.
type Run = for<'a> fn(&'a mut Sale) -> LocalBoxFuture<'a, anyhow::Result<End>>;

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    done: &'static str,
    /// Whether it changes what VNPAY's side does to all.
    alone: bool,
    event_id: &'static str,
    run: Run,
}

const fn case(name: &'static str, done: &'static str, run: Run) -> Case {
    Case { name, done, alone: false, event_id: EVENT, run }
}

const TABLE: [Case; 26] = [
    // Those that wait long begin first.
    Case {
        alone: true,
        ..case("down-paid", "paid untold; VNPAY is down when the time is up; back", |s| {
            Box::pin(unheard::down_paid(s))
        })
    },
    Case {
        alone: true,
        ..case("down-unpaid", "nobody pays; VNPAY is down when the time is up; back", |s| {
            Box::pin(unheard::down_unpaid(s))
        })
    },
    Case {
        alone: true,
        ..case("refund-refused", "given back; VNPAY refuses for good; asked again", |s| {
            Box::pin(refunds::refused(s))
        })
    },
    Case {
        alone: true,
        ..case("some-refused", "two tickets given back; VNPAY refuses; asked again", |s| {
            Box::pin(refunds::some_refused(s))
        })
    },
    case("pay", "paid in time, and told", |s| Box::pin(paid::pay(s))),
    case("told-twice", "paid, and told as paid twice", |s| Box::pin(paid::told_twice(s))),
    case("paid-twice", "an attempt fails, a second is paid, then the first; given back", |s| {
        Box::pin(paid::paid_twice(s))
    }),
    case("fails-first", "an attempt fails, the next one is paid", |s| {
        Box::pin(paid::fails_first(s))
    }),
    case("replay", "paid; the IPN comes twice more, byte for byte", |s| Box::pin(paid::replay(s))),
    case("callback-first", "paid on the page: the IPN, then the browser", |s| {
        Box::pin(paid::callback_first(s))
    }),
    case("return-first", "paid: the browser comes back, then the IPN", |s| {
        Box::pin(paid::return_first(s))
    }),
    case("manual", "paid by Confirm, twice", |s| Box::pin(paid::manual(s))),
    case("late-free", "the hold ran out; paid; the seats are free", |s| Box::pin(late::free(s))),
    case("late-cancelled", "the time was up, cancelled; paid; the seats are free", |s| {
        Box::pin(late::cancelled_then_paid(s))
    }),
    case("late-gone", "the hold ran out, a seat went; paid; given back", |s| {
        Box::pin(late::gone(s))
    }),
    Case {
        event_id: STRICT_EVENT,
        ..case("late-refused", "the event takes no late payment; paid late", |s| {
            Box::pin(late::refused(s))
        })
    },
    case("late-manual", "the hold ran out, a seat went; Confirm; given back", |s| {
        Box::pin(late::manual(s))
    }),
    case("cancel-then-pay", "cancelled by its buyer; paid all the same", |s| {
        Box::pin(late::cancel_then_pay(s))
    }),
    case("wrong-amount", "told with another amount; then rightly", |s| {
        Box::pin(lied::wrong_amount(s))
    }),
    case("forged", "told by somebody else; then rightly", |s| Box::pin(lied::forged(s))),
    case("forged-alone", "told by somebody else; nobody pays", |s| Box::pin(lied::forged_alone(s))),
    case("no-callback", "paid untold; the time is up, VNPAY is asked", |s| {
        Box::pin(unheard::no_callback(s))
    }),
    case("nobody-pays", "the page was opened; the time is up", |s| {
        Box::pin(unheard::nobody_pays(s))
    }),
    case("page-unopened", "the page was not opened; the time is up", |s| {
        Box::pin(unheard::page_unopened(s))
    }),
    case("refund-whole", "paid; all given back", |s| Box::pin(refunds::whole(s))),
    case("refund-some", "paid; two of four tickets given back", |s| Box::pin(refunds::some(s))),
];

/// Plays all cases, or those whose names are given.
pub async fn play(stage: &Arc<Stage>, only: &[String], report: &Report) -> anyhow::Result<()> {
    let chosen = TABLE.iter().filter(|case| only.is_empty() || only.iter().any(|n| n == case.name));
    let chosen: Vec<Case> = chosen.copied().collect();
    let names: Vec<&str> = TABLE.iter().map(|case| case.name).collect();
    let usual = stage.create_event(chart::of_cases(EVENT, &names)).await?;
    let mut strict = chart::of_cases(STRICT_EVENT, &names);
    if let Some(event) = &mut strict.event {
        event.set_late_payment(proto::LatePayment::Refund);
    }
    let strict = stage.create_event(strict).await?;

    let mut playing: FuturesUnordered<_> = chosen
        .into_iter()
        .map(|case| {
            let watch = if case.event_id == EVENT { usual.clone() } else { strict.clone() };
            let sale = Sale::new(stage.clone(), watch, case.event_id, case.name);
            play_one(case, sale)
        })
        .collect();
    let mut ended = Vec::new();
    while let Some((line, sale, expected)) = playing.next().await {
        report.tell(line.clone());
        ended.extend(expected.map(|expected| (line, sale, expected)));
    }
    // What has come to its end stays there.
    for (line, sale, expected) in ended {
        let found = End::find(stage, &sale.watch, &sale.traces).await?;
        if line.ok && !found.fits(&expected) {
            let wrong = vec!["it did not stay so".to_owned()];
            report.amend(judge(case_of(line.case), &found, &expected, wrong));
        }
    }
    Ok(())
}

fn case_of(name: &str) -> Case {
    TABLE.into_iter().find(|case| case.name == name).unwrap_or(TABLE[0])
}

async fn play_one(case: Case, mut sale: Sale) -> (Line, Sale, Option<End>) {
    let stage = sale.stage.clone();
    let ran = async {
        let _together = match case.alone {
            true => None,
            false => Some(stage.alone.read().await),
        };
        let expected = (case.run)(&mut sale).await?;
        let reached = until("its end", PATIENCE, async || {
            let found = End::find(&stage, &sale.watch, &sale.traces).await.ok()?;
            found.fits(&expected).then_some(())
        });
        // What is wrong is told below.
        let _ = reached.await;
        anyhow::Ok(expected)
    };
    let ran = timeout(LONGEST, ran.boxed_local()).await;
    let found = End::find(&stage, &sale.watch, &sale.traces).await.unwrap_or_default();
    let (expected, trouble) = match ran {
        Ok(Ok(expected)) => (Some(expected), Vec::new()),
        Ok(Err(error)) => (None, vec![format!("{error:#}")]),
        Err(_) => (None, vec!["it came to no end".to_owned()]),
    };
    let wrong = [std::mem::take(&mut sale.wrong), trouble].concat();
    let line = judge(case, &found, expected.as_ref().unwrap_or(&found), wrong);
    (line, sale, expected)
}

fn judge(case: Case, found: &End, expected: &End, mut wrong: Vec<String>) -> Line {
    if !found.fits(expected) {
        let expected = End { told: expected.events.clone(), ..expected.clone() };
        wrong.push(format!("expected {}", json!(expected)));
    }
    Line {
        case: case.name,
        done: case.done.to_owned(),
        end: json!(found),
        ok: wrong.is_empty(),
        wrong,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// An order that waits for its payment.
fn pending() -> End {
    End {
        order: "PENDING".to_owned(),
        payments: texts(&["BEGUN"]),
        hold: "open".to_owned(),
        events: texts(&["CREATED"]),
        seats: texts(&["HELD", "HELD"]),
        units_left: Some(UNITS - 2),
        ..End::default()
    }
}

/// An order that was paid in time, and told so once.
fn sold() -> End {
    End {
        order: "PAID".to_owned(),
        payments: texts(&["PAID/ORDER"]),
        tickets: 4,
        hold: "confirmed".to_owned(),
        events: texts(&["CREATED", "PAID"]),
        seats: texts(&["HELD SOLD", "HELD SOLD"]),
        ipn: texts(&["00"]),
        mails: texts(&["order_paid with 4 codes"]),
        ..pending()
    }
}

/// An order whose time was up.
fn cancelled() -> End {
    End {
        order: "CANCELLED".to_owned(),
        hold: "expired".to_owned(),
        events: texts(&["CREATED", "CANCELLED"]),
        seats: texts(&["HELD AVAILABLE", "HELD AVAILABLE"]),
        units_left: Some(UNITS),
        mails: texts(&["order_cancelled"]),
        ..pending()
    }
}

/// An order that was paid when it could not be sold any more.
fn due() -> End {
    End {
        order: "REFUND_DUE".to_owned(),
        payments: texts(&["PAID/REFUND"]),
        refunds: vec![format!("DUE {TOTAL}")],
        events: texts(&["CREATED", "REFUND_DUE"]),
        ipn: texts(&["00"]),
        mails: Vec::new(),
        ..cancelled()
    }
}

/// An order that was paid, and all given back.
fn given_back() -> End {
    End {
        order: "REFUNDED".to_owned(),
        refunds: vec![format!("DONE {TOTAL}")],
        tickets: 0,
        void_tickets: 4,
        events: texts(&["CREATED", "PAID", "REFUND_DUE", "REFUNDED"]),
        seats: texts(&["HELD SOLD AVAILABLE", "HELD SOLD AVAILABLE"]),
        units_left: Some(UNITS),
        given_back: vec![format!("02 {TOTAL}")],
        mails: texts(&["order_paid with 4 codes", "order_refunded"]),
        ..sold()
    }
}

/// The price of a seat and a unit.
const PART: i64 = SEAT + crate::sale::UNIT;
