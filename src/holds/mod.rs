//! Room 4, Redis: who holds a seat now.
//!
//! One method per script, one script per verb (`lua/<verb>.lua`). A script
//! checks everything before its first write, and writes the change and its log
//! entry together. Every script can be run again with the same input without
//! harm, so a call whose connection broke is made once more.

mod audit;
mod block_seats;
mod change_hold;
mod configure;
mod confirm;
mod control;
mod due_holds;
mod extend_hold;
mod finish;
mod first_pick;
mod force_extend;
mod get_hold;
mod hold;
pub(crate) mod keys;
mod load;
mod log;
mod order_hold;
mod picture;
mod reassign_hold;
mod release;
mod return_places;
mod script;
mod seal;
mod snapshot;
mod survey;
mod undo_hold;
mod withdraw_units;

pub use block_seats::BlockReply;
pub use change_hold::{ChangeArgs, ChangeReply};
pub use configure::{Configuration, ConfigureReply, Rules};
pub use confirm::ConfirmReply;
pub use due_holds::DueHolds;
pub use extend_hold::ExtendReply;
pub use force_extend::ForceExtendReply;
pub use hold::{HoldArgs, HoldReply};
pub use load::{LoadArgs, LoadReply};
pub use log::{Change, LogEntry, LogTail};
pub use order_hold::{OrderHoldArgs, OrderHoldReply};
pub use reassign_hold::ReassignReply;
pub use release::ReleaseReply;
pub use return_places::{ReturnArgs, ReturnReply};
pub use script::Reply;
pub use snapshot::Snapshot;
pub use survey::{Step, Survey};
pub use withdraw_units::{WithdrawArgs, WithdrawReply};

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::limits::MAX_HOLDS_PER_CALL;
use crate::redis::Links;
pub use crate::redis::{Error, Incarnation};
use crate::telemetry;
use hold::HoldBatcher;

/// Who holds what, in Redis.
pub struct Holds {
    links: Arc<Links>,
    /// Holds of one event that are asked for at the same time.
    hold_batcher: Arc<HoldBatcher>,
}

impl Holds {
    /// Takes the URL of a Redis server, of sentinels, or of a Cluster; connects
    /// when first used.
    ///
    /// # Errors
    /// [`Error::Url`] where the URL is none of Redis'.
    pub fn new(url: &SecretString) -> Result<Self, Error> {
        Self::with_calls_of(MAX_HOLDS_PER_CALL, url)
    }

    /// As [`Self::new`], with calls that carry `most` holds; each hold has a call
    /// of its own, at once, where that is 1.
    ///
    /// # Errors
    /// As there.
    pub fn with_calls_of(most: u16, url: &SecretString) -> Result<Self, Error> {
        Ok(Self::on(Arc::new(Links::new(url.expose_secret())?), most))
    }

    /// Tells the metrics how this server's ways to Redis are used.
    pub fn measure(&self) {
        telemetry::pool("redis", self.links.pools());
        telemetry::batch_waiting("hold", self.hold_batcher.waiting());
    }

    /// On connections that other rooms use as well; `most` as there.
    pub fn on(links: Arc<Links>, most: u16) -> Self {
        Self { hold_batcher: hold::batcher(most, &links), links }
    }
}
