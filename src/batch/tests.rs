use tokio::{
    sync::{Semaphore, mpsc},
    task::yield_now,
    time::advance,
};

use super::*;

type Stage = (Arc<Batcher<u8, u32, u32>>, mpsc::UnboundedReceiver<Vec<u32>>, Arc<Semaphore>);

/// A batcher whose calls tell what they carry, and wait to be let through.
fn stage(bound: usize) -> Stage {
    stage_with(bound, Duration::from_secs(5))
}

fn stage_with(waiting: usize, patience: Duration) -> Stage {
    stage_of(Bounds { calls: 1, asks: 3, waiting, patience })
}

fn stage_of(bounds: Bounds) -> Stage {
    let (tell, told) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let through = gate.clone();
    let batcher = Batcher::new(bounds, move |_, asks: Vec<u32>| {
        let (tell, through) = (tell.clone(), through.clone());
        async move {
            tell.send(asks.clone()).unwrap();
            through.acquire().await.unwrap().forget();
            assert!(!asks.contains(&666), "a call that fails");
            asks.into_iter().map(|ask| ask * 10).collect()
        }
    });
    (batcher, told, gate)
}

#[tokio::test]
async fn what_is_asked_meanwhile_is_the_next_call() {
    let (batcher, mut told, gate) = stage(10);
    let ask = |key, ask| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.ask(key, ask).await })
    };
    let mut asked = vec![ask(1, 1)];
    assert_eq!(told.recv().await.unwrap(), [1]);
    asked.extend((2..=6).map(|number| ask(1, number)));
    // Another key waits for nobody.
    asked.push(ask(2, 7));
    assert_eq!(told.recv().await.unwrap(), [7]);
    gate.add_permits(10);
    assert_eq!(told.recv().await.unwrap(), [2, 3, 4]);
    assert_eq!(told.recv().await.unwrap(), [5, 6]);
    for (answer, number) in asked.into_iter().zip(1..) {
        assert_eq!(answer.await.unwrap(), Ok(number * 10));
    }
    while !batcher.lock().is_empty() {
        yield_now().await;
    }
}

#[tokio::test]
async fn what_a_call_does_not_carry_is_the_next_one() {
    let patience = Duration::from_secs(5);
    let (batcher, mut told, gate) = stage_of(Bounds { calls: 2, asks: 3, waiting: 10, patience });
    let ask = |ask| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.ask(1, ask).await })
    };
    let mut asked = vec![ask(1)];
    assert_eq!(told.recv().await.unwrap(), [1]);
    asked.push(ask(2));
    assert_eq!(told.recv().await.unwrap(), [2]);
    asked.extend((3..=6).map(ask));
    while batcher.lock()[&1].waiting.len() < 4 {
        yield_now().await;
    }
    gate.add_permits(1);
    assert_eq!(told.recv().await.unwrap(), [3, 4, 5]);
    gate.add_permits(1);
    assert_eq!(told.recv().await.unwrap(), [6]);
    gate.add_permits(10);
    for (answer, number) in asked.into_iter().zip(1..) {
        assert_eq!(answer.await.unwrap(), Ok(number * 10));
    }
    while !batcher.lock().is_empty() {
        yield_now().await;
    }
}

#[tokio::test]
async fn what_is_asked_before_it_is_taken_is_one_call() {
    type Taken = (Arc<Claim<u8, u32, u32>>, mpsc::UnboundedSender<()>);
    let (tell, mut told) = mpsc::unbounded_channel::<Taken>();
    let bounds = Bounds { calls: 2, asks: 3, waiting: 10, patience: Duration::from_secs(5) };
    let batcher = Batcher::later(bounds, move |_, claim: Arc<Claim<u8, u32, u32>>| {
        let tell = tell.clone();
        async move {
            let (end, mut ended) = mpsc::unbounded_channel();
            tell.send((claim.clone(), end)).unwrap();
            ended.recv().await.unwrap();
            // What nobody has taken is asked again.
            if claim.tells().is_none() { vec![] } else { vec![7; 3] }
        }
    });
    let ask = |ask| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.ask(1, ask).await })
    };
    let mut asked = vec![ask(1)];
    let (untaken, end) = told.recv().await.unwrap();
    asked.extend((2..=5).map(ask));
    while batcher.lock()[&1].waiting.len() < 5 {
        yield_now().await;
    }
    assert_eq!(batcher.lock()[&1].under_way, 1, "one will take all");
    drop(untaken);
    end.send(()).unwrap();

    let (first, end_first) = told.recv().await.unwrap();
    assert_eq!(first.take(), [1, 2, 3]);
    assert!(first.take().is_empty(), "once is enough");
    // It does not carry all, so another begins.
    let (second, end_second) = told.recv().await.unwrap();
    assert_eq!(second.take(), [4, 5]);
    drop((first, second));
    end_first.send(()).unwrap();
    end_second.send(()).unwrap();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), Ok(7));
    }
    while !batcher.lock().is_empty() {
        yield_now().await;
    }
}

#[tokio::test]
async fn what_is_asked_before_the_gate_is_one_call() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (gate, through) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
    let (pass, end) = (gate.clone(), through.clone());
    let bounds = Bounds { calls: 1, asks: 9, waiting: 10, patience: Duration::from_secs(5) };
    let batcher = Batcher::behind(
        move |_| {
            let pass = pass.clone();
            async move { pass.acquire_owned().await.ok() }
        },
        bounds,
        move |_, asks: Vec<u32>| {
            let (tell, end) = (tell.clone(), end.clone());
            async move {
                tell.send(asks.clone()).unwrap();
                end.acquire().await.unwrap().forget();
                asks
            }
        },
    );
    let ask = |key: u8, ask| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.ask(key, ask).await })
    };
    let mut asked = vec![ask(1, 1)];
    assert_eq!(told.recv().await.unwrap(), [1]);
    // Another key's call stands at the gate, and takes along whoever comes.
    asked.extend((2..=4).map(|number| ask(2, number)));
    while batcher.lock().get(&2).is_none_or(|queue| queue.waiting.len() < 3) {
        yield_now().await;
    }
    through.add_permits(2);
    assert_eq!(told.recv().await.unwrap(), [2, 3, 4]);
    for (answer, number) in asked.into_iter().zip(1..) {
        assert_eq!(answer.await.unwrap(), Ok(number));
    }
    while gate.available_permits() < 1 {
        yield_now().await;
    }
}

#[tokio::test]
async fn bounded_and_not_held_up_by_who_goes_away() {
    let (batcher, mut told, gate) = stage(2);
    let ask = |ask| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.ask(1, ask).await })
    };
    let first = ask(1);
    assert_eq!(told.recv().await.unwrap(), [1]);
    let (leaves, stays) = (ask(2), ask(3));
    while batcher.lock()[&1].waiting.len() < 2 {
        yield_now().await;
    }
    assert_eq!(batcher.ask(1, 4).await, Err(Unanswered::Full));
    // One that waits goes away, and the one whose call is under way.
    leaves.abort();
    let _ = leaves.await;
    first.abort();
    let _ = first.await;
    assert!(told.try_recv().is_err(), "the call is still under way");
    gate.add_permits(1);
    assert_eq!(told.recv().await.unwrap(), [3]);
    gate.add_permits(1);
    assert_eq!(stays.await.unwrap(), Ok(30));
}

#[tokio::test]
async fn a_call_that_fails_leaves_nobody_waiting() {
    let (batcher, mut told, gate) = stage(10);
    let ask = |ask| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.ask(1, ask).await })
    };
    let first = ask(1);
    assert_eq!(told.recv().await.unwrap(), [1]);
    let (bad, with_it) = (ask(666), ask(2));
    gate.add_permits(2);
    assert_eq!(first.await.unwrap(), Ok(10));
    assert_eq!(bad.await.unwrap(), Err(Unanswered::GivenUp));
    assert_eq!(with_it.await.unwrap(), Err(Unanswered::GivenUp));
    gate.add_permits(1);
    assert_eq!(ask(3).await.unwrap(), Ok(30));
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_for_too_long_is_not_asked_any_more() {
    let (batcher, mut told, gate) = stage_with(10, Duration::from_secs(1));
    let ask = |ask| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.ask(1, ask).await })
    };
    let first = ask(1);
    assert_eq!(told.recv().await.unwrap(), [1]);
    let late = ask(2);
    while batcher.lock()[&1].waiting.is_empty() {
        yield_now().await;
    }
    advance(Duration::from_millis(1_001)).await;
    gate.add_permits(1);
    assert_eq!(first.await.unwrap(), Ok(10));
    assert_eq!(late.await.unwrap(), Err(Unanswered::Full));
}

#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let (batcher, mut told, _gate) = stage(10);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |ask| {
        let batcher = batcher.clone();
        runtime.spawn(async move { batcher.ask(1, ask).await })
    };
    let _first = ask(1);
    assert_eq!(runtime.block_on(told.recv()).unwrap(), [1]);
    let _waiting = ask(2);
    while batcher.lock().get(&1).is_none_or(|queue| queue.waiting.is_empty()) {
        std::thread::yield_now();
    }
    drop(runtime);
    assert!(batcher.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_over_his_deadline_is_not_asked_for() {
    let (batcher, mut told, gate) = stage(10);
    let ask = |ask, ms| {
        let batcher = batcher.clone();
        let until = Instant::now() + Duration::from_millis(ms);
        tokio::spawn(async move { deadline::scope(until, batcher.ask(1, ask)).await })
    };
    let first = ask(1, 10_000);
    assert_eq!(told.recv().await.unwrap(), [1]);
    let (late, early) = (ask(2, 100), ask(3, 10_000));
    while batcher.lock()[&1].waiting.len() < 2 {
        yield_now().await;
    }
    advance(Duration::from_millis(101)).await;
    gate.add_permits(10);
    assert_eq!(told.recv().await.unwrap(), [3]);
    assert!(late.await.unwrap().is_err());
    assert_eq!(first.await.unwrap(), Ok(10));
    assert_eq!(early.await.unwrap(), Ok(30));
}
