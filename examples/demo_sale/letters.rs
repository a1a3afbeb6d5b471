//! What buyers receive by e-mail, from a mail server that tests have as well.

use std::collections::BTreeMap;

use uuid::Uuid;

#[path = "../../tests/it/support/mailbox.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "shared with tests, where it panics")]
mod mailbox;

use mailbox::Mail;
pub use mailbox::MailServer;

/// Of e-mail that is read with all its pictures.
pub const BUYERS: &str = "@buyers.example";

/// One e-mail, however often it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// `order_paid`, and the like: of which order event.
    pub about: String,
    /// What its pictures say to a scanner.
    pub codes: Vec<String>,
    pub copies: usize,
}

/// All e-mail, by the order it is about and by its Message-ID, read as it comes.
#[derive(Default)]
pub struct Letters {
    read: usize,
    by_order: BTreeMap<Uuid, BTreeMap<String, Letter>>,
}

impl Letters {
    /// Reads what has come since.
    pub fn read(&mut self, server: &MailServer) {
        let taken = server.taken();
        for mail in &taken[self.read..] {
            self.take(mail);
        }
        self.read = taken.len();
    }

    fn take(&mut self, mail: &Mail) {
        let message = mail.parsed();
        let message_id = message.message_id().unwrap_or_default();
        // Such as 01a1...-....order_paid@house.example
        let (order_id, about) = message_id.split_once('.').unwrap_or_default();
        let about = about.split(['.', '@']).next().unwrap_or_default();
        let letters = self.by_order.entry(order_id.parse().unwrap_or_default()).or_default();
        let letter = letters.entry(message_id.to_owned()).or_insert_with(|| {
            let is_scanned = mail.to.iter().any(|to| to.contains(BUYERS));
            let codes = if is_scanned { mail.scanned() } else { Vec::new() };
            Letter { about: about.to_owned(), codes, copies: 0 }
        });
        letter.copies += 1;
    }

    /// Those about an order.
    pub fn of(&self, order_id: Uuid) -> Vec<Letter> {
        let letters = self.by_order.get(&order_id);
        letters.map(|letters| letters.values().cloned().collect()).unwrap_or_default()
    }
}
