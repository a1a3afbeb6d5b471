//! Refunds that providers are to be asked for.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use super::{Error, Flows};
use crate::{
    failpoint::failpoint,
    ledger::ClaimedRefund,
    limits::{PROVIDER_CALLS_AT_ONCE, REFUND_FIRST_WAIT, REFUND_LONGEST_WAIT},
    payments,
};

impl Flows {
    /// Asks providers for the refunds that wait for it; answers how many were given
    /// back. What has no answer is asked for again, ever more seldom.
    ///
    /// # Errors
    /// The first trouble with one; the others were seen to all the same.
    pub async fn give_back(self: &Arc<Self>) -> Result<usize, Error> {
        let asked = stream::iter(self.ledger.claim_refunds().await?)
            .map(|claimed| self.give_one_back(claimed))
            .buffer_unordered(PROVIDER_CALLS_AT_ONCE)
            .collect::<Vec<Result<bool, Error>>>();
        let given = asked.await.into_iter().map(|given| given.map(usize::from));
        given.sum()
    }

    /// How many refunds are not given back yet, by what they are at.
    pub async fn open_refunds(&self) -> Result<[(&'static str, i64); 3], Error> {
        Ok(self.ledger.open_refunds().await?)
    }

    async fn give_one_back(&self, claimed: ClaimedRefund) -> Result<bool, Error> {
        let ClaimedRefund { refund, attempt, in_doubt } = &claimed;
        let refund_id = refund.refund_id;
        let payment = match refund.payment_id {
            Some(payment_id) => self.ledger.find_payment(payment_id).await?,
            None => None,
        };
        let payment = payment.ok_or_else(|| Error::internal("a refund has no payment"))?;
        let asked = match self.providers.get(&payment.provider) {
            Some(provider) => provider.refund(&payment, refund, *in_doubt).await,
            None => Err(payments::Error::Later(format!("{} is not set up", payment.provider))),
        };
        failpoint!("refund:asked");
        match asked {
            Ok(reversed) => {
                let reference = reversed.reference.unwrap_or_default();
                self.ledger.end_refund(refund, Ok(&reference)).await?;
                self.order_events_written();
                tracing::info!(%refund_id, "given back");
                Ok(true)
            }
            Err(payments::Error::Refused(code)) => {
                tracing::error!(%refund_id, code, "the provider refuses to give money back");
                self.ledger.end_refund(refund, Err(&code)).await?;
                Ok(false)
            }
            Err(error) => {
                tracing::warn!(%refund_id, %error, "the provider is asked again");
                let in_doubt = *in_doubt || matches!(error, payments::Error::Unknown(_));
                let wait = wait_after(*attempt).mul_f64(0.5 + fastrand::f64() / 2.0);
                let (wait_s, why) = (wait.as_secs_f64(), error.to_string());
                self.ledger.delay_refund(refund_id, in_doubt, wait_s, &why).await?;
                Ok(false)
            }
        }
    }
}

/// How long after so many attempts the next one comes at most.
fn wait_after(attempts: u32) -> Duration {
    let doubled = REFUND_FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(20));
    doubled.min(REFUND_LONGEST_WAIT)
}
