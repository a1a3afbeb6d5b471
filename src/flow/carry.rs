//! Mutations that go on where their caller goes away.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::Error;
use crate::deadline;

/// Carries a mutation through in a task of its own, unless its caller has gone away, or
/// his time is over, by the time that the task's turn comes.
///
/// # Errors
/// Those of the mutation, [`Error::Internal`] where it panics, and [`Error::Overloaded`]
/// where it was not begun.
pub(super) async fn through<T: Send + 'static>(
    tasks: &TaskTracker,
    mutation: BoxFuture<'static, Result<T, Error>>,
) -> Result<T, Error> {
    let (waits, until) = (Arc::new(()), deadline::of_this_call());
    let waited_for = Arc::downgrade(&waits);
    let place = deadline::place_of_this_call();
    let carried = tasks.spawn(async move {
        if waited_for.strong_count() == 0 || deadline::is_over(until) {
            return Err(Error::Overloaded("its turn came too late".into()));
        }
        let done = mutation.await;
        drop(place);
        done
    });
    let done = carried.await.unwrap_or_else(|panic| Err(Error::internal(panic)));
    drop(waits);
    done
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering::Relaxed},
        time::Duration,
    };

    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    /// A mutation, and whether it was begun, and whether it came to its end.
    fn mutation() -> (BoxFuture<'static, Result<(), Error>>, Arc<[AtomicBool; 2]>) {
        let signs = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let notes = signs.clone();
        let mutation = Box::pin(async move {
            notes[0].store(true, Relaxed);
            tokio::task::yield_now().await;
            notes[1].store(true, Relaxed);
            Ok(())
        });
        (mutation, signs)
    }

    async fn all_have_ended(tasks: &TaskTracker) {
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn what_is_begun_goes_on_without_its_caller() {
        let tasks = TaskTracker::new();
        let (mutation, signs) = mutation();
        let mut call = Box::pin(through(&tasks, mutation));
        while !signs[0].load(Relaxed) {
            assert!((&mut call).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        drop(call);
        all_have_ended(&tasks).await;
        assert!(signs[1].load(Relaxed));
    }

    #[tokio::test]
    async fn what_is_not_begun_when_its_caller_goes_is_left_out() {
        let tasks = TaskTracker::new();
        let (mutation, signs) = mutation();
        assert!(through(&tasks, mutation).now_or_never().is_none(), "it waits for its turn");
        all_have_ended(&tasks).await;
        assert!(!signs[0].load(Relaxed));
    }

    #[tokio::test]
    async fn what_goes_on_without_its_caller_keeps_his_place() {
        let tasks = TaskTracker::new();
        let (go_on, told_to) = tokio::sync::oneshot::channel::<()>();
        let begun = Arc::new(tokio::sync::Notify::new());
        let begins = begun.clone();
        let mutation = Box::pin(async move {
            begins.notify_one();
            told_to.await.map_err(Error::internal)
        });
        let place: deadline::Place = Arc::new(());
        let mut call = Box::pin(deadline::in_place(place.clone(), through(&tasks, mutation)));
        assert!((&mut call).now_or_never().is_none());
        begun.notified().await;
        drop(call);
        assert_eq!(Arc::strong_count(&place), 2, "the task has it");
        go_on.send(()).unwrap();
        all_have_ended(&tasks).await;
        assert_eq!(Arc::strong_count(&place), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_to_its_turn_after_its_deadline_is_left_out() {
        for (left, is_made) in [(Duration::ZERO, false), (Duration::from_secs(1), true)] {
            let tasks = TaskTracker::new();
            let (mutation, signs) = mutation();
            let call = deadline::scope(Instant::now() + left, through(&tasks, mutation)).await;
            assert_eq!(call.is_ok(), is_made, "{left:?}");
            assert_eq!(signs[0].load(Relaxed), is_made, "{left:?}");
        }
    }
}
