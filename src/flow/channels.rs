//! Whether a caller has the keys of what is kept for channels.

use super::{Error, Flows, event::LoadedEvent};
use crate::domain::{
    AreaId, ChannelAction, ChannelActionKind, ChannelKey, Chart, HoldId, Items, Refusal, SeatId,
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
    let (seats, areas) = kept_for_others(chart, items, &keys.channels);
    match seats.is_empty() && areas.is_empty() {
        true => Ok(()),
        false => Err(Refusal::ChannelRequired { seats, areas }),
    }
}

/// Those of the items that are kept for other channels than these.
fn kept_for_others(
    chart: &Chart,
    items: &Items,
    channels: &[ChannelKey],
) -> (Vec<SeatId>, Vec<AreaId>) {
    let is_kept =
        |channel: Option<&ChannelKey>| channel.is_some_and(|channel| !channels.contains(channel));
    let seats = items.seats.iter().filter(|&&seat| is_kept(chart.seat_channel(seat)));
    let areas = items.areas.iter().filter(|units| is_kept(chart.area_channel(units.area)));
    (
        seats.filter_map(|&seat| chart.seat_id(seat).cloned()).collect(),
        areas.filter_map(|units| chart.area_id(units.area).cloned()).collect(),
    )
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
        let Some(Override { actor, reason }) = &keys.overridden else { return Ok(()) };
        let (seat_ids, area_ids) = kept_for_others(&event.chart, items, &keys.channels);
        if seat_ids.is_empty() && area_ids.is_empty() {
            return Ok(());
        }
        let action = ChannelAction {
            kind: ChannelActionKind::Override,
            channel: None,
            hold_id: Some(hold_id),
            seat_ids,
            area_ids,
            actor: actor.clone(),
            reason: reason.clone(),
        };
        Ok(Box::pin(self.ledger.note_channel_action(&event.event_id, &action)).await?)
    }
}
