//! Requests as data: made from JSON by the descriptors of the contract, sent to any
//! method, and what is told of them.

use std::{collections::BTreeMap, sync::LazyLock};

use holdfast::proto::FILE_DESCRIPTOR_SET;
use http::uri::PathAndQuery;
use prost::{Message, bytes::Buf, bytes::BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_types::StatusExt;

use super::refusal;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap());

/// What is said of one method: a good request, and what makes it bad.
#[derive(Debug, Deserialize)]
pub struct OfMethod {
    pub good: Value,
    pub bad: Vec<Bad>,
}

/// A bad request, and what its caller must be told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bad {
    /// Values of the good request that are others here, by path.
    #[serde(default)]
    set: BTreeMap<String, Value>,
    /// Or what is sent instead, whatever it is.
    hex: Option<String>,
    /// The bad fields, of INVALID_FIELD.
    #[serde(default)]
    fields: Vec<String>,
    /// Or code and reason.
    told: Option<String>,
    /// The violations, by type and subject.
    #[serde(default)]
    subjects: Vec<String>,
    /// All that the error's metadata has.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// All that an error tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    told: String,
    subjects: Vec<String>,
    metadata: BTreeMap<String, String>,
}

impl Bad {
    /// The request, as it is sent.
    pub fn request(&self, good: &Value, method: &MethodDescriptor, ids: &Ids) -> Vec<u8> {
        if let Some(hex) = &self.hex {
            return hex::decode(hex).unwrap();
        }
        let mut request = good.clone();
        for (path, value) in &self.set {
            set(&mut request, path, expand(value));
        }
        let request = ids.put_into(&request);
        DynamicMessage::deserialize(method.input(), &request)
            .unwrap_or_else(|error| panic!("{request}: {error}"))
            .encode_to_vec()
    }

    pub fn expected(&self, ids: &Ids) -> Answer {
        let metadata = match self.fields.len() {
            0 => self.metadata.clone(),
            count => BTreeMap::from([("violations".to_owned(), count.to_string())]),
        };
        let told = self.told.clone();
        Answer {
            told: told.unwrap_or_else(|| "INVALID_ARGUMENT INVALID_FIELD".to_owned()),
            subjects: [self.fields.as_slice(), &self.subjects].concat(),
            metadata: serde_json::from_value(ids.put_into(&json!(metadata))).unwrap(),
        }
    }
}

/// Ids of what is on the stage, by the names that requests have for them.
#[derive(Debug, Default)]
pub struct Ids(pub BTreeMap<&'static str, String>);

impl Ids {
    fn put_into(&self, value: &Value) -> Value {
        let mut text = value.to_string();
        for (name, id) in &self.0 {
            text = text.replace(&format!("\"${name}\""), &format!("\"{id}\""));
        }
        assert!(!text.contains("\"$"), "no such name: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Sets what `path`, such as `rows[0].row_id`, leads to; one beyond the end of a list is
/// added to it.
fn set(root: &mut Value, path: &str, to: Value) {
    let mut at = root;
    for part in path.split('.') {
        let (name, index) = part.split_once('[').map_or((part, None), |(n, i)| (n, Some(i)));
        at = &mut at[name];
        if let Some(index) = index {
            let index: usize = index.trim_end_matches(']').parse().unwrap();
            let list = at.as_array_mut().unwrap();
            if index == list.len() {
                list.push(Value::Null);
            }
            at = &mut list[index];
        }
    }
    *at = to;
}

/// Long texts and lists are told by how they are made.
fn expand(value: &Value) -> Value {
    let times = usize::try_from(value["times"].as_u64().unwrap_or_default()).unwrap();
    match (&value["repeat"], &value["each"], &value["numbers"]) {
        (Value::String(text), ..) => json!(text.repeat(times)),
        (_, Value::String(text), _) => (0..times).map(|i| json!(format!("{text}{i}"))).collect(),
        (.., Value::Number(count)) => (0..count.as_u64().unwrap()).map(|i| json!(i)).collect(),
        _ => match value {
            Value::Object(parts) => {
                parts.iter().map(|(name, part)| (name.clone(), expand(part))).collect()
            }
            other => other.clone(),
        },
    }
}

/// A method by the last two parts of its path.
pub fn method(path: &str) -> MethodDescriptor {
    let (service, method) = path.split_once('/').unwrap();
    let service = POOL.get_service_by_name(&format!("holdfast.v1.{service}")).unwrap();
    let mut methods = service.methods();
    methods.find(|known| known.name() == method).unwrap_or_else(|| panic!("no {path}"))
}

/// Every method of the contract.
pub fn methods() -> Vec<String> {
    let services = POOL.services().filter(|service| service.package_name() == "holdfast.v1");
    let named = |service: prost_reflect::ServiceDescriptor| {
        let name = service.name().to_owned();
        service.methods().map(move |method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
    };
    services.flat_map(named).collect()
}

/// Sends a request; the first message of the answer.
///
/// # Errors
/// As the server tells.
pub async fn send(channel: Channel, path: &str, request: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/holdfast.v1.{path}")).unwrap();
    let answer = client.server_streaming(Request::new(request), path, Raw).await?;
    Ok(answer.into_inner().message().await?.unwrap_or_default())
}

/// What an error tells.
pub fn answer(status: Status) -> Answer {
    let metadata = status.get_error_details().error_info().map(|info| info.metadata.clone());
    let code = format!("{:?}", status.code());
    let told = refusal(Err::<(), _>(status));
    let code = code.chars().fold(String::new(), |text, c| match c.is_uppercase() {
        true if !text.is_empty() => text + "_" + &c.to_string(),
        _ => text + &c.to_uppercase().to_string(),
    });
    Answer {
        told: format!("{code} {}", told.reason),
        subjects: told.subjects,
        metadata: metadata.unwrap_or_default().into_iter().collect(),
    }
}

/// Messages as the bytes that they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
