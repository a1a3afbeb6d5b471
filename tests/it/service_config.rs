//! What clients retry by: `deploy/service-config.json`, compared with the contract.

use std::collections::BTreeMap;

use holdfast::proto;
use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use serde_json::Value;

/// What another try would do twice, or to another server.
const NOT_REPEATED: [&str; 2] =
    ["holdfast.v1.OrderEventService/CreateWebhook", "holdfast.v1.OperatorService/Drain"];

/// Every method of the contract, by `service/method`.
fn methods() -> BTreeMap<String, MethodDescriptorProto> {
    let contract = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let ours = contract.file.into_iter().filter(|file| file.package() == "holdfast.v1");
    let services = ours.flat_map(|file| file.service);
    let methods = services.flat_map(|service| {
        let name = format!("holdfast.v1.{}", service.name());
        service.method.into_iter().map(move |method| (format!("{name}/{}", method.name()), method))
    });
    methods.collect()
}

/// What the file says, by `service/method` or, of all of a service, `service/`.
fn configs() -> BTreeMap<String, Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/service-config.json");
    let text = std::fs::read_to_string(path).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let mut found = BTreeMap::new();
    for entry in config["methodConfig"].as_array().unwrap() {
        for name in entry["name"].as_array().unwrap() {
            let method = name["method"].as_str().unwrap_or_default();
            let name = format!("{}/{method}", name["service"].as_str().unwrap());
            assert!(found.insert(name.clone(), entry.clone()).is_none(), "{name} twice");
        }
    }
    found
}

fn service(method: &str) -> String {
    method.split_inclusive('/').next().unwrap().to_owned()
}

#[test]
fn every_method_has_a_deadline_and_is_repeated_where_that_is_safe() {
    let (methods, configs) = (methods(), configs());
    assert!(NOT_REPEATED.iter().all(|name| methods.contains_key(*name)));
    for (name, method) in &methods {
        let config = configs.get(name).or_else(|| configs.get(&service(name)));
        let config = config.unwrap_or_else(|| panic!("nothing is said of {name}"));
        // A stream has no end of its own.
        assert_eq!(config["timeout"].is_string(), !method.server_streaming(), "{name}");
        let policy = &config["retryPolicy"];
        assert_eq!(policy.is_object(), !NOT_REPEATED.contains(&&**name), "{name}");
        if policy.is_object() {
            assert_eq!(policy["retryableStatusCodes"], serde_json::json!(["UNAVAILABLE"]));
        }
    }
    for name in configs.keys() {
        let is_known = methods.keys().any(|method| method == name || service(method) == *name);
        assert!(is_known, "there is no {name}");
    }
}
