//! The flags of the page that the HTTP port has.

use std::net::Ipv6Addr;

use clap::Args;

/// Where the page finds what it shows.
#[derive(Debug, Clone, Default, Args)]
pub struct Page {
    /// Where browsers reach the gRPC port, such as `https://api.tickets.example`, for the
    /// page that the HTTP port has. The host that the page was asked of, at the gRPC port,
    /// where not given.
    #[arg(long, value_name = "URL", env = "HOLDFAST_PUBLIC_GRPC_URL", value_parser = public_url)]
    pub public_grpc_url: Option<String>,
}

fn public_url(text: &str) -> Result<String, String> {
    let url = text.strip_suffix('/').unwrap_or(text);
    match is_origin(url) {
        true => Ok(url.to_owned()),
        false => Err("not like https://host or https://host:port, without a path".to_owned()),
    }
}

/// Whether this is `http` or `https`, a host and at most a port: what may stand in a
/// Content-Security-Policy, which ends with `;` and spaces.
pub fn is_origin(url: &str) -> bool {
    let Some(("http" | "https", authority)) = url.split_once("://") else { return false };
    let (is_host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            ((1..=253).contains(&host.len()) && host.chars().all(of_name), port)
        }
    };
    let of_port = |port: &str| {
        port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(of_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for good in [
            "http://localhost",
            "https://api.tickets.example",
            "http://127.0.0.1:50051",
            "http://[::1]:50051",
            "https://a_b-c.example:1",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "localhost:50051",
            "ftp://host",
            "http://",
            "http://:80",
            "http://host:",
            "http://host:0",
            "http://host:+80",
            "http://host:65536",
            "http://host/path",
            "http://user@host",
            "http://a;b",
            "http://a b",
            "http://a,b",
            "http://*",
            "http://[::1",
            "http://[host]:1",
            "http://[::1]x",
            "http://a:1:2",
            "http://ü.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
        assert_eq!(public_url("https://host/").as_deref(), Ok("https://host"));
        assert!(public_url("https://host//").is_err());
    }
}
