//! What the fuzzers in `tests/fuzz` call.

use std::fmt::Debug;

use prost::Message;

use super::{decode, page_token};
use crate::{domain::Refusal, proto};

/// What became of a request: what a flow would take, or its bad fields, each with what it
/// would have to be.
pub type Decoded = Result<String, Vec<(String, String)>>;

/// Reads bytes as the request of a method, by its number; `None` where they are no such
/// message.
pub fn decode(method: usize, request: &[u8]) -> Option<Decoded> {
    METHODS[method % METHODS.len()](request)
}

/// Reads a text as a page token of each kind.
pub fn page_tokens(text: &str) {
    if let Some(last) = page_token::decode(text) {
        assert_eq!(page_token::decode(&page_token::encode(&last)), Some(last));
    }
    if let Some(number) = page_token::decode_number(text) {
        assert_eq!(page_token::decode_number(&page_token::encode_number(number)), Some(number));
    }
    if let Some(after) = page_token::decode_holds(text) {
        assert_eq!(page_token::decode_holds(&page_token::encode_holds(after)), Some(after));
    }
    if let Some(order_id) = page_token::decode_order(text) {
        assert_eq!(page_token::decode_order(&page_token::encode_order(order_id)), Some(order_id));
    }
}

fn told<T: Debug>(taken: Result<T, Refusal>) -> Option<Decoded> {
    Some(match taken {
        Ok(taken) => Ok(format!("{taken:?}")),
        Err(Refusal::InvalidField(bad)) => {
            Err(bad.into_iter().map(|bad| (bad.field, bad.description)).collect())
        }
        Err(other) => panic!("a request alone is refused for its shape: {other}"),
    })
}

macro_rules! methods {
    ($($message:ident => $decode:expr,)*) => {
        &[$(|bytes| {
            let request = proto::$message::decode(bytes).ok()?;
            told($decode(request))
        },)*]
    };
}

const METHODS: &[fn(&[u8]) -> Option<Decoded>] = methods! {
    HoldRequest => |r| decode::hold(&r),
    ChangeHoldRequest => |r| decode::change_hold(&r),
    ExtendHoldRequest => |r| decode::extend_hold(&r),
    ReleaseRequest => |r| decode::release(&r),
    ConfirmRequest => |r| decode::confirm(&r),
    GetHoldRequest => |r| decode::get_hold(&r),
    GetSeatMapRequest => |r| decode::get_seat_map(&r),
    StreamSeatUpdatesRequest => |r| decode::stream_seat_updates(&r),
    CreateEventRequest => decode::create_event,
    UpdateEventRequest => decode::update_event,
    GetEventRequest => |r| decode::get_event(&r),
    ListEventsRequest => |r| decode::list_events(&r),
    SearchEventsRequest => |r| decode::search_events(&r),
    AddSeatsRequest => decode::add_seats,
    AddAreasRequest => decode::add_areas,
    BlockSeatsRequest => |r| decode::block_seats(&r),
    UnblockSeatsRequest => |r| decode::unblock_seats(&r),
    AllocateSeatsRequest => decode::allocate_seats,
    AllocateAreaRequest => decode::allocate_area,
    FreeAllocationRequest => decode::free_allocation,
    ListAllocationsRequest => |r| decode::list_allocations(&r),
    ListChannelActionsRequest => |r| decode::list_channel_actions(&r),
    CreateOrderRequest => decode::create_order,
    GetOrderRequest => |r| decode::get_order(&r),
    ListOrdersRequest => |r| decode::list_orders(&r),
    CancelOrderRequest => decode::cancel_order,
    RefundOrderRequest => decode::refund_order,
    StreamOrderEventsRequest => |r| decode::stream_order_events(&r),
    CreateWebhookRequest => decode::create_webhook,
    DeleteWebhookRequest => |r| decode::delete_webhook(&r),
    ReplayWebhookRequest => |r| decode::replay_webhook(&r),
    ListDeadLettersRequest => |r| decode::list_dead_letters(&r),
    RetryDeadLettersRequest => decode::retry_dead_letters,
    HeartbeatRequest => |r| decode::heartbeat(&r),
    LeaveRequest => |r| decode::leave_presence(&r),
    GetPresenceRequest => |r| decode::get_presence(&r),
    JoinRequest => |r| decode::join(&r),
    StreamPositionRequest => decode::stream_position,
    QueueServiceLeaveRequest => decode::leave_queue,
    ForceReleaseHoldRequest => |r| decode::force_release(r, None),
    ForceExtendHoldRequest => |r| decode::force_extend(r, None),
    ReassignHoldRequest => |r| decode::reassign_hold(r, None),
    ListOperatorActionsRequest => |r| decode::list_operator_actions(&r),
    ListOpenHoldsRequest => |r| decode::list_open_holds(&r),
    JoinWaitingListRequest => |r| decode::join_waiting_list(&r),
};
