//! From a request to what a flow takes. Every bad field is named, not only the
//! first; the bounds are those that `proto/` promises.

mod catalog;
mod channel;
mod chart;
mod checkout;
mod event;
mod fields;
mod operator;
mod order_events;
mod presence;
mod queue;
mod reservation;
mod waiting_list;

pub(super) use catalog::{
    add_areas, add_seats, block_seats, get_event, list_events, search_events, unblock_seats,
};
pub(super) use channel::{
    allocate_area, allocate_seats, free_allocation, list_allocations, list_channel_actions,
};
pub(super) use checkout::{cancel_order, create_order, get_order, list_orders, refund_order};
pub(super) use event::{create_event, update_event};
pub(super) use operator::{
    force_extend, force_release, list_open_holds, list_operator_actions, reassign_hold,
};
pub(super) use order_events::{
    create_webhook, delete_webhook, list_dead_letters, replay_webhook, retry_dead_letters,
    stream_order_events,
};
pub(super) use presence::{get_presence, heartbeat, leave_presence};
pub(super) use queue::{join, leave_queue, stream_position};
pub(super) use reservation::{
    change_hold, confirm, extend_hold, get_hold, get_seat_map, hold, release, stream_seat_updates,
};
pub(super) use waiting_list::{join_waiting_list, waiting_list_entry};
