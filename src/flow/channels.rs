//! Whether a caller has the keys of what is kept for channels.

use super::{Error, Flows, event::LoadedEvent};
use crate::domain::{
    AreaId, AreaIndex, ChannelAction, ChannelActionKind, ChannelKey, Chart, HoldId, Items, Refusal,
    SeatId, SeatIndex,
};

/// Which of the seats and areas that are kept for channels a caller may take.
#[derive(Debug, Clone, Default)]
pub struct ChannelKeys {
    pub channels: Vec<ChannelKey>,
    /// All of them: who says so, and why.
    pub overridden: Option<Override>,
}

/// An operator's word.
#[derive(Debug, Clone)]
pub struct Override {
    pub actor: String,
    pub reason: String,
}

/// Every seat and area whose channel's key the caller does not name, unless an operator
/// overrides that.
///
/// # Errors
/// [`Refusal::ChannelRequired`] with all of them.
pub(super) fn check_channels(
    chart: &Chart,
    items: &Items,
    keys: &ChannelKeys,
) -> Result<(), Refusal> {
    if keys.overridden.is_some() {
        return Ok(());
    }
    let kept = kept_for_others(chart, items, &keys.channels);
    match kept.is_empty() {
        true => Ok(()),
        false => Err(kept.required(chart)),
    }
}

/// Places that are kept for others than who asks.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<AreaIndex>,
}

impl Kept {
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.areas.is_empty()
    }

    /// The no that they mean.
    pub fn required(&self, chart: &Chart) -> Refusal {
        let (seats, areas) = self.names(chart);
        Refusal::ChannelRequired { seats, areas }
    }

    fn names(&self, chart: &Chart) -> (Vec<SeatId>, Vec<AreaId>) {
        (
            self.seats.iter().filter_map(|&seat| chart.seat_id(seat).cloned()).collect(),
            self.areas.iter().filter_map(|&area| chart.area_id(area).cloned()).collect(),
        )
    }
}

/// Those of the items that are kept for other channels than these.
pub(super) fn kept_for_others(chart: &Chart, items: &Items, channels: &[ChannelKey]) -> Kept {
    let is_kept =
        |channel: Option<&ChannelKey>| channel.is_some_and(|channel| !channels.contains(channel));
    let seats = items.seats.iter().copied();
    let areas = items.areas.iter().map(|units| units.area);
    Kept {
        seats: seats.filter(|&seat| is_kept(chart.seat_channel(seat))).collect(),
        areas: areas.filter(|&area| is_kept(chart.area_channel(area))).collect(),
    }
}

impl Flows {
    /// Puts on record that an operator takes what is kept for others, if he does: before
    /// he has it, so that nothing is taken unseen.
    pub(super) async fn note_override(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        items: &Items,
        keys: &ChannelKeys,
    ) -> Result<(), Error> {
        let Some(by) = &keys.overridden else { return Ok(()) };
        let kept = kept_for_others(&event.chart, items, &keys.channels);
        match kept.is_empty() {
            true => Ok(()),
            false => Box::pin(self.note_taken(event, hold_id, &kept, by)).await,
        }
    }

    pub(super) async fn note_taken(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        kept: &Kept,
        by: &Override,
    ) -> Result<(), Error> {
        let (seat_ids, area_ids) = kept.names(&event.chart);
        let action = ChannelAction {
            kind: ChannelActionKind::Override,
            channel: None,
            hold_id: Some(hold_id),
            seat_ids,
            area_ids,
            actor: by.actor.clone(),
            reason: by.reason.clone(),
        };
        Ok(self.ledger.note_channel_action(&event.event_id, &action).await?)
    }
}
