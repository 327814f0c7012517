//! Bodies of any size in bounded memory: small ones stay in memory, larger ones go to an unlinked file.
//!
//! A body is received whole and hashed on the way before anything is decided about it, so that nothing
//! unverified is released. The file has no name, so that a crash leaves nothing behind.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Either, Full};
use ring::digest;
use schemas::digest::Sha256;
use schemas::limits::{
    BODY_IDLE_TIMEOUT, BODY_IN_MEMORY_BYTES, BODY_LEAST_BYTES_PER_SECOND, BODY_TIMEOUT,
};
use tokio::time::Instant;

/// Bytes that are read from a spooled file at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A body that has been received whole.
#[derive(Debug)]
pub(crate) struct Spooled {
    content: Content,
    sha256: Sha256,
    sha512: Option<Vec<u8>>,
    length: u64,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    File(Arc<std::fs::File>),
}

/// What a body is received for: a request's SHA-512 is part of X-Road's request hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hashes {
    /// SHA-256 only.
    Sha256,
    /// SHA-256 and SHA-512.
    Both,
}

/// Why a body could not be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the body did not arrive whole: {0}")]
    Incomplete(String),
    #[error("no part of the body arrived for {} s", .0.as_secs())]
    Idle(Duration),
    #[error("the body arrives too slowly: {bytes} bytes in {} s", .time.as_secs())]
    Slow { bytes: u64, time: Duration },
    #[error("the spool cannot be used")]
    Disk(#[from] std::io::Error),
}

/// The rules under which a body is received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpoolRules<'a> {
    /// Folder of the spool, on the data disk.
    pub(crate) dir: &'a Path,
    /// Largest body, in bytes.
    pub(crate) limit_bytes: u64,
    /// What is hashed.
    pub(crate) hashes: Hashes,
}

/// Receives a body whole.
pub(crate) async fn receive<B>(body: B, rules: SpoolRules<'_>) -> Result<Spooled, SpoolError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = || SpoolError::TooLarge(rules.limit_bytes);
    if body.size_hint().lower() > rules.limit_bytes {
        return Err(too_large());
    }
    let mut body = body;
    let mut sha256 = digest::Context::new(&digest::SHA256);
    let mut sha512 = (rules.hashes == Hashes::Both).then(|| digest::Context::new(&digest::SHA512));
    let mut length = 0;
    let mut first: Option<Bytes> = None;
    let mut held = BytesMut::new();
    let mut file = None;
    let began = Instant::now();
    loop {
        let whole = BODY_TIMEOUT + Duration::from_secs(length / BODY_LEAST_BYTES_PER_SECOND);
        let left = whole.saturating_sub(began.elapsed());
        let frame = tokio::time::timeout(BODY_IDLE_TIMEOUT.min(left), body.frame());
        let frame = frame.await.map_err(|_| match left > BODY_IDLE_TIMEOUT {
            true => SpoolError::Idle(BODY_IDLE_TIMEOUT),
            false => SpoolError::Slow { bytes: length, time: whole },
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| SpoolError::Incomplete(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        length += u64::try_from(data.len()).unwrap_or(u64::MAX);
        if length > rules.limit_bytes {
            return Err(too_large());
        }
        sha256.update(&data);
        if let Some(context) = &mut sha512 {
            context.update(&data);
        }
        // The usual body is one frame: it is kept as it came, without a copy.
        match (&first, held.is_empty()) {
            (None, true) if file.is_none() => {
                first = Some(data);
                continue;
            }
            (Some(_), _) => held.extend_from_slice(&first.take().unwrap_or_default()),
            _ => {}
        }
        held.extend_from_slice(&data);
        if held.len() > BODY_IN_MEMORY_BYTES {
            file = Some(write_out(file, held.split(), rules.dir).await?);
        }
    }
    if file.is_some() && !held.is_empty() {
        file = Some(write_out(file, held.split(), rules.dir).await?);
    }
    let content = match (file, first) {
        (Some(file), _) => Content::File(Arc::new(file)),
        (None, Some(only)) => Content::Memory(only),
        (None, None) => Content::Memory(held.freeze()),
    };
    let sha512 = sha512.filter(|_| length > 0).map(|c| c.finish().as_ref().to_vec());
    Ok(Spooled { content, sha256: Sha256::from_ring(&sha256.finish()), sha512, length })
}

async fn write_out(
    file: Option<std::fs::File>,
    chunk: BytesMut,
    dir: &Path,
) -> Result<std::fs::File, SpoolError> {
    let dir = dir.to_owned();
    blocking(move || {
        let mut file = match file {
            Some(file) => file,
            None => tempfile::tempfile_in(dir)?,
        };
        file.write_all(&chunk)?;
        Ok(file)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, SpoolError> {
    let joined = tokio::task::spawn_blocking(work).await;
    let done = joined.map_err(|error| std::io::Error::other(error.to_string())).flatten();
    // The cause is for the log alone: the caller learns only whose fault it is.
    done.inspect_err(|error| tracing::error!(%error, "the spool cannot be used"))
        .map_err(SpoolError::Disk)
}

impl Spooled {
    /// SHA-256 of the body.
    pub(crate) fn sha256(&self) -> &Sha256 {
        &self.sha256
    }

    /// SHA-512 of the body, when asked for and the body is not empty.
    pub(crate) fn sha512(&self) -> Option<&[u8]> {
        self.sha512.as_deref()
    }

    /// Bytes in the body.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The body, when it is held in memory.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            Content::File(_) => None,
        }
    }

    /// The whole body in memory, for validation; its limit has bounded it.
    pub(crate) async fn read_whole(&self) -> Result<Bytes, SpoolError> {
        let file = match &self.content {
            Content::Memory(bytes) => return Ok(bytes.clone()),
            Content::File(file) => file.clone(),
        };
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes.into())
        })
        .await
    }

    /// The body to send on; may be sent more than once.
    pub(crate) fn body(&self) -> SpooledBody {
        match &self.content {
            Content::Memory(bytes) => Either::Left(Full::new(bytes.clone())),
            Content::File(file) => {
                let source = FileSource { file: file.clone(), at: 0 };
                Either::Right(FileBody { state: State::Idle(source), left: self.length })
            }
        }
    }
}

/// A spooled body on its way out.
pub(crate) type SpooledBody = Either<Full<Bytes>, FileBody>;

/// A body that is held in memory, as a reply or request.
pub(crate) fn memory_body(bytes: impl Into<Bytes>) -> SpooledBody {
    Either::Left(Full::new(bytes.into()))
}

/// Reads a file in chunks, one at a time.
pub(crate) struct FileBody {
    state: State,
    left: u64,
}

struct FileSource {
    file: Arc<std::fs::File>,
    at: u64,
}

enum State {
    Idle(FileSource),
    Reading(tokio::task::JoinHandle<std::io::Result<(FileSource, Bytes)>>),
    Done,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Idle(_) if self.left == 0 => return Poll::Ready(None),
                State::Idle(source) => {
                    self.state = State::Reading(tokio::task::spawn_blocking(|| read_chunk(source)));
                }
                State::Reading(mut reading) => match Pin::new(&mut reading).poll(context) {
                    Poll::Pending => {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(read) => {
                        let joined = read.map_err(|error| std::io::Error::other(error.to_string()));
                        return Poll::Ready(Some(joined.flatten().map(|(source, chunk)| {
                            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                            self.left = self.left.saturating_sub(length);
                            self.state = State::Idle(source);
                            Frame::data(chunk)
                        })));
                    }
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn read_chunk(mut source: FileSource) -> std::io::Result<(FileSource, Bytes)> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let length = source.file.read_at(&mut chunk, source.at)?;
    if length == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    chunk.truncate(length);
    source.at += u64::try_from(length).unwrap_or(u64::MAX);
    Ok((source, chunk.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;

    async fn spool(chunks: Vec<Vec<u8>>, limit_bytes: u64) -> Result<Spooled, SpoolError> {
        let dir = tempfile::tempdir().unwrap();
        let frames = chunks.into_iter().map(|c| Ok::<_, std::io::Error>(Frame::data(c.into())));
        let body = StreamBody::new(futures_util::stream::iter(frames));
        receive(body, SpoolRules { dir: dir.path(), limit_bytes, hashes: Hashes::Both }).await
    }

    #[tokio::test]
    async fn body_comes_out_as_it_went_in_from_memory_and_from_disk() {
        for chunks in
            [vec![], vec![vec![1; 10]], vec![vec![1; 10], vec![2; 20]], vec![vec![3; 100_000]; 40]]
        {
            let whole: Vec<u8> = chunks.concat();
            let spooled = spool(chunks, 10_000_000).await.unwrap();
            assert_eq!(spooled.length(), u64::try_from(whole.len()).unwrap());
            assert_eq!(*spooled.sha256(), Sha256::of(&whole));
            assert_eq!(spooled.in_memory().is_some(), whole.len() <= BODY_IN_MEMORY_BYTES);
            let out = spooled.body().collect().await.unwrap().to_bytes();
            assert_eq!(out, whole);
        }
    }

    #[tokio::test]
    async fn spooled_file_can_be_read_whole() {
        let spooled = spool(vec![vec![3; 100_000]; 10], 10_000_000).await.unwrap();
        assert_eq!(spooled.read_whole().await.unwrap(), vec![3; 1_000_000]);
    }

    /// Parts that come just before the body would count as idle.
    async fn trickled(part_bytes: usize, parts: usize) -> Result<Spooled, SpoolError> {
        let dir = tempfile::tempdir().unwrap();
        let frames = futures_util::stream::unfold(0, async |sent| {
            tokio::time::sleep(BODY_IDLE_TIMEOUT - Duration::from_secs(1)).await;
            let part = Ok::<_, std::io::Error>(Frame::data(vec![1; part_bytes].into()));
            (sent < parts).then_some((part, sent + 1))
        });
        let rules = SpoolRules { dir: dir.path(), limit_bytes: 1 << 30, hashes: Hashes::Sha256 };
        receive(StreamBody::new(Box::pin(frames)), rules).await
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_trickles_is_given_up_and_a_large_one_has_its_time() {
        let slow = trickled(1, 100).await;
        assert!(matches!(slow, Err(SpoolError::Slow { bytes: 2, time: BODY_TIMEOUT })), "{slow:?}");
        let part_bytes = 30 * usize::try_from(BODY_LEAST_BYTES_PER_SECOND).unwrap();
        assert!(trickled(part_bytes, 10).await.is_ok());
    }

    #[tokio::test]
    async fn body_over_the_limit_is_refused() {
        let refused = spool(vec![vec![0; 60], vec![0; 60]], 100).await;
        assert!(matches!(refused, Err(SpoolError::TooLarge(100))));
    }
}
