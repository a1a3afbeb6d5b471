//! What payment providers say by themselves: verified first, then written down, then
//! seen to.

use std::sync::Arc;

use super::{Error, Flows};
use crate::{
    domain::{Order, PaymentState, Refusal},
    failpoint::failpoint,
    payments::{Answer, Notice, Provider, Standing},
};

impl Flows {
    /// Takes a callback; answers how to answer it. [`Answer::Later`] is never among
    /// them: whatever is not written down for good is an error.
    pub async fn take_callback(
        self: &Arc<Self>,
        provider: &dyn Provider,
        notice: Notice,
    ) -> Result<Answer, Error> {
        let _span = crate::telemetry::flow("take_callback");
        let Some(payment_id) = notice.payment_id else { return Ok(Answer::UnknownPayment) };
        let payment = self.ledger.find_payment(payment_id).await?;
        let Some(mut payment) = payment.filter(|p| p.provider == provider.name()) else {
            return Ok(Answer::UnknownPayment);
        };
        match notice.standing {
            Standing::Paid { amount, .. } if amount != payment.amount => {
                tracing::error!(%payment_id, "a payment of another amount than was asked for");
                Ok(Answer::WrongAmount)
            }
            Standing::Paid { reference, .. } => {
                // 1. That the money is there, whatever comes of it: a job sees to what
                //    this call does not bring to its end.
                let is_news = self.ledger.note_paid(payment_id, reference.as_str()).await?;
                failpoint!("payment:noted");
                // 2. The sale, or the refund.
                let was_settled = payment.settlement.is_some();
                payment.state = PaymentState::Paid;
                Box::pin(self.settle_payment(&payment)).await?;
                Ok(if is_news || !was_settled { Answer::Settled } else { Answer::Already })
            }
            Standing::Failed { .. } if payment.state == PaymentState::Begun => {
                self.ledger.note_failed(payment_id).await?;
                Ok(Answer::Settled)
            }
            Standing::Failed { .. } => Ok(Answer::Already),
            Standing::Open | Standing::Unknown => Ok(Answer::Settled),
        }
    }

    /// The order that a buyer's browser comes back from paying.
    pub async fn order_of_notice(&self, notice: &Notice) -> Result<Order, Error> {
        let _span = crate::telemetry::flow("order_of_notice");
        let missing = || Refusal::field("", "names no payment");
        let payment_id = notice.payment_id.ok_or_else(missing)?;
        let payment = self.ledger.find_payment(payment_id).await?.ok_or_else(missing)?;
        self.order(payment.order_id).await
    }
}
