//! ListOpenHolds: what has not ended, page by page, by Redis or by the journal.

use holdfast::{
    app,
    proto::{ListOpenHoldsRequest, ListOpenHoldsResponse, OpenHold},
};
use tonic::Status;

use crate::{
    operator::operators,
    support::{EVENT, Server, Stage, eventually, hold_request, refusal},
};

async fn page(
    server: &Server,
    page_size: i32,
    page_token: &str,
) -> Result<ListOpenHoldsResponse, Status> {
    let (event_id, page_token) = (EVENT.to_owned(), page_token.to_owned());
    let request = ListOpenHoldsRequest { event_id, page_size, page_token };
    Ok(operators(server).await.list_open_holds(request).await?.into_inner())
}

/// Who holds, page by page.
async fn all(server: &Server, page_size: i32) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let listed = page(server, page_size, &token).await.unwrap();
        pages.push(listed.holds.into_iter().map(holder).collect());
        token = listed.next_page_token;
        if token.is_empty() {
            return pages;
        }
    }
}

fn holder(open: OpenHold) -> String {
    open.hold.unwrap().holder_id
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_order_in_which_they_run_out_and_as_the_journal_has_them() {
    let Stage { stores, server } = Stage::new().await;
    assert_eq!(all(&server, 0).await, [Vec::<String>::new()]);
    let mut holds = Vec::new();
    for (n, holder) in ["ann", "bob", "cat", "dan", "eve"].into_iter().enumerate() {
        holds.push(server.hold(hold_request(holder, &[&format!("A-{}", n + 1)])).await.unwrap());
    }
    server.extend_hold(&holds[0], 1_000_000).await.unwrap();
    server.extend_hold(&holds[2], 60_000).await.unwrap();
    server.release(&holds[3], &[], vec![]).await.unwrap();
    server.confirm(&holds[4], "pay-1").await.unwrap();
    let order = server.create_order(&holds[1]).await.unwrap().order.unwrap();

    let listed = page(&server, 0, "").await.unwrap();
    let times: Vec<_> =
        listed.holds.iter().map(|open| open.hold.as_ref().unwrap().expire_time.unwrap()).collect();
    assert!(times.is_sorted_by_key(|time| (time.seconds, time.nanos)), "{times:?}");
    let bobs = listed.holds.iter().filter_map(|open| open.hold.as_ref());
    let orders: Vec<_> = bobs.map(|hold| (&*hold.holder_id, &*hold.order_id)).collect();
    assert!(orders.contains(&("bob", &order.order_id)) && orders.contains(&("cat", "")));
    assert_eq!(listed.next_page_token, "");
    let expected: Vec<_> = listed.holds.into_iter().map(holder).collect();
    assert_eq!(expected[0], "cat");
    assert_eq!(all(&server, 2).await.concat(), expected);
    assert_eq!(all(&server, 1).await.concat(), expected);
    let told = refusal(page(&server, 501, "cat").await);
    assert_eq!((&*told.reason, told.subjects.len()), ("INVALID_FIELD", 2), "{told:?}");

    // Without Redis, by the journal; a page that Redis began is begun anew.
    let token = page(&server, 1, "").await.unwrap().next_page_token;
    eventually("the holds are journaled", async || {
        let client = stores.postgres().await;
        let sql = "SELECT FROM holds OFFSET 4";
        client.query_opt(sql, &[]).await.unwrap().map(drop)
    })
    .await;
    assert!(!token.is_empty());
    server.app.stop().await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut stores.redis().await).await.unwrap();
    let flows = app::connect(&stores.settings()).await.unwrap();
    let event_id = EVENT.parse().unwrap();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let (holds, next) = flows.list_open_holds(&event_id, after, 2).await.unwrap();
        listed.extend(holds.into_iter().map(|open| open.hold.holder_id.to_string()));
        after = next;
        if next.is_none() {
            break;
        }
    }
    listed.sort();
    assert_eq!(listed, ["ann", "bob", "cat"]);
}
