//! E-mail to buyers: what it says, in which language, and that it comes once.

use std::collections::HashSet;

use holdfast::{
    config::{Doors, Mail, Payments},
    proto::Order,
};
use mail_parser::MimeHeaders;
use tokio_postgres::Client;
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    EVENT, Server, Stage, Stores, eventually, floor, hold_request,
    mailbox::{self, MailServer},
    small_event,
    told::{dead_letters, order_event_service},
};

/// A stage whose server writes to buyers.
struct Post {
    stores: Stores,
    server: Server,
    mail: MailServer,
    postgres: Client,
}

impl Post {
    async fn new() -> Self {
        Self::of(small_event(EVENT)).await
    }

    async fn of(event: holdfast::proto::CreateEventRequest) -> Self {
        let stores = Stores::new().await;
        let mail = MailServer::start().await;
        let server = start(&stores, &mail).await;
        server.create_event(event).await.unwrap();
        let postgres = stores.postgres().await;
        Self { stores, server, mail, postgres }
    }

    /// A sale to a buyer, also to such as the contract would not take.
    async fn sell(
        &self,
        seats: &[&str],
        floor_units: i32,
        [name, email, language]: [&str; 3],
    ) -> Order {
        let mut request = hold_request("ann", seats);
        if floor_units > 0 {
            request.areas = floor(floor_units);
        }
        let hold = self.server.hold(request).await.unwrap();
        let order = self.server.create_order(&hold).await.unwrap().order.unwrap();
        let id: Uuid = order.order_id.parse().unwrap();
        let sql = "UPDATE orders SET buyer_name = $2, buyer_email = $3, buyer_language = $4
            WHERE order_id = $1";
        self.postgres.execute(sql, &[&id, &name, &email, &language]).await.unwrap();
        self.server.confirm(&hold, &Uuid::now_v7().to_string()).await.unwrap()
    }

    async fn taken(&self, count: usize) -> Vec<mailbox::Mail> {
        eventually("the mail comes", async || {
            let taken = self.mail.taken();
            (taken.len() >= count).then_some(taken)
        })
        .await
    }

    async fn count(&self, state: &str) -> i64 {
        let sql = "SELECT count(*) FROM deliveries WHERE state = $1";
        self.postgres.query_one(sql, &[&state]).await.unwrap().get(0)
    }

    /// Waits until no delivery is due.
    async fn settled(&self) {
        eventually("all is delivered", async || (self.count("DUE").await == 0).then_some(())).await;
    }
}

async fn start(stores: &Stores, mail: &MailServer) -> Server {
    let any = "127.0.0.1:0".parse().unwrap();
    let mail = Mail {
        smtp_url: Some(mail.url().into()),
        mail_from: Some("The House <tickets@house.example>".into()),
        mail_utc_offset: time::UtcOffset::from_hms(7, 0, 0).unwrap(),
    };
    let doors = Doors { grpc_addr: any, http_addr: any, payments: Payments::default(), mail };
    Server::start_on(&doors, &stores.settings()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tickets_come_with_codes_to_scan() {
    let post = Post::new().await;
    let order = post.sell(&["A-1", "A-2"], 1, ["Ann Lee", "ann@buyer.example", "en-GB"]).await;
    let mail = &post.taken(1).await[0];
    assert_eq!(mail.to, ["ann@buyer.example"]);
    let message = mail.parsed();
    assert_eq!(message.subject(), Some("Your tickets for An Evening"));
    let id = format!("{}.order_paid@house.example", order.order_id);
    assert_eq!(message.message_id(), Some(id.as_str()));
    let (from, to) = (message.from().unwrap().first(), message.to().unwrap().first());
    assert_eq!(from.unwrap().address(), Some("tickets@house.example"));
    assert_eq!(to.unwrap().name(), Some("Ann Lee"));
    assert_eq!(message.header("Auto-Submitted").unwrap().as_text(), Some("auto-generated"));

    let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
    for said in [
        "Ann Lee",
        "An Evening",
        "The House, Hanoi",
        "Stalls",
        "A-1",
        "A-2",
        "Floor",
        "EUR 30.00",
        "EUR 12.00",
        "EUR 72.00",
        &order.order_id,
        // 1,800,000,000 s, seven hours on.
        "Friday, 15 January 2027, 15:00 (UTC+7)",
    ] {
        assert!(text.contains(said), "no {said} in {text}");
        assert!(html.contains(said), "no {said} in {html}");
    }
    let tickets: Vec<String> = order.tickets.iter().map(|t| t.ticket_id.clone()).collect();
    assert_eq!(mail.scanned(), tickets);
    // Each code is shown where its ticket is.
    for part in message.attachments() {
        assert!(html.contains(&format!("src=\"cid:{}\"", part.content_id().unwrap())));
    }
    assert_eq!(message.attachment_count(), 3);
    post.settled().await;
    assert_eq!(post.count("DONE").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_written_in_the_buyers_language() {
    let post = Post::new().await;
    for (i, (language, subject, time, price)) in [
        ("vi-VN", "Vé của bạn cho An Evening", "15:00 (UTC+7), Thứ Sáu, 15/01/2027", "30,00 EUR"),
        ("ko", "An Evening 티켓 안내", "2027년 1월 15일 (금) 15:00 (UTC+7)", "EUR 30.00"),
        ("fr", "Your tickets for An Evening", "Friday, 15 January 2027", "EUR 30.00"),
    ]
    .into_iter()
    .enumerate()
    {
        let seat = format!("B-{}", i + 1);
        post.sell(&[&seat], 0, ["Nguyễn Văn A", "a@buyer.example", language]).await;
        let mail = &post.taken(i + 1).await[i];
        let message = mail.parsed();
        assert_eq!(message.subject(), Some(subject));
        assert_eq!(message.to().unwrap().first().unwrap().name(), Some("Nguyễn Văn A"));
        for body in [message.body_text(0).unwrap(), message.body_html(0).unwrap()] {
            let body = body.replace("&#x2f;", "/");
            assert!(body.contains(time) && body.contains(price), "{language}: {body}");
            assert!(body.contains("Nguyễn Văn A"), "{language}: {body}");
        }
    }
}

/// What operators and buyers write is text, wherever it stands.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_only_text() {
    let mut event = small_event(EVENT);
    event.event.as_mut().unwrap().name = "<script>x</script> & {{ order_id }}".into();
    let post = Post::of(event).await;
    let name = "Ann\r\nBcc: all@buyer.example\r\n\r\n<b>";
    post.sell(&["A-1"], 0, [name, "ann@buyer.example", "en"]).await;
    let mail = &post.taken(1).await[0];
    let message = mail.parsed();
    assert_eq!(mail.to, ["ann@buyer.example"]);
    assert!(message.bcc().is_none());
    let html = message.body_html(0).unwrap();
    assert!(html.contains("&lt;script&gt;x&lt;&#x2f;script&gt; &amp; {{ order_id }}"), "{html}");
    assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
    let text = message.body_text(0).unwrap();
    assert!(text.contains("<script>x</script> & {{ order_id }}"), "{text}");
}

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
        let about = |event: &holdfast::proto::OrderEvent| event.order_id == order.order_id;
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
    let request = holdfast::proto::RetryDeadLettersRequest {
        dead_letter_ids: vec![of(&order).dead_letter_id],
        ..Default::default()
    };
    let retried = service.retry_dead_letters(request).await.unwrap().into_inner();
    assert_eq!(retried.retried, 1);
    assert_eq!(post.taken(1).await[0].to, ["ann@buyer.example"]);
    post.settled().await;
    assert_eq!(dead_letters(&mut service, "").await.len(), 1);
}

/// Two servers number and deliver; whoever has it, each letter is sent once.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_send_each_letter_once() {
    let post = Post::new().await;
    let _other = start(&post.stores, &post.mail).await;
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

/// Of an order that ended otherwise the buyer is told, too: each part of a refund once.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_order_is_told() {
    let post = Post::new().await;
    let order = post.sell(&["I-1", "I-2"], 0, ["Ann", "ann@buyer.example", "en"]).await;
    post.taken(1).await;
    for (i, ticket) in order.tickets.iter().enumerate() {
        let refund_id = Uuid::now_v7().to_string();
        post.server.refund_order(&order.order_id, &refund_id, &[&ticket.ticket_id]).await.unwrap();
        let taken = post.taken(2 + i).await;
        let message = taken[1 + i].parsed();
        assert_eq!(message.subject(), Some("A refund of your order for An Evening"));
        let given = format!("EUR {}.00", 30 * (i + 1));
        assert!(message.body_text(0).unwrap().contains(&given));
    }
    let taken = post.taken(3).await;
    let ids: HashSet<_> =
        taken.iter().map(|m| m.parsed().message_id().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3);

    let hold = post.server.hold(hold_request("ann", &["I-3"])).await.unwrap();
    let order = post.server.create_order(&hold).await.unwrap().order.unwrap();
    let sql = "UPDATE orders SET buyer_email = 'ann@buyer.example' WHERE state = 'PENDING'";
    post.postgres.execute(sql, &[]).await.unwrap();
    post.server.cancel_order(&order.order_id).await.unwrap();
    let taken = post.taken(4).await;
    let message = taken[3].parsed();
    assert_eq!(message.subject(), Some("Your order for An Evening was cancelled"));
    let id = format!("{}.order_cancelled@house.example", order.order_id);
    assert_eq!(message.message_id(), Some(id.as_str()));
}
