//! Whether a holder was let in by the event's waiting room.

use super::{Flows, event::LoadedEvent};
use crate::domain::{HolderId, Refusal, WaitingRoom};

impl Flows {
    /// Whether the token lets the holder make holds of the event.
    ///
    /// # Errors
    /// [`Refusal::AdmissionRequired`].
    pub(super) fn check_admission(
        &self,
        event: &LoadedEvent,
        _holder_id: &HolderId,
        _token: &str,
    ) -> Result<(), Refusal> {
        match event.rules.waiting_room {
            WaitingRoom::Off => Ok(()),
            WaitingRoom::Rate | WaitingRoom::Inventory => {
                Err(Refusal::AdmissionRequired(event.event_id.clone()))
            }
        }
    }
}
