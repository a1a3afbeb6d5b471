//! Payments that whoever learned of them did not bring to their end.

use std::sync::Arc;

use super::{Error, Flows};
use crate::limits::PAYMENTS_SETTLED_AT_ONCE;

impl Flows {
    /// Settles payments that are noted and were left; answers how many.
    ///
    /// # Errors
    /// The first trouble with one; the others were seen to all the same.
    pub async fn settle_payments(self: &Arc<Self>) -> Result<usize, Error> {
        let mut settled = 0;
        let mut done = Ok(());
        loop {
            let payments = self.ledger.claim_unsettled_payments().await?;
            for payment in &payments {
                match Box::pin(self.settle_payment(payment)).await {
                    Ok(()) => settled += 1,
                    Err(error) => done = done.and(Err(error)),
                }
            }
            let full = i64::try_from(payments.len()).is_ok_and(|n| n >= PAYMENTS_SETTLED_AT_ONCE);
            if !full {
                return done.map(|()| settled);
            }
        }
    }
}
