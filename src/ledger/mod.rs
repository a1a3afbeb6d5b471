//! Room 5, Postgres: who owns a seat for good.
//!
//! One file per noun, and one for the sale itself. A single statement is its
//! own transaction; what takes more than one goes through `run_tx`.
//! The first line of every statement names its function.

mod audit;
mod channels;
mod charts;
mod checkout;
mod columns;
mod confirm;
mod deliveries;
mod epochs;
mod error;
mod event_row;
mod events;
mod growth;
mod inspect;
mod journal;
mod measure;
mod migrations;
mod offers;
mod operator_actions;
mod order_events;
mod orders;
mod outbox;
mod outcomes;
mod payments;
mod refund_order;
mod refunds;
mod search;
mod seats;
mod secrets;
mod server;
mod session;
mod shares;
mod waiting_list;
mod webhooks;

pub use checkout::{NewOrder, OrderLine, StaleOrder};
pub use confirm::{CONFIRM_NEW, Sale, SaleTicket, SaleVerdict};
pub use deliveries::{Delivery, DeliveryCounts};
pub use epochs::Foundation;
pub use error::Error;
pub use events::{ActiveEvent, Created, SizedEvent, StoredEvent};
pub use growth::Growth;
pub use inspect::EventCounts;
pub use journal::{JournalBatch, Journaled, JournaledHold};
pub use measure::Backlog;
pub use offers::{ClaimedList, LooseOffer, MadeOffer, OfferEnds};
pub use operator_actions::ForcedRelease;
pub use order_events::Published;
pub use outbox::{Task, TaskKind};
pub use outcomes::Settled;
pub use payments::Unsellable;
pub use refund_order::Refunded;
pub use refunds::{ClaimedRefund, Returned};
pub use session::{RebuildLock, Settings};
pub use shares::{SharePlan, UnitMove};
pub use waiting_list::Joined;
pub use webhooks::{NewWebhook, Replayed};

use std::sync::Arc;

use confirm::SaleBatcher;
use journal::JournalBatcher;

/// The way to Postgres: a pool whose sessions give up in bounded time.
pub struct Ledger {
    pool: deadpool_postgres::Pool,
    /// One session, for probes alone.
    probes: deadpool_postgres::Pool,
    /// For statements of sales, which wait for nobody.
    groups: deadpool_postgres::Pool,
    /// Holds that are to be journaled at the same time.
    journal_batcher: Arc<JournalBatcher>,
    /// Sales that are to be made at the same time.
    sale_batcher: Arc<SaleBatcher>,
}
