//! Certificates for tests of TLS.

use std::{fs, path::Path};

/// One who signs certificates.
pub struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

/// What a certificate names.
#[derive(Clone, Copy)]
pub enum Names<'a> {
    Ip(&'a str),
    Dns(&'a str),
    Uri(&'a str),
    /// The subject alone.
    Common(&'a str),
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: rcgen::Issuer::new(params, key) }
    }

    pub fn write(&self, path: &Path) {
        fs::write(path, &self.pem).unwrap();
    }

    /// A certificate and its key, as PEM.
    pub fn issue(&self, names: Names<'_>) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        let common = match names {
            Names::Common(name) => name,
            // It does not count beside these.
            _ => "ops",
        };
        params.distinguished_name.push(rcgen::DnType::CommonName, common);
        params.subject_alt_names.extend(match names {
            Names::Ip(ip) => Some(rcgen::SanType::IpAddress(ip.parse().unwrap())),
            Names::Dns(name) => Some(rcgen::SanType::DnsName(name.try_into().unwrap())),
            Names::Uri(uri) => Some(rcgen::SanType::URI(uri.try_into().unwrap())),
            Names::Common(_) => None,
        });
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A certificate authority, and a certificate of its own for the server and for
/// the client, as PEM files.
pub fn make_certificates(dir: &Path) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    for name in ["server", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
