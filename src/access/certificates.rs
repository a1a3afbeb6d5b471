//! Which certificates have which roles.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    domain::{Caller, Role},
    limits::MAX_CERTIFICATE_ROLES,
    reload::{Error, Reloaded, Why},
};

/// Callers by the names of their certificates.
pub struct Names(HashMap<String, Arc<Caller>>);

/// A file of `"name" = "role"` that cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0:?} has the role {1:?}, which is none")]
    Role(String, String),
    #[error("more than {MAX_CERTIFICATE_ROLES} names")]
    TooMany,
}

/// Reads the file, and again whenever it changes.
pub fn read(path: PathBuf) -> Result<Arc<Reloaded<Names>>, Error> {
    let names = Reloaded::new("certificate roles", vec![path], |texts| {
        parse(std::str::from_utf8(&texts[0])?)
    });
    let names = Arc::new(names?);
    tokio::spawn(Reloaded::keep(Arc::downgrade(&names)));
    Ok(names)
}

fn parse(text: &str) -> Result<Names, Why> {
    let listed: BTreeMap<String, String> = toml::from_str(text)?;
    if listed.len() > MAX_CERTIFICATE_ROLES {
        return Err(Unusable::TooMany.into());
    }
    let mut names = HashMap::with_capacity(listed.len());
    for (name, role) in listed {
        let Some(role) = Role::named(&role) else { return Err(Unusable::Role(name, role).into()) };
        let caller = Caller { name: Some(name.clone()), role, bound_to: None };
        names.insert(name, Arc::new(caller));
    }
    Ok(Names(names))
}

impl Names {
    /// Who has a certificate with these names: the one of the largest role.
    pub fn caller(&self, names: &[String]) -> Option<Arc<Caller>> {
        names.iter().filter_map(|name| self.0.get(name)).max_by_key(|caller| caller.role).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_the_largest_role_of_its_names() {
        let text = "\"web\" = \"reserver\"\n\"spiffe://house/desk\" = \"confirmer\"\n";
        let names = parse(text).unwrap();
        let told = |of: &[&str]| {
            let of: Vec<String> = of.iter().map(ToString::to_string).collect();
            names.caller(&of).map(|caller| (caller.name.clone().unwrap(), caller.role))
        };
        assert_eq!(told(&["web"]), Some(("web".into(), Role::Reserver)));
        let desk = Some(("spiffe://house/desk".into(), Role::Confirmer));
        assert_eq!(told(&["web", "spiffe://house/desk", "other"]), desk);
        assert_eq!(told(&["other", "WEB"]), None);
        assert!(parse("\"web\" = \"root\"").is_err());
        assert!(parse("\"web\" = \"reserver:self\"").is_err());
    }
}
