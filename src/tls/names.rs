//! What a certificate names.

use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// Whom a certificate, which has been verified, is for: its DNS names and URIs; where it
/// has none, its subject's common name.
pub fn of(certificate: &[u8]) -> Vec<String> {
    // What is verified can be read.
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let mut names = Vec::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(also) = extension.parsed_extension() {
            names.extend(also.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
                _ => None,
            }));
        }
    }
    if names.is_empty() {
        let common = certificate.subject().iter_common_name();
        names.extend(common.filter_map(|name| name.as_str().ok()).map(ToOwned::to_owned));
    }
    names
}
