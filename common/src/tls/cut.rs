//! A connection that ends when we say so, whatever the peer and HTTP/2 are doing.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// A stream whose every operation fails from the moment `end` is done.
pub(crate) struct Cut<S> {
    stream: S,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    /// Cancelled when so many octets more have been read, or with the end of everything.
    heard: Option<(CancellationToken, usize)>,
}

impl<S> Cut<S> {
    pub(crate) fn new(stream: S, end: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { stream, end: Box::pin(end), ended: false, heard: None }
    }

    /// The same stream, which cancels `heard` as soon as `octets` have been read from it.
    pub(crate) fn telling(self, heard: CancellationToken, octets: usize) -> Self {
        Self { heard: Some((heard, octets)), ..self }
    }

    /// The stream while it has not ended. Writes ask too: a peer that does not read can stop us from
    /// reading.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut S>>
    where
        S: Unpin,
    {
        self.ended = self.ended || self.end.as_mut().poll(cx).is_ready();
        if self.ended {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(Pin::new(&mut self.stream))
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.poll_stream(cx)?.poll_read(cx, buf);
        let n_read = buf.filled().len().saturating_sub(before);
        if read.is_ready()
            && let Some((heard, missing)) = &mut self.heard
        {
            *missing = missing.saturating_sub(n_read);
            if *missing == 0 || n_read == 0 {
                heard.cancel();
                self.heard = None;
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_stream(cx)?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stream(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stream(cx)?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_stream(cx)?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
