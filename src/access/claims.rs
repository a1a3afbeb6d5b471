//! What a token that has been verified says of its caller.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::{Caller, HolderId, Role};

/// A reserver who may call for the holder alone that `sub` names.
const BOUND_RESERVER: &str = "reserver:self";

pub type Claims = Map<String, Value>;

/// Who has a token with these claims; `None` where it names no role of ours. Of several
/// roles the largest counts; where that is a reserver's, he is bound only if all are.
pub fn caller(claims: &Claims, roles_claim: &str) -> Option<Arc<Caller>> {
    let name = claims.get("sub").and_then(Value::as_str);
    let roles = roles(claims, roles_claim);
    let role = roles.iter().filter_map(|role| Role::named(role)).max();
    let is_bound = roles.contains(&BOUND_RESERVER) && role < Some(Role::Reserver);
    let (role, bound_to) = match (role, is_bound) {
        // Who names nobody, or what no holder can be, is bound to nobody: he has no role.
        (_, true) => (Role::Reserver, Some(name?.parse::<HolderId>().ok()?)),
        (role, false) => (role?, None),
    };
    Some(Arc::new(Caller { name: name.map(ToOwned::to_owned), role, bound_to }))
}

/// The roles, one or a list, of the claim with this name, or with this path of names with
/// dots between.
fn roles<'a>(claims: &'a Claims, claim: &str) -> Vec<&'a str> {
    let by_path = || {
        let (first, rest) = claim.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
    };
    match claims.get(claim).or_else(by_path) {
        Some(Value::String(role)) => vec![role],
        Some(Value::Array(roles)) => roles.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use Role::{Confirmer, Operator, Reserver, Viewer};

    #[rstest]
    #[case(json!("viewer"), Some((Viewer, false)))]
    #[case(json!(["viewer", "operator"]), Some((Operator, false)))]
    #[case(json!(["of another system", "confirmer", 7]), Some((Confirmer, false)))]
    #[case(json!("reserver:self"), Some((Reserver, true)))]
    #[case(json!(["viewer", "reserver:self"]), Some((Reserver, true)))]
    #[case(json!(["reserver", "reserver:self"]), Some((Reserver, false)))]
    #[case(json!(["confirmer", "reserver:self"]), Some((Confirmer, false)))]
    #[case(json!("viewer operator"), None)]
    #[case(json!("Operator"), None)]
    #[case(json!("confirmer:self"), None)]
    #[case(json!({"operator": true}), None)]
    #[case(json!(null), None)]
    fn roles_are_read(#[case] roles: Value, #[case] told: Option<(Role, bool)>) {
        let claims = json!({"sub": "ann", "roles": roles, "realm": {"roles": roles}});
        for claim in ["roles", "realm.roles"] {
            let found = caller(claims.as_object().unwrap(), claim);
            let found = found.map(|caller| (caller.role, caller.bound_to.is_some()));
            assert_eq!(found, told, "{claim}");
        }
    }

    #[test]
    fn who_is_bound_to_what_no_holder_can_be_has_no_role() {
        for sub in [json!("no holder"), json!(7), json!(null)] {
            let claims = json!({"sub": sub, "roles": ["viewer", "reserver:self"]});
            assert_eq!(caller(claims.as_object().unwrap(), "roles"), None, "{sub}");
        }
    }
}
