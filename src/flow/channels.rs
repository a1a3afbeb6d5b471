//! Whether a caller has the keys of what is kept for channels.

use crate::domain::{AreaId, ChannelKey, Chart, Items, Refusal, SeatId};

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
    let is_kept = |channel: Option<&ChannelKey>| {
        keys.overridden.is_none() && channel.is_some_and(|channel| !keys.channels.contains(channel))
    };
    let seats = items.seats.iter().filter(|&&seat| is_kept(chart.seat_channel(seat)));
    let seats: Vec<SeatId> = seats.filter_map(|&seat| chart.seat_id(seat).cloned()).collect();
    let areas = items.areas.iter().filter(|units| is_kept(chart.area_channel(units.area)));
    let areas: Vec<AreaId> = areas.filter_map(|units| chart.area_id(units.area).cloned()).collect();
    match seats.is_empty() && areas.is_empty() {
        true => Ok(()),
        false => Err(Refusal::ChannelRequired { seats, areas }),
    }
}
