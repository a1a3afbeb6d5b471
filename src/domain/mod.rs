//! Room 3, the rules: pure values and decisions, no I/O, no clock.
//!
//! Everything that the other rooms talk about has its name here: ids, the
//! chart, holds, orders, positions in an event's history, and [`Refusal`], the
//! complete list of what the service may say no for.

pub mod audit;
mod best_available;
mod caller;
mod channel;
mod chart;
mod event;
mod happening;
mod hold;
mod ids;
mod letter;
mod money;
mod operator;
mod order;
mod order_event;
mod orphans;
mod payment;
mod position;
mod queue;
mod refusal;
mod search;
mod seat;
mod waiting_list;

pub use best_available::{BestAvailable, FreeSeats};
pub use caller::{Caller, Role};
pub use channel::{Allocation, ChannelAction, ChannelActionKind, PastAction, ShareRequest};
pub use chart::{Area, AreaIndex, Chart, ChartDraft, PriceCategory, Row, Seat, SeatIndex, Section};
pub use event::{
    Event, EventChange, EventState, HoldDurability, LatePayment, OrphanPolicy, Paging, WaitingRoom,
};
pub use happening::Happening;
pub use hold::{
    AreaHolding, AreaUnits, Ended, Hold, HoldRecord, HoldState, Items, Outcome, Unsold,
    fingerprint, fingerprint_of_best,
};
pub use ids::{
    AreaId, ChannelKey, EventId, HoldId, HolderId, IdError, OrderId, PaymentId, PaymentReference,
    PriceCategoryId, RefundId, RowId, SeatId, SectionId, TicketId, ViewerId, WaitingEntryId,
    WebhookId,
};
pub use letter::{Letter, LetterKind, Seating};
pub use money::{Currency, Micros, Money};
pub use operator::{Deed, Operator, OperatorAction, PastOperatorAction};
pub use order::{Buyer, Checkout, Order, OrderFilter, OrderItem, OrderState, Place, Ticket};
pub use order_event::{
    DeadLetter, OrderEvent, OrderEventKind, Target, Undelivered, Wanted, Webhook,
};
pub use orphans::beside;
pub use payment::{Payment, PaymentState, Refund, RefundRequest, RefundState, Settlement};
pub use position::{Epoch, Position, TokenError};
pub use queue::{Admission, QueuePosition};
pub use refusal::{EventLimit, FieldViolation, Refusal, Shortage};
pub use search::{FoundAt, FoundBy, Search, SearchPaging, wrong_letters};
pub use seat::{AreaState, SeatStatus};
pub use waiting_list::{Block, Free, Party, WaitingEntry, WaitingState};
