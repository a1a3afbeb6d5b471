//! One binary for all integration tests: real servers on real stores, driven
//! through gRPC by the public contract. One file a verb.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]
#![expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "the numbers of tests are small"
)]

mod support;

mod access;
mod access_bound;
mod access_tokens;
mod add_areas;
mod add_seats;
mod admission;
mod another_postgres;
mod another_redis;
mod audit;
mod audit_by_index;
mod audit_in_pieces;
mod audit_money;
mod bad_requests;
mod best_available;
mod best_available_changes;
mod block_seats;
mod cancel_order;
mod cancel_stale_orders;
mod catalog_cache;
mod change_hold;
mod channels;
mod cluster;
mod confirm;
mod confirm_together;
mod contention;
mod cool_down;
mod create_event;
mod create_order;
mod deploy;
mod dev;
mod doors;
mod drain;
mod expire_holds;
mod extend_hold;
mod faults;
mod get_hold;
mod get_seat_map;
mod hold;
mod hold_durability;
mod holds_per_holder;
mod house;
mod inspect;
mod journal_holds;
mod limits;
mod limits_connections;
mod list_events;
mod list_open_holds;
mod load;
mod load_event;
mod load_once;
mod mail;
mod mail_delivery;
mod model;
mod observability;
mod operator;
mod operator_races;
mod operator_record;
mod orphan_policy;
mod outbox;
mod packed_seats;
mod page;
mod pay_order;
mod presence;
mod promises;
mod queue;
mod redis_access;
mod refund_order;
mod release;
mod rolling_restart;
mod search_events;
mod secrets;
mod sentinel;
mod service_config;
mod shares;
mod stalled_readers;
mod stream_order_events;
mod stream_seat_updates;
mod tidy;
mod tls;
mod traces;
mod update_event;
mod vnpay;
mod vnpay_orders;
mod waiting_list;
mod waiting_list_faults;
mod webhooks;
