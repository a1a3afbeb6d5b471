//! Entries of waiting lists.

use super::{signed, timestamp};
use crate::{
    domain::{WaitingEntry, WaitingState},
    proto,
};

pub fn waiting_list_entry(entry: WaitingEntry) -> proto::WaitingListEntry {
    let text = |id: Option<String>| id.unwrap_or_default();
    proto::WaitingListEntry {
        entry_id: entry.entry_id.to_string(),
        event_id: entry.event_id.to_string(),
        holder_id: entry.party.holder_id.to_string(),
        party_size: signed(entry.party.size),
        section_id: text(entry.party.section_id.map(|id| id.to_string())),
        price_category_id: text(entry.party.price_category_id.map(|id| id.to_string())),
        area_id: text(entry.party.area_id.map(|id| id.to_string())),
        state: match entry.state {
            WaitingState::Waiting => proto::WaitingListState::Waiting,
            WaitingState::Offered => proto::WaitingListState::Offered,
            WaitingState::Fulfilled => proto::WaitingListState::Fulfilled,
            WaitingState::Lapsed => proto::WaitingListState::Lapsed,
            WaitingState::Left => proto::WaitingListState::Left,
        }
        .into(),
        ahead: i64::try_from(entry.ahead).unwrap_or(i64::MAX),
        hold_id: text(entry.hold_id.map(|id| id.to_string())),
        expire_time: entry.expire_time.map(timestamp),
        create_time: Some(timestamp(entry.create_time)),
    }
}
