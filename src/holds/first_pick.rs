//! FirstPick: a waiting list is asked about what is freed before anybody else has it.

use std::time::Duration;

use serde::Serialize;

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::{
    domain::{Epoch, EventId},
    limits::FIRST_PICK_KEPT,
};

static FIRST_PICK: Verb = verb!("first_pick");

#[derive(Serialize)]
struct Request {
    epoch: Epoch,
    kept_ms: u64,
    seen: u64,
}

impl Holds {
    /// From now on, for [`FIRST_PICK_KEPT`], what is freed is kept from whoever is not
    /// entitled, until the list has seen it: it has all up to the entry `seen`. With
    /// `None`, nothing is kept any more.
    pub async fn first_pick(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        seen: Option<u64>,
    ) -> Result<Reply<bool>, Error> {
        let kept = seen.map_or(Duration::ZERO, |_| FIRST_PICK_KEPT);
        let kept_ms = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        let request = Request { epoch, kept_ms, seen: seen.unwrap_or_default() };
        self.run(&FIRST_PICK, event_id, &request).await
    }
}
