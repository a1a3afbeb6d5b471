//! What the Redis URL says: which servers, and how each is reached.
//!
//! - `redis://[user:password@]host[:6379][/db]`, one server; `redis+unix://path`.
//! - `redis+sentinel://[user:password@]host[:26379],.../service[/db]`, the
//!   master that Sentinel names; `sentinel_user` and `sentinel_password` as
//!   query parameters are for the sentinels themselves.
//! - `redis+cluster://[user:password@]host[:6379],...`, some nodes of a Cluster.
//!
//! `rediss`, alone or before the `+`, is the same over TLS, to sentinels too.
//! Its query may name PEM files: `ca`, who signs, instead of the system's; `cert`
//! and `key`, the client's own.

use std::fs;

use deadpool_redis::redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, parse_redis_url,
};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    /// From `host:port`; an empty host is `asked`'s own.
    pub(super) fn parse(text: &str, asked: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { asked } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }

    /// Where a connection goes; `None` for a socket of this machine.
    pub(super) fn of(info: &ConnectionInfo) -> Option<Self> {
        match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Self { host: host.clone(), port: *port })
            }
            _ => None,
        }
    }
}

/// How many servers there are, and who says which one is the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    /// Sentinel's name for the master and its replicas.
    Sentinel(String),
    Cluster,
}

/// A deployment of Redis, as far as the URL knows it.
#[derive(Debug)]
pub(super) struct Deployment {
    pub kind: Kind,
    /// The server itself; the sentinels; or nodes of a Cluster.
    pub seeds: Vec<ConnectionInfo>,
    /// How a server is reached, but for where it listens.
    server: ConnectionInfo,
}

/// A URL in its parts, none of them decoded.
struct Parts<'a> {
    /// `redis`, or `rediss`.
    base: &'a str,
    /// With the `@`, or empty.
    credentials: &'a str,
    hosts: Vec<&'a str>,
    path: Vec<&'a str>,
    /// With the `?`, or empty.
    query: &'a str,
}

impl Deployment {
    pub(super) fn parse(url: &str) -> Result<Self, RedisError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no scheme", ""))?;
        let deployment = match scheme.split_once('+') {
            Some((base, "sentinel")) => Self::sentinel(&Parts::new(base, rest))?,
            Some((base, "cluster")) => Self::cluster(&Parts::new(base, rest))?,
            _ => {
                let server = reached_by(url)?;
                Self { kind: Kind::Single, seeds: vec![server.clone()], server }
            }
        };
        Ok(deployment)
    }

    fn sentinel(parts: &Parts) -> Result<Self, RedisError> {
        let (service, db) = match parts.path.as_slice() {
            [service] => (*service, "0"),
            [service, db] => (*service, *db),
            _ => return Err(bad("the path must be /service or /service/db", "")),
        };
        let mut seeds = Vec::new();
        for host in &parts.hosts {
            let url = parts.url("", &with_port(host, 26379), "");
            let settings = sentinel_settings(&url)?;
            seeds.push(reached_by(&url)?.set_redis_settings(settings));
        }
        let first = parts.hosts.first().ok_or_else(|| bad("it names no host", ""))?;
        let server = reached_by(&parts.url(parts.credentials, first, db))?;
        Ok(Self { kind: Kind::Sentinel(service.to_owned()), seeds, server })
    }

    fn cluster(parts: &Parts) -> Result<Self, RedisError> {
        if !parts.path.is_empty() {
            return Err(bad("a Cluster has no databases", ""));
        }
        let reached = |host: &&str| reached_by(&parts.url(parts.credentials, host, ""));
        let seeds: Vec<_> = parts.hosts.iter().map(reached).collect::<Result<_, _>>()?;
        let server = seeds.first().ok_or_else(|| bad("it names no host", ""))?.clone();
        Ok(Self { kind: Kind::Cluster, seeds, server })
    }

    /// How the server that listens there is reached.
    pub(super) fn server_at(&self, address: &Address) -> ConnectionInfo {
        let (host, port) = (address.host.clone(), address.port);
        let addr = match self.server.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        self.server.clone().set_addr(addr)
    }
}

impl<'a> Parts<'a> {
    fn new(base: &'a str, rest: &'a str) -> Self {
        let (rest, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let at = authority.rfind('@').map_or(0, |at| at + 1);
        let (credentials, hosts) = authority.split_at(at);
        let full = |parts: &'a str, by| parts.split(by).filter(|part| !part.is_empty()).collect();
        Self { base, credentials, hosts: full(hosts, ','), path: full(path, '/'), query }
    }

    /// A URL of one host, as the client library reads it.
    fn url(&self, credentials: &str, host: &str, db: &str) -> String {
        format!("{}://{credentials}{host}/{db}{}", self.base, self.query)
    }
}

fn with_port(host: &str, port: u16) -> String {
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

/// How a server is reached by a URL that names it alone.
fn reached_by(url: &str) -> Result<ConnectionInfo, RedisError> {
    let info = url.into_connection_info()?;
    // The library's name is nothing worth a round trip, and a command to allow.
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let info = info.set_redis_settings(settings);
    let ConnectionAddr::TcpTls { .. } = info.addr() else { return Ok(info) };
    // The library takes the process' provider, of which it brings none. Another
    // that is there already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = |name| match parameter(url, name) {
        None => Ok(None),
        Some(path) => match fs::read(&path) {
            Ok(pem) => Ok(Some(pem)),
            Err(error) => Err(bad("cannot read a file", &format!("{path}: {error}"))),
        },
    };
    let client_tls = match (file("cert")?, file("key")?) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        (None, None) => None,
        _ => return Err(bad("cert and key need each other", "")),
    };
    let certificates = TlsCertificates { client_tls, root_cert: file("ca")? };
    Ok(Client::build_with_tls(info, certificates)?.get_connection_info().clone())
}

fn sentinel_settings(url: &str) -> Result<RedisConnectionInfo, RedisError> {
    let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let password = parameter(url, "sentinel_password");
    match (parameter(url, "sentinel_user"), password) {
        (Some(_), None) => return Err(bad("sentinel_user needs sentinel_password", "")),
        (user, Some(password)) => {
            settings = settings.set_password(password);
            if let Some(user) = user {
                settings = settings.set_username(user);
            }
        }
        (None, None) => {}
    }
    Ok(settings)
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = parse_redis_url(url)?;
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

fn bad(what: &'static str, detail: &str) -> RedisError {
    match detail {
        "" => (ErrorKind::InvalidClientConfig, what).into(),
        _ => (ErrorKind::InvalidClientConfig, what, detail.to_owned()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    fn seeds(deployment: &Deployment) -> Vec<Address> {
        deployment.seeds.iter().map(|info| Address::of(info).unwrap()).collect()
    }

    #[test]
    fn one_server_is_as_the_library_has_it() {
        let one = Deployment::parse("redis://u:p%40@h:7/3").unwrap();
        assert_eq!((&one.kind, seeds(&one)), (&Kind::Single, vec![at("h", 7)]));
        let settings = one.seeds[0].redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("u"), Some("p@")));
        assert_eq!(settings.db(), 3);
        let socket = Deployment::parse("redis+unix:///run/redis.sock?db=5").unwrap();
        assert_eq!(socket.seeds[0].redis_settings().db(), 5);
    }

    #[test]
    fn sentinels_have_credentials_of_their_own() {
        let url = "redis+sentinel://u:p%2F@a,b:5,[::1]/main/2?sentinel_user=s&sentinel_password=q";
        let deployment = Deployment::parse(url).unwrap();
        assert_eq!(deployment.kind, Kind::Sentinel("main".into()));
        assert_eq!(seeds(&deployment), [at("a", 26379), at("b", 5), at("::1", 26379)]);
        let sentinel = deployment.seeds[0].redis_settings();
        assert_eq!((sentinel.username(), sentinel.password()), (Some("s"), Some("q")));
        let server = deployment.server_at(&at("m", 9));
        assert_eq!(Address::of(&server), Some(at("m", 9)));
        let settings = server.redis_settings();
        assert_eq!((settings.password(), settings.db()), (Some("p/"), 2));
        let plain = Deployment::parse("redis+sentinel://u:p@a/main").unwrap();
        assert_eq!(plain.seeds[0].redis_settings().password(), None);
    }

    #[test]
    fn nodes_of_a_cluster_are_all_reached_alike() {
        let deployment = Deployment::parse("rediss+cluster://:p@a:1,b").unwrap();
        assert_eq!(
            (&deployment.kind, seeds(&deployment)),
            (&Kind::Cluster, vec![at("a", 1), at("b", 6379)])
        );
        let server = deployment.server_at(&at("c", 3));
        assert!(matches!(server.addr(), ConnectionAddr::TcpTls { .. }));
        assert_eq!(server.redis_settings().password(), Some("p"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in [
            "host:6379",
            "http://host",
            "redis+sentinel://a,b",
            "redis+sentinel://a/main/x",
            "redis+sentinel:///main",
            "redis+sentinel://a/main?sentinel_user=s",
            "redis+cluster://a/3",
            "redis+cluster://",
            "mysql+cluster://a",
            "rediss://a?ca=/nowhere.pem",
            "rediss://a?cert=/nowhere.pem",
        ] {
            assert!(Deployment::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_without_a_host_is_on_the_host_asked() {
        assert_eq!(Address::parse(":7", "h"), Some(at("h", 7)));
        assert_eq!(Address::parse("2001:db8::1:7", "h"), Some(at("2001:db8::1", 7)));
        assert_eq!(Address::parse("h", "h"), None);
    }
}
