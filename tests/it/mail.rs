//! E-mail to buyers: what it says, and in which language.

use std::collections::HashSet;

use mail_parser::MimeHeaders;
use uuid::Uuid;

use crate::support::{EVENT, hold_request, post::Post, small_event};

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
