//! Closes an event's state before it is built anew.

use serde::Serialize;

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId};

static SEAL: Verb = verb!("seal");

#[derive(Serialize)]
struct Request {}

impl Holds {
    /// Makes sure that nothing more is answered from the event's state; answers
    /// its epoch, `None` where there is none.
    pub async fn seal(&self, event_id: &EventId) -> Result<Option<Epoch>, Error> {
        match self.run::<Vec<Epoch>>(&SEAL, event_id, &Request {}).await? {
            Reply::Done(epoch) => Ok(epoch.into_iter().next()),
            Reply::NotLoaded | Reply::Epoch(_) => Err(Error::corrupt("seal is not fenced")),
        }
    }
}
