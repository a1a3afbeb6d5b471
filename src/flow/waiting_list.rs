//! Who is on an event's waiting list: joining, looking, leaving.

use std::sync::Arc;

use super::{Error, Flows, ReleaseRequest, event::LoadedEvent};
use crate::{
    domain::{EventId, HolderId, Party, Refusal, WaitingEntry, WaitingEntryId, WaitingState},
    ledger::Joined,
    limits::MAX_WAITING_PER_EVENT,
};

/// Whoever names an entry.
#[derive(Debug, Clone)]
pub struct EntryRequest {
    pub event_id: EventId,
    pub entry_id: WaitingEntryId,
    /// Another holder's entry is told as one that does not exist.
    pub holder_id: HolderId,
}

impl Flows {
    /// Enters a party at the end of an event's list, or finds it entered by the same
    /// call before.
    pub async fn join_waiting_list(
        &self,
        event_id: &EventId,
        entry_id: WaitingEntryId,
        party: &Party,
        admission_token: &str,
    ) -> Result<WaitingEntry, Error> {
        let _span = crate::telemetry::flow("join_waiting_list");
        let mut event = self.event(event_id).await?;
        // The event may have changed at another server.
        if self.holds.revision(event_id).await? > Some(event.revision) {
            event = self.event_after(event_id, event.revision).await?;
        }
        may_wait(&event, party)?;
        // Nobody comes round the queue by this list; who is on it already, is on it.
        let holder_id = &party.holder_id;
        if let Err(refused) = self.check_admission(&event, holder_id, admission_token).await
            && self.ledger.find_waiting_entry(event_id, entry_id, holder_id).await?.is_none()
        {
            return Err(refused);
        }
        match self.ledger.join_waiting_list(event_id, entry_id, party).await? {
            Joined::Entry(entry) => Ok(entry),
            Joined::Full => {
                let text = format!("{MAX_WAITING_PER_EVENT} entries wait for this event already");
                Err(Error::Overloaded(text.into()))
            }
        }
    }

    /// How many wait, and how many have an offer, of all events.
    pub async fn count_waiting(&self) -> Result<(i64, i64), Error> {
        Ok(self.ledger.count_waiting().await?)
    }

    /// An entry as it is now.
    pub async fn get_waiting_list_entry(
        &self,
        request: &EntryRequest,
    ) -> Result<WaitingEntry, Error> {
        let _span = crate::telemetry::flow("get_waiting_list_entry");
        let EntryRequest { event_id, entry_id, holder_id } = request;
        let found = self.ledger.find_waiting_entry(event_id, *entry_id, holder_id).await?;
        match found {
            Some(entry) => Ok(entry),
            None => {
                self.event(event_id).await?;
                Err(Refusal::EntryNotFound(*entry_id).into())
            }
        }
    }

    /// Takes an entry off the list, and releases what was offered to it; answers it as
    /// it is then.
    pub async fn leave_waiting_list(
        self: &Arc<Self>,
        request: &EntryRequest,
    ) -> Result<WaitingEntry, Error> {
        let _span = crate::telemetry::flow("leave_waiting_list");
        let EntryRequest { event_id, entry_id, holder_id } = request;
        let entry = self.get_waiting_list_entry(request).await?;
        if entry.state.is_end() {
            return Ok(entry);
        }
        // 1. It is noted first: whoever makes an offer to it just now sees that, and the
        //    job does what is left undone.
        self.ledger.leave_waiting_list(event_id, *entry_id, holder_id).await?;
        // 2. What it has, or may have, is released. How the hold ends decides: where it
        //    is sold by now, the entry has what it was for.
        let hold_id = self.ledger.find_offered_hold(event_id, *entry_id).await;
        let hold_id = hold_id.map_err(|error| Error::from(error).after_a_change())?;
        if let Some(hold_id) = hold_id {
            let release = ReleaseRequest {
                event_id: event_id.clone(),
                hold_id,
                holder_id: holder_id.clone(),
                seat_ids: Vec::new(),
                areas: Vec::new(),
            };
            match Box::pin(self.release(release)).await {
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => return Err(error.after_a_change()),
            }
            let settled = self.settle_offers(std::slice::from_ref(event_id)).await;
            settled.map_err(Error::after_a_change)?;
        }
        let left = self.get_waiting_list_entry(request).await.map_err(Error::after_a_change)?;
        // A hold that Redis lost, and nobody knows of, ends nothing.
        if left.state == WaitingState::Offered {
            tracing::debug!(%entry_id, "it leaves as soon as its hold has ended");
        }
        Ok(left)
    }
}

/// Whether there is anything in the house that a party can wait for.
fn may_wait(event: &LoadedEvent, party: &Party) -> Result<(), Refusal> {
    let most = event.rules.max_units_per_hold;
    if party.size > most {
        let text = format!("must be at most {most} for this event");
        return Err(Refusal::field("party_size", text));
    }
    let chart = &event.chart;
    if let Some(area_id) = &party.area_id {
        let area = chart.areas.iter().find(|area| area.area_id == *area_id);
        return match area {
            None => Err(Refusal::AreaNotFound(vec![area_id.clone()])),
            Some(area) if area.channel.is_some() => {
                Err(Refusal::field("area_id", "is kept for a channel"))
            }
            Some(_) => Ok(()),
        };
    }
    if let Some(id) = &party.section_id
        && !chart.sections.iter().any(|section| section.section_id == *id)
    {
        return Err(Refusal::field("section_id", "is none of the event's"));
    }
    if let Some(id) = &party.price_category_id
        && chart.price(id).is_none()
    {
        return Err(Refusal::field("price_category_id", "is none of the event's"));
    }
    Ok(())
}
