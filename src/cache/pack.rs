//! Answers as they lie in Redis: large ones packed, for they cross the network whole.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

use crate::limits::PACKED_BYTES;

const PLAIN: u8 = 0;
const PACKED: u8 = 1;

/// A byte that says how, and the answer.
pub fn pack(answer: &[u8]) -> Vec<u8> {
    if answer.len() < PACKED_BYTES {
        return [&[PLAIN], answer].concat();
    }
    let mut packer = DeflateEncoder::new(vec![PACKED], Compression::fast());
    packer.write_all(answer).and_then(|()| packer.finish()).expect("memory takes it")
}

/// The answer; `None` for what [`pack`] never made.
pub fn unpack(packed: Vec<u8>) -> Option<Bytes> {
    match *packed.first()? {
        PLAIN => Some(Bytes::from(packed).slice(1..)),
        PACKED => {
            let mut answer = Vec::new();
            DeflateDecoder::new(&packed[1..]).read_to_end(&mut answer).ok()?;
            Some(answer.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_again() {
        for length in [0, 1, PACKED_BYTES - 1, PACKED_BYTES, 100_000] {
            let answer: Vec<u8> = b"holdfast".iter().copied().cycle().take(length).collect();
            let packed = pack(&answer);
            assert!(packed.len() <= length + 1);
            assert!(length < PACKED_BYTES || packed.len() < length / 4);
            assert_eq!(unpack(packed).unwrap(), answer);
        }
        assert_eq!(unpack(vec![]), None);
        assert_eq!(unpack(vec![PACKED, 0xff, 0xff]), None);
        assert_eq!(unpack(vec![9, 1]), None);
    }
}
