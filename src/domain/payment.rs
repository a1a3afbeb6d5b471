//! Money on its way: payments in, refunds out.

use time::OffsetDateTime;

use super::{IdError, Money, OrderId, PaymentId, PaymentReference, RefundId, TicketId};

/// What an attempt to pay is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    /// The buyer may be paying.
    Begun,
    /// The provider has the money.
    Paid,
    /// It came to nothing.
    Failed,
}

/// What a payment that the provider has came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It paid its order.
    Order,
    /// It is to be given back.
    Refund,
}

/// An attempt to pay an order through a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub provider: String,
    pub amount: Money,
    pub state: PaymentState,
    /// The provider's own id of it.
    pub provider_reference: Option<String>,
    pub begin_time: OffsetDateTime,
    pub pay_time: Option<OffsetDateTime>,
    /// Where `Paid`; `None` until it is settled.
    pub settlement: Option<Settlement>,
}

impl Payment {
    /// What its order is paid with: the provider's name, and what it calls the payment.
    ///
    /// # Errors
    /// Never, for the names that providers have.
    pub fn reference(&self) -> Result<PaymentReference, IdError> {
        format!("{}:{}", self.provider, self.payment_id.0.simple()).parse()
    }
}

/// What money to give back is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    /// Waits for somebody to ask for it.
    Due,
    /// The provider is asked, again and again, until it answers.
    Asked,
    Done,
    /// Refused by the provider for good.
    Failed,
}

/// Money given back, or to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub refund_id: RefundId,
    pub order_id: OrderId,
    /// `None` where Confirm was told of the payment.
    pub payment_id: Option<PaymentId>,
    pub amount: Money,
    pub state: RefundState,
    pub reason: String,
    pub actor: String,
    pub create_time: OffsetDateTime,
    pub end_time: Option<OffsetDateTime>,
}

/// What somebody wants to be given back.
#[derive(Debug)]
pub struct RefundRequest {
    pub order_id: OrderId,
    pub refund_id: RefundId,
    /// All that are valid, where empty.
    pub ticket_ids: Vec<TicketId>,
    pub actor: String,
    pub reason: String,
    /// Of all of the above.
    pub fingerprint: String,
}
