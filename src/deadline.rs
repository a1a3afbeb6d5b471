//! What a call has of its caller: until when he waits for what a task does, and the place
//! that his call takes among those that are under way.
//!
//! A call that is given up ends at its next pause; what it has begun elsewhere, or queued
//! for, must not be begun for nobody. So each queue looks here when something's turn comes.
//! And what goes on without its caller takes his place until it ends, or calls that are
//! given up early would let in any number.

use std::{any::Any, sync::Arc};

use tokio::time::Instant;

/// Counts for as long as anybody has it.
pub type Place = Arc<dyn Any + Send + Sync>;

tokio::task_local! {
    static UNTIL: Instant;
    static PLACE: Place;
}

/// Does something for a caller who waits until then.
pub async fn scope<T>(until: Instant, work: impl Future<Output = T>) -> T {
    UNTIL.scope(until, work).await
}

/// Does something in a call's place.
pub async fn in_place<T>(place: Place, work: impl Future<Output = T>) -> T {
    PLACE.scope(place, work).await
}

/// Until when the caller waits, where he has said it.
pub fn of_this_call() -> Option<Instant> {
    UNTIL.try_with(|until| *until).ok()
}

/// The place of this call, where it has one.
pub fn place_of_this_call() -> Option<Place> {
    PLACE.try_with(Clone::clone).ok()
}

/// Whether that time is over.
pub fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= Instant::now())
}
