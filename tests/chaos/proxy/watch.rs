//! What a proxy understands of what passes: just enough to cut in the right
//! moment.

use std::collections::HashSet;

/// What is looked for in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Anything.
    Any,
    /// A script of Redis.
    Script,
    /// The statement of Postgres that sells: a transaction of its own, so that
    /// its answer is the answer to the COMMIT.
    Sale,
}

/// How the statement that sells begins.
const SALE: &[u8] = b"-- confirm";
/// Where the command of a Redis request stands, at the latest.
const HEAD_BYTES: usize = 64;

/// What was seen of one connection's requests.
#[derive(Default)]
pub(super) struct Watch {
    /// It asked to follow this Redis as a replica.
    pub is_replica: bool,
    script: bool,
    sale: bool,
    postgres: Postgres,
}

impl Watch {
    /// Looks at what goes up.
    pub fn see(&mut self, bytes: &[u8]) {
        self.is_replica |= contains(bytes, b"PSYNC") || contains(bytes, b"REPLCONF");
        self.script = contains(bytes, b"EVALSHA") || contains(bytes, b"EVAL\r\n");
        self.sale = self.postgres.see(bytes);
    }

    /// Whether what was seen last has it.
    pub fn saw(&self, pattern: Pattern) -> bool {
        match pattern {
            Pattern::Any => true,
            Pattern::Script => self.script,
            Pattern::Sale => self.sale,
        }
    }
}

/// Whether an answer is complete: Postgres says that it is ready for the next
/// query, after its commit; any other answer is, as soon as it begins.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    let is_postgres = bytes.first().is_some_and(|tag| b"123CDEKNRSTZnst".contains(tag));
    !is_postgres || bytes.len() >= 6 && bytes[bytes.len() - 6..].starts_with(b"Z\0\0\0\x05")
}

/// Whether a request of Redis', whose pieces begin with their command, has it.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    head.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// The messages of a Postgres client, as they come in pieces.
#[derive(Default)]
struct Postgres {
    started: bool,
    /// It is none: its bytes are not looked at any more.
    alien: bool,
    rest: Vec<u8>,
    sales: HashSet<Vec<u8>>,
}

impl Postgres {
    /// Whether these bytes bring a sale to be executed.
    fn see(&mut self, bytes: &[u8]) -> bool {
        if self.alien {
            return false;
        }
        self.rest.extend_from_slice(bytes);
        let mut sells = false;
        loop {
            // The first message has no tag.
            let tagged = usize::from(self.started);
            let Some(length) = self.rest.get(tagged..tagged + 4) else { return sells };
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            let end = tagged + length as usize;
            if !(4..1 << 24).contains(&length) {
                self.alien = true;
                self.rest = Vec::new();
                return sells;
            }
            if self.rest.len() < end {
                return sells;
            }
            let message: Vec<u8> = self.rest.drain(..end).collect();
            sells |= self.started && self.is_sale(&message);
            self.started = true;
        }
    }

    fn is_sale(&mut self, message: &[u8]) -> bool {
        let mut texts = message[5..].split(|&byte| byte == 0);
        match message[0] {
            // Parse: the statement's name and its text.
            b'P' => {
                let (name, text) = (texts.next().unwrap_or(b""), texts.next().unwrap_or(b""));
                match text.starts_with(SALE) {
                    true => self.sales.insert(name.to_vec()),
                    false => self.sales.remove(name),
                };
                false
            }
            // Bind: the portal's name, and the statement's.
            b'B' => texts.nth(1).is_some_and(|name| self.sales.contains(name)),
            _ => false,
        }
    }
}
