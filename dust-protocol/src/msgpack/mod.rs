//! MessagePack and back, by way of JSON text.
//!
//! A Dust server speaks the same frames in both, so MessagePack is translated at the edge and everything else knows JSON
//! only. The two do not hold the same: MessagePack has no integer beyond 64 bits, which is refused here and never rounded;
//! it has moments and bytes, which become text.
//!
//! ```
//! use dust_protocol::msgpack::{Moments, decode, encode};
//!
//! let mut bytes = Vec::new();
//! encode(r#"["1",{"a":[1,-1.5,null]}]"#, &mut bytes)?;
//! assert_eq!(bytes[..4], [0x92, 0xa1, b'1', 0x81]);
//! assert_eq!(decode(&bytes, Moments::Text)?.json, r#"["1",{"a":[1,-1.5,null]}]"#);
//!
//! let refused = encode("[18446744073709551616]", &mut Vec::new()).unwrap_err();
//! assert!(refused.to_string().contains("18446744073709551616"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Decoded, Moments, NotUtf8, decode};
pub use encode::{EncodeError, encode, encode_with_moment};

/// How deep what is translated may be nested: a value as deep as a store takes, and what a frame puts around it.
const MAX_DEPTH: usize = 120;

/// A moment as MessagePack has it: seconds since 1970, and nanoseconds.
pub type Moment = (i64, u32);
