//! A house that writes to its buyers.

use holdfast::{
    config::{Doors, Mail},
    proto::{self, Order},
};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    EVENT, Server, Stores, any_doors, eventually, floor, hold_request,
    mailbox::{self, MailServer},
    small_event,
};

/// A stage whose server writes to buyers.
pub struct Post {
    pub stores: Stores,
    pub server: Server,
    pub mail: MailServer,
    pub postgres: Client,
}

impl Post {
    pub async fn new() -> Self {
        Self::of(small_event(EVENT)).await
    }

    pub async fn of(event: proto::CreateEventRequest) -> Self {
        let stores = Stores::new().await;
        let mail = MailServer::start().await;
        let server = start(&stores, mail.url()).await;
        server.create_event(event).await.unwrap();
        let postgres = stores.postgres().await;
        Self { stores, server, mail, postgres }
    }

    /// A sale to a buyer, also to such as the contract would not take.
    pub async fn sell(
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

    pub async fn taken(&self, count: usize) -> Vec<mailbox::Mail> {
        eventually("the mail comes", async || {
            let taken = self.mail.taken();
            (taken.len() >= count).then_some(taken)
        })
        .await
    }

    /// How many deliveries are at it.
    pub async fn count(&self, state: &str) -> i64 {
        count(&self.postgres, state).await
    }

    /// Waits until no delivery is due.
    pub async fn settled(&self) {
        eventually("all is delivered", async || (self.count("DUE").await == 0).then_some(())).await;
    }
}

/// A server that writes to buyers by way of this mail server.
pub async fn start(stores: &Stores, smtp_url: String) -> Server {
    let mail = Mail {
        smtp_url: Some(smtp_url.into()),
        mail_from: Some("The House <tickets@house.example>".into()),
        mail_utc_offset: time::UtcOffset::from_hms(7, 0, 0).unwrap(),
    };
    let doors = Doors { mail, ..any_doors() };
    Server::start_on(&doors, &stores.settings()).await
}

/// How many deliveries are at it.
pub async fn count(postgres: &Client, state: &str) -> i64 {
    let sql = "SELECT count(*) FROM deliveries WHERE state = $1";
    postgres.query_one(sql, &[&state]).await.unwrap().get(0)
}
