//! Payments that nobody tells of: their providers are asked.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;

use super::{Error, Flows};
use crate::{
    domain::Payment,
    limits::{PAYMENT_ASKED_FOR, PROVIDER_CALLS_AT_ONCE},
    payments::{Answer, Notice, Standing},
};

/// What a provider has to say of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It has the money, and that is seen to.
    Paid,
    Unpaid,
    /// None that helps: it is to be asked again.
    None,
}

impl Flows {
    /// Asks for payments that were begun and never heard of again, of orders that have
    /// ended: whoever pays at the last moment is not told of while the order waits.
    /// Ever more seldom, for [`PAYMENT_ASKED_FOR`].
    ///
    /// # Errors
    /// The first trouble with one; the others were seen to all the same.
    pub async fn ask_providers(self: &Arc<Self>) -> Result<(), Error> {
        let begun = self.ledger.claim_begun_payments().await?;
        let asked = stream::iter(begun)
            .map(async |payment| {
                let word = self.ask_provider(&payment).await?;
                if word != Word::Paid && is_long_ago(payment.begin_time) {
                    self.ledger.note_failed(payment.payment_id).await?;
                }
                Ok(())
            })
            .buffer_unordered(PROVIDER_CALLS_AT_ONCE)
            .collect::<Vec<Result<(), Error>>>();
        asked.await.into_iter().collect()
    }

    /// Asks for one, and sees to what is news.
    pub(super) async fn ask_provider(self: &Arc<Self>, payment: &Payment) -> Result<Word, Error> {
        let payment_id = payment.payment_id;
        let Some(provider) = self.providers.get(&payment.provider) else {
            let provider = &payment.provider;
            tracing::error!(%payment_id, provider, "a payment's provider is not set up");
            return Ok(Word::None);
        };
        match provider.query(payment).await {
            Ok(standing @ (Standing::Paid { .. } | Standing::Failed { .. })) => {
                let is_paid = matches!(standing, Standing::Paid { .. });
                let notice = Notice { payment_id: Some(payment_id), standing };
                let answer = Box::pin(self.take_callback(&*provider, notice)).await?;
                tracing::info!(%payment_id, is_paid, ?answer, "a provider was asked");
                Ok(match (answer, is_paid) {
                    // A person has to see to that money.
                    (Answer::WrongAmount, _) => Word::None,
                    (_, true) => Word::Paid,
                    (_, false) => Word::Unpaid,
                })
            }
            Ok(Standing::Open | Standing::Unknown) => Ok(Word::Unpaid),
            Err(error) => {
                tracing::warn!(%payment_id, %error, "a provider has no answer");
                Ok(Word::None)
            }
        }
    }
}

/// Whether nobody is asked any more for what began, or ended, then.
pub(super) fn is_long_ago(time: OffsetDateTime) -> bool {
    time + PAYMENT_ASKED_FOR < OffsetDateTime::now_utc()
}
