//! Room 2, the story: one file per use case, its side effects in order.
//!
//! Only a flow knows both stores. Each reads once from top to bottom: numbered
//! steps, and why each stands before the next. `docs/ARCHITECTURE.md` says
//! what all of them together promise.

mod add_areas;
mod add_seats;
mod admission;
mod allocate_area;
mod allocate_seats;
mod ask_providers;
mod audit;
mod audit_stream;
mod block_seats;
mod board;
mod cancel_order;
mod cancel_stale_orders;
mod carry;
mod change_hold;
mod channels;
mod confirm;
mod couriers;
mod create_event;
mod create_order;
mod create_webhook;
mod deliver;
mod draw_up;
mod ended;
mod error;
mod event;
mod expire_holds;
mod extend_hold;
mod force_extend;
mod force_release;
mod get_event;
mod get_hold;
mod get_order;
mod get_seat_map;
mod give_back;
mod hold;
mod inspect;
mod join;
mod journal_first;
mod journal_holds;
mod leave_queue;
mod let_in;
mod list_allocations;
mod list_events;
mod list_open_holds;
mod list_operator_actions;
mod load_event;
mod loading;
mod manage_webhooks;
mod mend_offers;
mod offer_seats;
mod order_event_tail;
mod pay_order;
mod pick;
mod preload;
mod presence;
mod probe;
mod prune;
mod publish_order_events;
mod reassign_hold;
mod reconcile;
mod refund_order;
mod release;
mod repair;
mod repeat_outbox;
mod search_events;
mod settle_payments;
mod stream_order_events;
mod stream_position;
mod stream_seat_updates;
mod stream_waiting_list;
mod take_callback;
mod tell_caches;
mod unblock_seats;
mod update_event;
mod waiting_list;

pub use add_seats::AddSeatsRequest;
pub use audit::{Audit, Audited};
pub use cancel_order::CancelOrderRequest;
pub use change_hold::ChangeHoldRequest;
pub use channels::{ChannelKeys, Override};
pub use confirm::ConfirmRequest;
pub use couriers::Couriers;
pub use create_order::{CreateOrderRequest, OrderToPay};
pub use create_webhook::CreateWebhookRequest;
pub use deliver::message_id;
pub use error::Error;
pub use extend_hold::ExtendHoldRequest;
pub use force_extend::ForceExtendRequest;
pub use force_release::ForceReleaseRequest;
pub use get_seat_map::{SeatFormat, SeatMapView, Seats};
pub use hold::{Held, HoldRequest, Right};
pub use inspect::{HoldsAfter, OpenHold, OpenHolds, Overview, SeatHistory};
pub use manage_webhooks::DeadLetterPaging;
pub use reassign_hold::ReassignRequest;
pub use release::ReleaseRequest;
pub use search_events::EncodeFound;
pub use stream_order_events::{OrderEventMessage, OrderEventStream};
pub use stream_position::PositionStream;
pub use stream_seat_updates::{SeatMessage, SeatStream, SeatStreamRequest};
pub use stream_waiting_list::WaitingEntryStream;
pub use waiting_list::EntryRequest;

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    cache::Cache,
    domain::{ChartDraft, Event},
    feed::Feeds,
    holds::Holds,
    ledger::{self, Ledger},
    limits::{MAX_HOLDS_EXPIRING, SEARCHES_AT_ONCE},
    payments::Providers,
    presence::Presence,
    queue::Queue,
    telemetry,
};
use loading::{Loading, Turns};

/// All use cases, and what they work with.
pub struct Flows {
    holds: Arc<Holds>,
    ledger: Arc<Ledger>,
    feeds: Arc<Feeds>,
    cache: Cache<Error>,
    presence: Presence,
    queue: Queue,
    providers: Arc<Providers>,
    couriers: Couriers,
    encoders: Encoders,
    /// What this server knows of the events that it works on.
    events: event::Events,
    /// What it knows of the free seats of those in which seats were found.
    boards: board::Boards,
    preloaded: preload::Preloaded,
    /// Room for searches that Postgres works on at the same time.
    searching: Semaphore,
    /// Who reads a newer revision of an event.
    reading: Turns,
    loading: Loading,
    waiting_lists: stream_waiting_list::WaitingLists,
    /// Outbox rows whose work is done, to be marked together.
    finished: Mutex<Vec<i64>>,
    /// Room for holds that run out, to be ended at the same time.
    expiring: Semaphore,
    /// Mutations under way.
    tasks: TaskTracker,
}

/// The rooms that use cases work with.
pub struct Rooms {
    pub holds: Arc<Holds>,
    pub ledger: Arc<Ledger>,
    pub feeds: Arc<Feeds>,
    pub cache: Cache<Error>,
    pub presence: Presence,
    pub queue: Queue,
    pub providers: Arc<Providers>,
    pub couriers: Couriers,
    pub encoders: Encoders,
}

/// How the door makes bytes of what the caches keep.
#[derive(Clone, Copy)]
pub struct Encoders {
    /// An event and its chart, as GetEvent answers them.
    pub detail: fn(Event, ChartDraft) -> Bytes,
    /// An event as a part of a page of ListEvents: one after the other they are the page.
    pub listed: fn(Event) -> Bytes,
}

impl Flows {
    pub fn new(rooms: Rooms) -> Arc<Self> {
        let Rooms { holds, ledger, feeds, cache, presence, queue, providers, couriers, encoders } =
            rooms;
        Arc::new(Self {
            holds,
            ledger,
            feeds,
            cache,
            presence,
            queue,
            providers,
            couriers,
            encoders,
            events: event::cache(),
            boards: board::boards(),
            preloaded: preload::preloaded(),
            searching: Semaphore::new(SEARCHES_AT_ONCE),
            reading: Turns::default(),
            loading: Loading::new(),
            waiting_lists: stream_waiting_list::WaitingLists::new(),
            finished: Mutex::default(),
            expiring: Semaphore::new(MAX_HOLDS_EXPIRING),
            tasks: TaskTracker::new(),
        })
    }

    /// Carries a mutation through to its end, even where its caller goes away
    /// meanwhile: half a mutation is only mended later. What is not begun by then is not
    /// begun any more.
    ///
    /// # Errors
    /// Those of the mutation, and [`Error::Internal`] where it panics.
    pub fn carry_through<T: Send + 'static>(
        &self,
        mutation: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        carry::through(&self.tasks, Box::pin(telemetry::carried(mutation)))
    }

    /// Tells the metrics how this server's ways to the stores are used.
    pub fn measure(&self) {
        self.holds.measure();
        self.ledger.measure();
    }

    /// What is not done, or not paid.
    pub async fn backlog(&self) -> Result<ledger::Backlog, Error> {
        Ok(self.ledger.backlog().await?)
    }

    /// Waits until all mutations are through. No new ones may begin.
    pub async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
