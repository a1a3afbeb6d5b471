//! VNPAY's side of the protocol, for one machine: the page where buyers pay, the
//! merchant API, and a control API by which a script has things happen.
//!
//! It shares no code with `holdfast`, so that a mistake would have to be made twice.

mod api;
mod book;
mod control;
mod page;
mod sign;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    routing::{get, post},
};
use clap::Parser;
use tokio::net::TcpListener;

use crate::book::Book;

/// VNPAY's side of the protocol, for one machine. No money moves.
///
/// Its address is the last line that it prints. Below that:
///
/// GET  /paymentv2/vpcpay.html            the page (HOLDFAST_VNPAY_PAY_URL)
/// POST /paymentv2/choice                 what the buyer chose there:
///                                        ?txn_ref=REF&choice=pay, fail or leave
/// POST /merchant_webapi/api/transaction  the merchant API (HOLDFAST_VNPAY_API_URL)
///
/// GET  /control/transactions             all that is known: IPNs, calls, refunds
/// GET  /control/transactions/REF         one
/// POST /control/transactions/REF/pay     {"delay_ms": 0, "ipn": true, "wait": true}
/// POST /control/transactions/REF/fail    likewise, and {"code": "24"}
/// POST /control/transactions/REF/ipn     an IPN; {"amount": hundredths, "forged": true}
///                                        make it wrong, then it is sent once
/// POST /control/transactions/REF/replay  the last IPN once more
/// GET  /control/transactions/REF/return  where the buyer's browser goes
/// GET  /control/settings                 and POST, to change some: ipn_urls (each in
///                                        turn), ipn_tries, ipn_pause_ms, down (503),
///                                        lose_answers (of the merchant API: done, but
///                                        504), refuse_refunds (95)
///
/// REF is vnp_TxnRef, 32 hexadecimal digits; it is known once its page was opened.
#[derive(Debug, Clone, Parser)]
#[command(name = "vnpay_simulator", verbatim_doc_comment)]
pub struct Flags {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// The merchant's terminal.
    #[arg(long, env = "HOLDFAST_VNPAY_TMN_CODE", default_value = "HOLDFAST")]
    tmn_code: String,
    /// The secret of both sides.
    #[arg(
        long,
        env = "HOLDFAST_VNPAY_HASH_SECRET",
        hide_env_values = true,
        default_value = "a-secret-for-one-machine"
    )]
    hash_secret: String,
    /// Where the merchant is told of payments; given again, at each in turn.
    #[arg(long, default_value = "http://127.0.0.1:8080/payments/vnpay/callback")]
    ipn_url: Vec<String>,
    /// How often an IPN is sent until it is answered 00 or 02. VNPAY: 10.
    #[arg(long, default_value_t = 10)]
    ipn_tries: u32,
    /// Milliseconds between two of them. VNPAY: 5 minutes.
    #[arg(long, default_value_t = 1_000)]
    ipn_pause_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    // Of two that could be, one has to be named.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind(flags.listen)
        .await
        .with_context(|| format!("cannot listen on {}", flags.listen))?;
    let addr = listener.local_addr()?;
    let book = Arc::new(Book::new(flags)?);
    println!("http://{addr}");
    axum::serve(listener, router(book)).await?;
    Ok(())
}

fn router(book: Arc<Book>) -> Router {
    let of = |verb: &str| format!("/control/transactions/{{txn_ref}}{verb}");
    Router::new()
        .route("/paymentv2/vpcpay.html", get(page::show))
        .route("/paymentv2/choice", post(page::choose))
        .route("/merchant_webapi/api/transaction", post(api::answer))
        .route("/control/transactions", get(control::list))
        .route(&of(""), get(control::show))
        .route(&of("/pay"), post(control::pay))
        .route(&of("/fail"), post(control::fail))
        .route(&of("/ipn"), post(control::ipn))
        .route(&of("/replay"), post(control::replay))
        .route(&of("/return"), get(control::return_url))
        .route("/control/settings", get(control::settings).post(control::set))
        .with_state(book)
}
