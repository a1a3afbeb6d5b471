//! A load whose answer is lost, with all that it had built.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use crate::support::{EVENT, Server, Stores, hold_request, small_event};

/// The way to a Redis, where one load's answer can be lost.
struct Lossy {
    redis: PathBuf,
    stores: Stores,
    /// Whether the next load loses its answer, and Redis what it has.
    armed: AtomicBool,
}

impl Lossy {
    /// Listens at `path` for as long as the test runs.
    fn listen(self: Arc<Self>, path: &Path) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&self.redis).await.unwrap();
                tokio::spawn(self.clone().carry(client, server));
            }
        });
    }

    async fn carry(self: Arc<Self>, mut client: UnixStream, mut server: UnixStream) {
        let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    server.write_all(&asked[..count]).await.unwrap();
                    let is_load = asked[..count].windows(10).any(|name| name == b"seat_count");
                    if is_load && self.armed.swap(false, Ordering::SeqCst) {
                        assert!(server.read(&mut answered).await.unwrap() > 0);
                        let mut redis = self.stores.redis().await;
                        let () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
                        return;
                    }
                }
                read = server.read(&mut answered) => {
                    let Ok(count @ 1..) = read else { return };
                    client.write_all(&answered[..count]).await.unwrap();
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_is_never_built_twice() {
    let stores = Stores::new().await;
    let (path, database) =
        stores.redis_url.strip_prefix("redis+unix://").unwrap().split_once('?').unwrap();
    let lossy = Arc::new(Lossy {
        redis: path.into(),
        stores: stores.clone(),
        armed: AtomicBool::new(false),
    });
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("redis.sock");
    lossy.clone().listen(&here);
    let redis_url = format!("redis+unix://{}?{database}", here.display());
    let server = Server::start(&Stores { redis_url, ..stores.clone() }).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    server.hold(hold_request("ann", &["A-1"])).await.unwrap();

    let mut redis = stores.redis().await;
    let () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    lossy.armed.store(true, Ordering::SeqCst);
    server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    assert!(!lossy.armed.load(Ordering::SeqCst), "a load was lost");
    let row = stores.postgres().await.query_one("SELECT epoch FROM events", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 3, "one epoch for each load");
}
