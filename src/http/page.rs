//! The page for browsers: the live seat map, and what operators look at. Its files are
//! built of `src/http/page/` and are part of this program; what it shows it asks of the
//! gRPC port, as any client does.

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{Embed, EmbeddedFile};
use serde_json::{Value, json};

use super::{Page, Side};
use crate::config::is_origin;

/// What the page is built to, where it was built before this program.
#[derive(Embed)]
#[folder = "src/http/page/dist"]
#[allow_missing = true]
struct Built;

const NOT_BUILT: &str = "the page is not built into this program: `make page` builds it \
                         (needs node), then start again\n";
/// A file that changes has another name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Where browsers find the gRPC port.
#[derive(Debug, Clone)]
pub enum GrpcUrl {
    /// As the setting says.
    Public(String),
    /// At the host that the page was asked of.
    Beside { scheme: &'static str, port: u16 },
}

pub(super) fn routes() -> Router<Side> {
    Router::new()
        .route("/", get(async |grpc: Grpc| html(Built::get("index.html"), &grpc)))
        .route("/ops", get(async |grpc: Grpc| html(Built::get("ops.html"), &grpc)))
        .route("/assets/{*path}", get(async |Path(path): Path<String>| asset(of_assets(&path))))
        .route("/page.json", get(settings))
}

/// The origin of the gRPC port, as the browser that asks reaches it.
struct Grpc {
    url: String,
    /// What the browser has already.
    known: HeaderMap,
}

impl FromRequestParts<Side> for Grpc {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, side: &Side) -> Result<Self, Self::Rejection> {
        let url = match &side.page.grpc {
            GrpcUrl::Public(url) => url.clone(),
            GrpcUrl::Beside { scheme, port } => {
                let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
                let host = host.and_then(|host| host_name(scheme, host));
                let host = host.ok_or((StatusCode::BAD_REQUEST, "Host names no host\n"))?;
                format!("{scheme}://{host}:{port}")
            }
        };
        Ok(Self { url, known: parts.headers.clone() })
    }
}

/// The name or address in a Host header, without its port.
fn host_name<'a>(scheme: &str, host: &'a str) -> Option<&'a str> {
    let end = host.rfind(']').map_or_else(|| host.find(':'), |at| Some(at + 1));
    is_origin(&format!("{scheme}://{host}")).then(|| &host[..end.unwrap_or(host.len())])
}

/// What the page has to know before it can ask for anything.
async fn settings(State(page): State<Page>, grpc: Grpc) -> Json<Value> {
    Json(json!({
        "grpc_url": grpc.url,
        "rush": page.rush.is_some(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// A page: asked for anew each time, and sent where it has changed.
fn html(file: Option<EmbeddedFile>, grpc: &Grpc) -> Response {
    let Some(file) = file else {
        return (StatusCode::NOT_FOUND, NOT_BUILT).into_response();
    };
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let known = grpc.known.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let is_known = known.flat_map(|tags| tags.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    });
    let headers = [
        (CONTENT_SECURITY_POLICY, policy(&grpc.url)),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (ETAG, etag),
    ];
    match is_known {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, sent(file)).into_response(),
    }
}

/// What the page may load, and whom it may call: this port, and the gRPC port.
fn policy(grpc_url: &str) -> String {
    format!(
        "default-src 'self'; connect-src 'self' {grpc_url}; \
         object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
}

fn of_assets(path: &str) -> Option<EmbeddedFile> {
    Built::get(&format!("assets/{path}"))
}

fn asset(file: Option<EmbeddedFile>) -> Response {
    match file {
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
        Some(file) => ([(CACHE_CONTROL, FOR_EVER)], sent(file)).into_response(),
    }
}

fn sent(file: EmbeddedFile) -> impl IntoResponse {
    let mime = file.metadata.mimetype();
    let charset = if mime.starts_with("text/") { "; charset=utf-8" } else { "" };
    ([(CONTENT_TYPE, format!("{mime}{charset}"))], file.data)
}

/// Nothing is taken for what it is not said to be, and nobody is told who came from here.
pub(super) async fn with_care(mut answer: Response) -> Response {
    for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
    {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        answer.headers_mut().insert(name, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is built need not be there.
    #[derive(Embed)]
    #[folder = "tests/it/page"]
    struct Sample;

    fn asked(known: &str) -> Grpc {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, known.parse().unwrap());
        Grpc { url: "https://api.tickets.example".into(), known: headers }
    }

    #[test]
    fn a_page_is_sent_where_it_has_changed() {
        let header = |answer: &Response, name| answer.headers()[name].to_str().unwrap().to_owned();
        let of = |known: &str| html(Sample::get("index.html"), &asked(known));
        let sent = of("\"other\"");
        assert_eq!(sent.status(), StatusCode::OK);
        assert_eq!(header(&sent, CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(header(&sent, CACHE_CONTROL), "no-cache");
        let policy = header(&sent, CONTENT_SECURITY_POLICY);
        for part in [
            "default-src 'self'; connect-src 'self' https://api.tickets.example; ",
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let etag = header(&sent, ETAG);
        for known in [&etag, &format!("\"a\", W/{etag}"), "*"] {
            let known = of(known);
            assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(header(&known, ETAG), etag);
            assert_eq!(header(&known, CONTENT_SECURITY_POLICY), policy);
        }
        let missing = html(Sample::get("ops.html"), &asked("*"));
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_file_of_the_page_is_kept_for_ever() {
        let sent = asset(Sample::get("assets/sample.js"));
        assert_eq!(sent.status(), StatusCode::OK);
        assert_eq!(sent.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(sent.headers()[CACHE_CONTROL], FOR_EVER);
        let missing = asset(Sample::get("assets/other.js"));
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        assert!(!missing.headers().contains_key(CACHE_CONTROL));
    }

    #[test]
    fn a_host_is_found_with_or_without_a_port() {
        for (host, name) in [
            ("localhost:8080", Some("localhost")),
            ("tickets.example", Some("tickets.example")),
            ("[::1]:8080", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            (":8080", None),
            ("a b", None),
            ("a;script-src *", None),
            ("user@host", None),
        ] {
            assert_eq!(host_name("http", host), name, "{host}");
        }
    }
}
