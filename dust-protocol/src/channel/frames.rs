use super::VSN;
use super::frame::FrameError;
use crate::msgpack::{self, EncodeError, Moments};

/// The form of the frames on a socket.
///
/// Both say the same, but for what MessagePack cannot carry: an integer beyond 64 bits. A server also breaks off every
/// catch-up in MessagePack that comes to an op which set a decimal envelope, or holds such an integer, as another client
/// may have written it. JSON has neither limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frames {
    /// JSON in text frames.
    #[default]
    Json,
    /// MessagePack in binary frames.
    MessagePack,
}

impl Frames {
    /// What the socket is asked for (`vsn`).
    pub fn vsn(self) -> &'static str {
        match self {
            Frames::Json => VSN,
            Frames::MessagePack => "3.0.0",
        }
    }

    /// A frame of text as the bytes of a MessagePack frame.
    pub fn pack(text: &str) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::with_capacity(text.len());
        msgpack::encode(text, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of a binary frame as text. Fails where no such frames were asked for, too.
    ///
    /// A moment, which a server sends for a datetime envelope that a catch-up comes to, becomes the string that it is in JSON
    /// frames, without zeros at the end of its fraction.
    pub fn unpack(self, bytes: &[u8]) -> Result<String, FrameError> {
        if self == Frames::Json {
            return Err(FrameError("bytes, where text was asked for".to_owned()));
        }
        let decoded = msgpack::decode(bytes, Moments::Text).map_err(|error| FrameError(error.to_string()))?;
        match decoded.not_utf8 {
            Some(_) => Err(FrameError("a string in it is not UTF-8".to_owned())),
            None => Ok(decoded.json),
        }
    }
}
