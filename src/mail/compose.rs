//! A letter as a message: text and HTML that say the same, and a picture for each
//! ticket.

use lettre::{
    Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use serde::Serialize;
use time::UtcOffset;

use super::{
    language::Language,
    qr,
    templates::{Labels, Templates},
};
use crate::domain::{Buyer, Letter, LetterKind, Money, Seating, Ticket, Undelivered};

/// What the layouts show.
#[derive(Serialize)]
struct Shown<'a> {
    language: &'static str,
    subject: &'a str,
    greeting: String,
    intro: String,
    closing: &'a str,
    labels: &'a Labels,
    event: &'a str,
    venue: String,
    when: String,
    order_id: String,
    total: String,
    refunded: String,
    tickets: Vec<ShownTicket>,
}

#[derive(Serialize)]
struct ShownTicket {
    ticket_id: String,
    /// Of its picture within the message.
    picture_id: String,
    place: ShownPlace,
    price: String,
}

/// Either of the two; what a place does not have is empty.
#[derive(Default, Serialize)]
struct ShownPlace {
    section: String,
    row: String,
    seat: String,
    area: String,
}

/// The message of a letter.
///
/// # Errors
/// For good, where nobody can be written to at the buyer's address.
pub fn message(
    letter: &Letter,
    from: &Mailbox,
    utc_offset: UtcOffset,
    templates: &Templates,
) -> Result<Message, Undelivered> {
    let buyer = letter.order.checkout.as_ref().and_then(|checkout| checkout.buyer.as_ref());
    let buyer = buyer.ok_or_else(|| Undelivered::for_good("the order has no buyer"))?;
    let address = buyer.email.parse();
    let address = address.map_err(|_| Undelivered::for_good("the address is none"))?;
    let name = Some(one_line(&buyer.name)).filter(|name| !name.is_empty());

    let (subject, text, html) = render(letter, buyer, utc_offset, templates)
        .map_err(|error| Undelivered::for_now(format!("no template: {:?}", error.kind())))?;
    let mut related = MultiPart::related().singlepart(SinglePart::html(html));
    for ticket in shown_tickets(letter) {
        let id = ticket.ticket_id.to_string();
        let png = qr::png(&id).ok_or_else(|| Undelivered::for_good("no code of the ticket"))?;
        let kind = ContentType::parse("image/png").expect("is a content type");
        related = related.singlepart(Attachment::new_inline(id).body(png, kind));
    }
    let body = MultiPart::alternative().singlepart(SinglePart::plain(text)).multipart(related);
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(subject)
        // Whoever gets a letter twice, since we ended before we noted that it was sent,
        // can tell by this.
        .message_id(Some(format!("<{}@{}>", letter.key, from.email.domain())))
        .multipart(body);
    let mut message = message.map_err(|_| Undelivered::for_good("the letter is no message"))?;
    // RFC 3834: nobody's holiday notice shall answer it.
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".into()));
    Ok(message)
}

/// Subject, text and HTML.
fn render(
    letter: &Letter,
    buyer: &Buyer,
    utc_offset: UtcOffset,
    templates: &Templates,
) -> Result<(String, String, String), minijinja::Error> {
    let Letter { kind, order, event, .. } = letter;
    let language = Language::of(&buyer.language);
    let words = templates.words(language);
    let currency = order.total.currency;
    let tickets = shown_tickets(letter).iter().map(|ticket| shown(letter, ticket, language));
    let mut shown = Shown {
        language: language.tag(),
        subject: "",
        greeting: String::new(),
        intro: String::new(),
        closing: &words.closing,
        labels: &words.labels,
        event: &event.name,
        venue: [&*event.venue, &*event.city].join(", "),
        when: language.time(event.start_time.to_offset(utc_offset)),
        order_id: order.order_id.to_string(),
        total: language.amount(order.total),
        refunded: language.amount(Money { currency, micros: order.refunded_micros }),
        tickets: tickets.collect(),
    };
    let subject = templates.line(&words.of(*kind).subject, &shown)?;
    let subject = one_line(&subject);
    shown.intro = templates.line(&words.of(*kind).intro, &shown)?;
    shown.greeting = match buyer.name.as_str() {
        "" => words.greeting_of_nobody.clone(),
        name => templates.line(&words.greeting, minijinja::context! { name })?,
    };
    shown.subject = &subject;
    let (text, html) = (templates.text(&shown)?, templates.html(&shown)?);
    Ok((subject, text, html))
}

/// Text for a header, which is one line, whatever people are called.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The tickets that the letter brings.
fn shown_tickets(letter: &Letter) -> &[Ticket] {
    match letter.kind {
        LetterKind::Tickets => &letter.order.tickets,
        LetterKind::Cancelled | LetterKind::Refunded => &[],
    }
}

fn shown(letter: &Letter, ticket: &Ticket, language: Language) -> ShownTicket {
    let seating = letter.seating.iter().find(|(ticket_id, _)| *ticket_id == ticket.ticket_id);
    let place = match seating.map(|(_, seating)| seating.clone()) {
        Some(Seating::Seat { seat_id, row_id, section }) => {
            ShownPlace { section, row: row_id, seat: seat_id, ..ShownPlace::default() }
        }
        Some(Seating::Area { name }) => ShownPlace { area: name, ..ShownPlace::default() },
        None => ShownPlace::default(),
    };
    ShownTicket {
        ticket_id: ticket.ticket_id.to_string(),
        picture_id: ticket.ticket_id.to_string(),
        place,
        price: language.amount(ticket.price),
    }
}
