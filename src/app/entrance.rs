//! Who comes in by which door, as the settings say.

use std::sync::Arc;

use anyhow::{Context as _, ensure};

use crate::{
    access::{self, Access},
    config::{self, Doors},
    tls::{Files, Locks},
};

/// Who may call, and the locks of the doors.
///
/// # Errors
/// Where a file cannot be used, or everybody would be let in from beyond this machine.
pub fn of(doors: &Doors) -> anyhow::Result<(Arc<Access>, Option<Arc<Locks>>)> {
    let set = &doors.access;
    check(doors)?;
    let locks = match (&set.tls_cert_file, &set.tls_key_file) {
        (Some(certificate), Some(key)) => Some(Locks::new(Files {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: set.tls_client_ca_file.clone(),
            needs_client_certificate: set.jwt_keys.is_none(),
        })?),
        _ => None,
    };
    Ok((Arc::new(Access::new(settings(set)?)?), locks))
}

/// Where callers are known from.
fn settings(set: &config::Access) -> anyhow::Result<access::Settings> {
    let tokens = match (&set.jwt_keys, &set.jwt_audience) {
        (Some(keys), Some(audience)) => Some(access::TokenSettings {
            keys: access::Source::new(keys)?,
            algorithms: algorithms(&set.jwt_algorithms)?,
            audience: audience.clone(),
            issuer: set.jwt_issuer.clone(),
            leeway_s: set.jwt_leeway_seconds.into(),
            roles_claim: set.jwt_roles_claim.clone(),
        }),
        _ => None,
    };
    Ok(access::Settings { tokens, certificate_roles: set.certificate_roles_file.clone() })
}

fn algorithms(names: &[String]) -> anyhow::Result<Vec<access::Algorithm>> {
    ensure!(!names.is_empty(), "HOLDFAST_JWT_ALGORITHMS names none");
    let named = |name: &String| {
        name.parse().ok().with_context(|| {
            format!("HOLDFAST_JWT_ALGORITHMS: {name} is no algorithm that tokens are signed by")
        })
    };
    names.iter().map(named).collect()
}

fn check(doors: &Doors) -> anyhow::Result<()> {
    let set = &doors.access;
    let beyond = [("HOLDFAST_GRPC_ADDR", doors.grpc_addr), ("HOLDFAST_HTTP_ADDR", doors.http_addr)]
        .into_iter()
        .find(|(_, addr)| !addr.ip().is_loopback());
    let Some((setting, addr)) = beyond else { return Ok(()) };
    let mut missing = Vec::new();
    if set.tls_cert_file.is_none() {
        missing.push("TLS (HOLDFAST_TLS_CERT_FILE)");
    }
    if set.jwt_keys.is_none() && set.certificate_roles_file.is_none() {
        missing.push("who callers are (HOLDFAST_JWT_KEYS or HOLDFAST_CERTIFICATE_ROLES_FILE)");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" and without ");
    ensure!(
        set.insecure,
        "{setting} {addr} is beyond this machine, without {missing}: anybody who reaches it \
         could do all. Give what is missing, or say --insecure (HOLDFAST_INSECURE=true) where \
         the network lets in nobody else"
    );
    tracing::warn!(%addr, "HOLDFAST_INSECURE: listening without {missing}");
    Ok(())
}
