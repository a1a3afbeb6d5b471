//! Leaves the server as it was found: what is still held is released.

use super::{
    Run,
    book::{Fate, Taken},
    client::told,
    houses,
};
use crate::limits::LOAD_ASIDE_IN_FLIGHT;
use futures_util::{StreamExt as _, stream};

/// Releases what may still be held, and closes the run's own events.
///
/// # Errors
/// Where the server cannot be told; then holds run out by themselves.
pub async fn clean(run: &Run, taken: &[Taken]) -> anyhow::Result<()> {
    let left = taken.iter().filter(|taken| taken.may_hold()).enumerate();
    let released = stream::iter(left).map(async |(n, taken)| {
        let mut taken = taken.clone();
        let request = taken.release_request(&run.name, &run.houses);
        taken.released(&told(run.clients.of(n).release(request).await));
        taken.fate
    });
    let unsettled = released
        .buffer_unordered(LOAD_ASIDE_IN_FLIGHT)
        .filter(|fate| std::future::ready(*fate == Fate::Unsettled))
        .count()
        .await;
    if unsettled > 0 {
        eprintln!("holdfast: {unsettled} hold(s) could not be released, and will run out");
    }
    houses::close(&run.clients, &run.houses).await
}
