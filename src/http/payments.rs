//! Payment providers' callbacks, and buyers' browsers that come back from paying.
//!
//! A provider is told that all is well only once its payment's outcome is durable:
//! until then it comes again.

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};

use super::Side;
use crate::{
    domain::{Order, OrderState},
    limits::MAX_CALLBACK_BYTES,
    payments::{Answer, CALLBACK_PATH, Provider, RETURN_PATH, Reply},
    telemetry,
};

type Parameters = Vec<(String, String)>;

pub(super) fn routes() -> Router<Side> {
    Router::new()
        .route(CALLBACK_PATH, get(called_by_query).post(called_by_form))
        .route(RETURN_PATH, get(came_back))
        .layer(DefaultBodyLimit::max(MAX_CALLBACK_BYTES))
        .layer(middleware::from_fn(traced))
}

/// By the route: the rest of the address is the provider's, and may name a buyer.
async fn traced(request: Request, next: Next) -> Response {
    let traceparent = request.headers().get("traceparent").cloned();
    let traceparent = traceparent.as_ref().map(HeaderValue::as_bytes);
    telemetry::request("/payments/", traceparent, |mut span| async move {
        let answer = next.run(request).await;
        span.set("http.response.status_code", i64::from(answer.status().as_u16()));
        answer
    })
    .await
}

async fn called_by_query(
    State(side): State<Side>,
    Path(provider): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    called(&side, &provider, &parameters).await
}

async fn called_by_form(
    State(side): State<Side>,
    Path(provider): Path<String>,
    Form(parameters): Form<Parameters>,
) -> Response {
    called(&side, &provider, &parameters).await
}

async fn called(side: &Side, provider: &str, parameters: &Parameters) -> Response {
    let Some(provider) = side.providers.get(provider) else {
        return (StatusCode::NOT_FOUND, "there is no such payment provider\n").into_response();
    };
    let notice = match provider.verify(parameters) {
        Ok(notice) => notice,
        Err(error) => {
            tracing::warn!(provider = provider.name(), %error, "a callback is refused");
            return answered(&*provider, Answer::Forged);
        }
    };
    let (flows, asked) = (side.flows.clone(), provider.clone());
    // Where the provider hangs up, what it told is seen to all the same.
    let taken = async move { flows.take_callback(&*asked, notice).await };
    let answer = side.flows.carry_through(Box::pin(taken)).await.unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(provider = provider.name(), %error, cause, "a callback shall come again");
        Answer::Later
    });
    answered(&*provider, answer)
}

fn answered(provider: &dyn Provider, answer: Answer) -> Response {
    let Reply { status, content_type, body } = provider.answer(answer);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// Shows what an order is at; changes nothing, for a browser may say anything.
async fn came_back(
    State(side): State<Side>,
    Path(provider): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let Some(provider) = side.providers.get(&provider) else {
        return (StatusCode::NOT_FOUND, "there is no such payment provider\n").into_response();
    };
    let Ok(notice) = provider.verify(&parameters) else {
        return (StatusCode::BAD_REQUEST, "this address is not the provider's\n").into_response();
    };
    match side.flows.order_of_notice(&notice).await {
        Ok(order) => onward(&order),
        Err(crate::flow::Error::Refused(_)) => {
            (StatusCode::NOT_FOUND, "there is no such payment\n").into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "a buyer comes back in vain");
            (StatusCode::SERVICE_UNAVAILABLE, "please try again in a moment\n").into_response()
        }
    }
}

/// To the address that the order was made with, which is told what the order is at by
/// `order_id` and `order_state`; or a page of our own.
fn onward(order: &Order) -> Response {
    let (order_id, state) = (order.order_id, order.state.as_str());
    let return_url = order.checkout.as_ref().and_then(|checkout| checkout.return_url.as_deref());
    if let Some(url) = return_url {
        let (url, fragment) = url.split_once('#').map_or((url, None), |(u, f)| (u, Some(f)));
        let mark = if url.contains('?') { '&' } else { '?' };
        let fragment = fragment.map(|f| format!("#{f}")).unwrap_or_default();
        let url = format!("{url}{mark}order_id={order_id}&order_state={state}{fragment}");
        return Redirect::to(&url).into_response();
    }
    let text = match order.state {
        OrderState::Pending => "We are waiting for the payment to be confirmed.",
        OrderState::Paid => "Thank you: it is paid.",
        OrderState::Cancelled => "It was cancelled.",
        OrderState::RefundDue | OrderState::Refunded => {
            "It could not be sold any more; the money is given back."
        }
    };
    let page = format!("<!doctype html><title>Order</title><p>Order {order_id}</p><p>{text}</p>");
    Html(page).into_response()
}
