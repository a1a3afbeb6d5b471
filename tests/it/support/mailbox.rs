//! A mail server: real SMTP, over the protocol's own state machine, that keeps what it
//! takes.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use mail_parser::{Message, MessageParser, MimeHeaders};
use mailin::{Action, AuthMechanism, Handler, Response, Session, SessionBuilder, response};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Mail as it was taken.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: Vec<String>,
    pub data: Vec<u8>,
}

impl Mail {
    pub fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(&self.data).unwrap()
    }

    /// What its pictures say, to a scanner.
    pub fn scanned(&self) -> Vec<String> {
        let message = self.parsed();
        let is_png = |part: &&mail_parser::MessagePart<'_>| {
            part.content_type().is_some_and(|kind| kind.subtype() == Some("png"))
        };
        message.parts.iter().filter(is_png).map(|part| scan(part.contents())).collect()
    }
}

fn scan(png: &[u8]) -> String {
    let picture = image::load_from_memory(png).unwrap().to_luma8();
    let mut picture = rqrr::PreparedImage::prepare(picture);
    let grids = picture.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

/// What all its connections share. An address that begins with `nobody` is refused for
/// good.
#[derive(Clone, Default)]
struct Box {
    taken: Arc<Mutex<Vec<Mail>>>,
    to: Vec<String>,
    data: Vec<u8>,
}

impl Handler for Box {
    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        match (user, password) {
            ("house", "secret") => response::AUTH_OK,
            _ => response::INVALID_CREDENTIALS,
        }
    }

    fn rcpt(&mut self, to: &str) -> Response {
        if to.starts_with("nobody") {
            return response::NO_MAILBOX;
        }
        self.to.push(to.to_owned());
        response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data.extend(bytes);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let (to, data) = (std::mem::take(&mut self.to), std::mem::take(&mut self.data));
        self.taken.lock().unwrap().push(Mail { to, data });
        response::OK
    }
}

pub struct MailServer {
    pub addr: SocketAddr,
    mailbox: Box,
    serving: Option<JoinHandle<()>>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut server = Self { addr, mailbox: Box::default(), serving: None };
        server.serve(listener);
        server
    }

    /// Listens again where it did.
    pub async fn start_again(&mut self) {
        self.serve(TcpListener::bind(self.addr).await.unwrap());
    }

    fn serve(&mut self, listener: TcpListener) {
        let mailbox = self.mailbox.clone();
        self.serving = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let mut builder = SessionBuilder::new("mail.house.example");
                builder.enable_auth(AuthMechanism::Plain).insecure_enable_plaintext_auth();
                let session = builder.build(peer.ip(), mailbox.clone());
                connections.spawn(converse(stream, session));
            }
        }));
    }

    /// Ends at once, and all its connections.
    pub async fn stop(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
    }

    /// It takes one login alone.
    pub fn url(&self) -> String {
        self.url_with("secret")
    }

    pub fn url_with(&self, password: &str) -> String {
        format!("smtp://house:{password}@{}", self.addr)
    }

    pub fn taken(&self) -> Vec<Mail> {
        self.mailbox.taken.lock().unwrap().clone()
    }
}

async fn converse(stream: TcpStream, mut session: Session<Box>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut answer = session.greeting();
    loop {
        if answer.action != Action::NoReply {
            let bytes = answer.buffer().unwrap();
            if writer.write_all(&bytes).await.is_err() || answer.action == Action::Close {
                return;
            }
        }
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
            return;
        }
        answer = session.process(&line);
    }
}
