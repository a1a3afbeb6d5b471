//! The codec of every method: Protocol Buffers, and for bytes that are none a
//! clear no instead of a fault with the type's name in it.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::{
    limits::{MESSAGE_BUFFER_BYTES, MESSAGE_YIELD_BYTES},
    proto::Ids,
    telemetry,
};

/// See the module.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Ids + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Bytes<T>;
    type Decoder = Bytes<U>;

    fn encoder(&mut self) -> Self::Encoder {
        Bytes(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Bytes(PhantomData)
    }
}

/// Nearly all messages fit; where one does not, its buffer grows. Each call has two
/// of these.
fn buffers() -> BufferSettings {
    BufferSettings::new(MESSAGE_BUFFER_BYTES, MESSAGE_YIELD_BYTES)
}

/// One message to its bytes, or from them.
#[derive(Debug)]
pub struct Bytes<T>(PhantomData<T>);

impl<T: Message> Encoder for Bytes<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(into).map_err(|_| super::status::fault())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl<T: Message + Ids + Default> Decoder for Bytes<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        let message = T::decode(from).map_err(|_| super::status::not_protobuf())?;
        telemetry::ids(message.ids());
        Ok(Some(message))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
