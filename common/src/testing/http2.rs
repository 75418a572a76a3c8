//! HTTP/2 octet by octet, for clients that break its rules or try its limits (RFC 9113). No library lets one do that.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Nothing more follows on the stream, in DATA and HEADERS.
pub const END_STREAM: u8 = 0x1;
/// The head is complete, in HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 0x4;
/// What was asked for, in SETTINGS and PING.
pub const ACK: u8 = 0x1;
/// The stream is refused before anything was done (an error code of a reset).
pub const REFUSED_STREAM: u32 = 0x7;
/// The peer behaves as an attacker would (an error code of the end of a connection).
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 9113, section 6")]
pub enum Kind {
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

/// A frame, as it is sent. The payload is not longer than 16 MiB.
#[must_use]
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = Vec::with_capacity(9 + payload.len());
    bytes.extend(length.into_iter().skip(1));
    bytes.extend([kind as u8, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Preface and settings: how much the server may send on each stream, before it is asked for more.
#[must_use]
pub fn opening(window: u32) -> Vec<u8> {
    let mut payload = 4_u16.to_be_bytes().to_vec();
    payload.extend(window.to_be_bytes());
    [PREFACE, &frame(Kind::Settings, 0, 0, &payload)].concat()
}

/// A field of a head, uncompressed and without an index (RFC 7541, section 6.2.2). Name and value are shorter than 127 bytes.
#[must_use]
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap_or(u8::MAX) & 0x7f;
    let (name_length, value_length) = (length(name), length(value));
    [&[0, name_length], name.as_bytes(), &[value_length], value.as_bytes()].concat()
}

/// The head of a gRPC call of this path.
#[must_use]
pub fn head(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// A stream with the head of a call, whose message is still to come.
#[must_use]
pub fn begun(stream: u32, path: &str) -> Vec<u8> {
    frame(Kind::Headers, END_HEADERS, stream, &head(path))
}

/// A message of gRPC, complete, as the end of its stream.
#[must_use]
pub fn message(stream: u32, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    frame(Kind::Data, END_STREAM, stream, &[&[0], &length[..], message].concat())
}

/// The reset of a stream, as by a caller who gives up.
#[must_use]
pub fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: u32 = 0x8;
    frame(Kind::Reset, 0, stream, &CANCEL.to_be_bytes())
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What kind it is, by its number.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Received {
    /// Whether it is of this kind.
    #[must_use]
    pub const fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    /// Whether it is the last of its stream: of the answer, or a reset.
    #[must_use]
    pub const fn ends(&self, stream: u32) -> bool {
        let with_flag =
            (self.is(Kind::Data) || self.is(Kind::Headers)) && self.flags & END_STREAM != 0;
        self.stream == stream && (with_flag || self.is(Kind::Reset))
    }

    /// The error code of a reset, or of the end of the connection.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            3 => 0,
            7 => 4,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        code.try_into().map(u32::from_be_bytes).ok()
    }
}

/// One end of a connection: what is sent is up to the caller, frames come as they are.
#[derive(Debug)]
pub struct Client<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A connection that has said its preface.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn open(stream: S, window: u32) -> io::Result<Self> {
        let mut client = Self(stream);
        client.send(&opening(window)).await?;
        Ok(client)
    }

    /// Sends octets.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// The next frame. Settings are acknowledged.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn next(&mut self) -> io::Result<Received> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).unwrap_or_default()];
        self.0.read_exact(&mut payload).await?;
        let received = Received { kind, flags, stream: u32::from_be_bytes(stream), payload };
        if received.is(Kind::Settings) && flags & ACK == 0 {
            self.send(&frame(Kind::Settings, ACK, 0, &[])).await?;
        }
        Ok(received)
    }

    /// Reads until something comes that is looked for.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn until(&mut self, mut is: impl FnMut(&Received) -> bool) -> io::Result<Received> {
        loop {
            let received = self.next().await?;
            if is(&received) {
                return Ok(received);
            }
        }
    }

    /// Waits until everything that was sent has been looked at: a ping comes back.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn heard(&mut self) -> io::Result<()> {
        self.send(&frame(Kind::Ping, 0, 0, &[7; 8])).await?;
        self.until(|received| received.is(Kind::Ping) && received.flags & ACK != 0).await.map(drop)
    }

    /// Reads until the connection ends; the error code that it ended with, if it was told.
    pub async fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Ok(received) = self.next().await {
            if received.is(Kind::GoAway) {
                code = received.code().or(code);
            }
        }
        code
    }
}
