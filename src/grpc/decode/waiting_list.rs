//! The requests of WaitingListService.

use super::fields::Fields;
use crate::{
    domain::{EventId, Party, Refusal, WaitingEntryId},
    flow::EntryRequest,
    limits::{MAX_QUEUE_TOKEN_CHARS, MAX_UNITS_PER_HOLD},
    proto,
};

/// Which event, which entry, who wants what, and by what token.
pub fn join_waiting_list(
    request: &proto::JoinWaitingListRequest,
) -> Result<(EventId, WaitingEntryId, Party, String), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let entry_id = fields.parsed_or("entry_id", &request.entry_id, WaitingEntryId::new_v7);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    let size = fields.number("party_size", request.party_size, 1..=MAX_UNITS_PER_HOLD);
    let section_id = fields.optional("section_id", &request.section_id);
    let price_category_id = fields.optional("price_category_id", &request.price_category_id);
    let area_id = fields.optional("area_id", &request.area_id);
    let names_seats = !request.section_id.is_empty() || !request.price_category_id.is_empty();
    if names_seats && !request.area_id.is_empty() {
        fields.bad("area_id", "cannot be beside section_id or price_category_id");
    }
    let token = request.admission_token.clone();
    let token = fields.text("admission_token", token, 0..=MAX_QUEUE_TOKEN_CHARS);
    fields.finish(|| {
        let party = Party {
            holder_id: holder_id?,
            size: size?,
            section_id: section_id?,
            price_category_id: price_category_id?,
            area_id: area_id?,
        };
        Some((event_id?, entry_id?, party, token?))
    })
}

/// Which entry, and whose.
pub fn waiting_list_entry(
    event_id: &str,
    entry_id: &str,
    holder_id: &str,
) -> Result<EntryRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", event_id);
    let entry_id = fields.parsed("entry_id", entry_id);
    let holder_id = fields.parsed("holder_id", holder_id);
    fields.finish(|| {
        Some(EntryRequest { event_id: event_id?, entry_id: entry_id?, holder_id: holder_id? })
    })
}
