//! E-mail to buyers: that it comes, and comes once, whatever fails.

use std::collections::HashSet;

use holdfast::{
    limits::MAILS_AT_ONCE,
    proto::{Order, OrderEvent, RetryDeadLettersRequest},
};
use tokio::process::Command;
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    EVENT, Stage, Stores, eventually, hold_request,
    mailbox::MailServer,
    post::{Post, count, start},
    small_event,
    told::{dead_letters, order_event_service},
};

#[tokio::test(flavor = "multi_thread")]
async fn sales_do_not_wait_for_a_mail_server_that_is_down() {
    let mut post = Post::new().await;
    post.mail.stop().await;
    let mut orders = HashSet::new();
    for seat in ["C-1", "C-2", "C-3"] {
        let order = post.sell(&[seat], 0, ["Ann", "ann@buyer.example", "en"]).await;
        orders.insert(format!("{}.order_paid@house.example", order.order_id));
    }
    eventually("it is tried and fails", async || {
        let sql = "SELECT last_error FROM deliveries WHERE attempts > 1 AND last_error <> ''";
        let rows = post.postgres.query(sql, &[]).await.unwrap();
        rows.first().map(|row| row.get::<_, String>(0))
    })
    .await;
    eventually("all of them wait", async || (post.count("DUE").await == 3).then_some(())).await;
    post.mail.start_again().await;
    post.settled().await;
    let taken = post.mail.taken();
    let ids = taken.iter().map(|mail| mail.parsed().message_id().unwrap().to_owned());
    assert_eq!(ids.collect::<HashSet<_>>(), orders);
    assert_eq!(taken.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_a_dead_letter() {
    let post = Post::new().await;
    let order = post.sell(&["D-1"], 0, ["Ann", "nobody@buyer.example", "en"]).await;
    let bad = post.sell(&["D-2"], 0, ["Ann", "no address", "en"]).await;
    let mut service = order_event_service(&post.server).await;
    let letters = eventually("two are given up", async || {
        let letters = dead_letters(&mut service.clone(), "").await;
        (letters.len() == 2).then_some(letters)
    })
    .await;
    let of = |order: &Order| {
        let about = |event: &OrderEvent| event.order_id == order.order_id;
        letters.iter().find(|letter| letter.event.as_ref().is_some_and(about)).unwrap()
    };
    assert_eq!(of(&order).last_error, "the mail server answered 550");
    assert_eq!(of(&bad).last_error, "the address is none");
    assert_eq!((of(&order).attempts, of(&order).webhook_id.as_str()), (1, ""));
    assert!(post.mail.taken().is_empty());

    // Somebody mends the address of one of them.
    let id: Uuid = order.order_id.parse().unwrap();
    let sql = "UPDATE orders SET buyer_email = 'ann@buyer.example' WHERE order_id = $1";
    post.postgres.execute(sql, &[&id]).await.unwrap();
    let request = RetryDeadLettersRequest {
        dead_letter_ids: vec![of(&order).dead_letter_id],
        ..Default::default()
    };
    let retried = service.retry_dead_letters(request).await.unwrap().into_inner();
    assert_eq!(retried.retried, 1);
    assert_eq!(post.taken(1).await[0].to, ["ann@buyer.example"]);
    post.settled().await;
    assert_eq!(dead_letters(&mut service, "").await.len(), 1);
}

/// Whoever runs the servers mends that: no letter is given up for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_is_no_dead_letter() {
    let (stores, mail) = (Stores::new().await, MailServer::start().await);
    let server = start(&stores, mail.url_with("wrong")).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    let postgres = stores.postgres().await;
    let post = Post { stores, server, mail, postgres };
    post.sell(&["D-1"], 0, ["Ann", "ann@buyer.example", "en"]).await;
    eventually("it is tried again", async || {
        let sql = "SELECT last_error FROM deliveries WHERE attempts > 1 AND state = 'DUE'";
        let row = post.postgres.query_opt(sql, &[]).await.unwrap()?;
        row.get::<_, Option<String>>(0)
            .map(|error| assert_eq!(error, "the mail server answered 535"))
    })
    .await;
    let Post { stores, server, mail, postgres } = post;
    server.app.stop().await;
    let _mended = start(&stores, mail.url()).await;
    eventually("it is sent", async || (count(&postgres, "DONE").await == 1).then_some(())).await;
    assert_eq!(mail.taken().len(), 1);
}

/// Two servers number and deliver; whoever has it, each letter is sent once.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_send_each_letter_once() {
    let post = Post::new().await;
    let _other = start(&post.stores, post.mail.url()).await;
    let mut expected = HashSet::new();
    for row in ["E", "F"] {
        for number in 1..=10 {
            let seat = format!("{row}-{number}");
            let order = post.sell(&[&seat], 0, ["Ann", "ann@buyer.example", "ko"]).await;
            expected.insert(format!("{}.order_paid@house.example", order.order_id));
        }
    }
    // Those who have asked to be written to no more, or never gave an address.
    let nobody = post.sell(&["G-1"], 0, ["Ann", "", "en"]).await;
    let taken = post.taken(expected.len()).await;
    post.settled().await;
    let ids: Vec<_> = taken.iter().map(|m| m.parsed().message_id().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), expected.len());
    assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected);
    eventually("the last one is numbered", async || {
        let sql = "SELECT 1 FROM order_events WHERE order_id = $1 AND kind = 'ORDER_PAID'
            AND sequence > 0";
        let id: Uuid = nobody.order_id.parse().unwrap();
        (!post.postgres.query(sql, &[&id]).await.unwrap().is_empty()).then_some(())
    })
    .await;
    assert_eq!(post.count("DONE").await, expected.len() as i64);
}

/// What a server claimed and did not end, another one has after the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_has_passed_is_anybodys() {
    let mut post = Post::new().await;
    post.mail.stop().await;
    post.sell(&["H-1"], 0, ["Ann", "ann@buyer.example", "en"]).await;
    // As a server leaves it that was killed after its claim.
    eventually("it was tried, and waits for its next try", async || {
        let sql = "UPDATE deliveries SET attempts = attempts + 1,
            next_time = now() + interval '60 seconds'
            WHERE next_time > now() AND last_error <> ''";
        (post.postgres.execute(sql, &[]).await.unwrap() == 1).then_some(())
    })
    .await;
    post.mail.start_again().await;
    let sold = post.sell(&["H-2"], 0, ["Ann", "ann@buyer.example", "en"]).await;
    let later = post.taken(1).await;
    let id = format!("{}.order_paid@house.example", sold.order_id);
    assert_eq!(later[0].parsed().message_id(), Some(id.as_str()));
    eventually("it is noted", async || (post.count("DONE").await == 1).then_some(())).await;
    assert_eq!(post.count("DUE").await, 1);
    let sql = "UPDATE deliveries SET next_time = now() WHERE state = 'DUE'";
    post.postgres.execute(sql, &[]).await.unwrap();
    post.settled().await;
    assert_eq!(post.mail.taken().len(), 2);
}

/// Without a mail server nobody is written to, and nothing waits for one.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_there_is_no_mail() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    stage.server.create_order(&hold).await.unwrap();
    let postgres = stage.stores.postgres().await;
    let sql = "UPDATE orders SET buyer_email = 'ann@buyer.example'";
    postgres.execute(sql, &[]).await.unwrap();
    stage.server.confirm(&hold, "pay-1").await.unwrap();
    eventually("it is numbered", async || {
        let sql = "SELECT 1 FROM order_events WHERE kind = 'ORDER_PAID' AND sequence > 0";
        postgres.query_opt(sql, &[]).await.unwrap().map(|_| ())
    })
    .await;
    let count = postgres.query_one("SELECT count(*) FROM deliveries", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 0);
    let mut service = order_event_service(&stage.server).await;
    let request = holdfast::proto::ListDeadLettersRequest {
        webhook_id: "no id".into(),
        page_size: 201,
        page_token: "?".into(),
    };
    let told = crate::support::refusal(service.list_dead_letters(request).await);
    assert_eq!(told.code, Code::InvalidArgument);
    assert_eq!(told.subjects, ["webhook_id", "page_size", "page_token"]);
}

/// Servers that are killed while they send: what they had claimed is sent by others
/// after its lease, and nothing is lost. Whoever gets a letter twice can tell.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_with_a_server_that_is_killed() {
    const LETTERS: usize = 40;
    let mut post = Post::new().await;
    post.mail.stop().await;
    let mut expected = HashSet::new();
    for i in 0..LETTERS {
        let seat = format!("{}-{}", ["A", "B", "C", "D"][i / 10], i % 10 + 1);
        let order = post.sell(&[&seat], 0, ["Ann", "ann@buyer.example", "vi"]).await;
        expected.insert(format!("{}.order_paid@house.example", order.order_id));
    }
    eventually("all are on their way", async || {
        (post.count("DUE").await == LETTERS as i64).then_some(())
    })
    .await;
    let Post { stores, server, mut mail, postgres } = post;
    server.app.stop().await;
    mail.start_again().await;
    // As if all leases and waits had passed.
    let sql = "UPDATE deliveries SET next_time = now() WHERE state = 'DUE'";
    for killed in 1..=3 {
        postgres.execute(sql, &[]).await.unwrap();
        let mut server = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["serve", "--log", "error", "--grpc-addr", "127.0.0.1:0"])
            .args(["--http-addr", "127.0.0.1:0", "--mail-from", "tickets@house.example"])
            .env("HOLDFAST_POSTGRES_URL", &stores.postgres_url)
            .env("HOLDFAST_REDIS_URL", &stores.redis_url)
            .env("HOLDFAST_SMTP_URL", mail.url())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("it sends some", async || (mail.taken().len() >= 10 * killed).then_some(()))
            .await;
        // SIGKILL.
        server.kill().await.unwrap();
    }
    postgres.execute(sql, &[]).await.unwrap();
    let _last = start(&stores, mail.url()).await;
    eventually("all is delivered", async || (count(&postgres, "DUE").await == 0).then_some(()))
        .await;
    let taken = mail.taken();
    let ids: HashSet<_> =
        taken.iter().map(|m| m.parsed().message_id().unwrap().to_owned()).collect();
    assert_eq!(ids, expected);
    // At most what each had under way is sent twice.
    assert!(taken.len() <= LETTERS + 3 * MAILS_AT_ONCE as usize);
}
