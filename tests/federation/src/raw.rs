//! Raw bytes to a listener and back: what no well-behaved client would send, and header lines as they stand.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Time for a conversation: a listener that neither answers nor closes fails the test.
const DEADLINE: Duration = Duration::from_secs(10);

/// Header lines in their order.
pub type Lines = Vec<(String, String)>;

/// Bytes of a request with `Host`, `Connection: close` and, with a body, `Content-Length`; the headers
/// stand in the given order and spelling.
#[must_use]
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Sends bytes without TLS and reads until the other side closes.
///
/// # Errors
/// When there is no connection, or the other side has not closed after ten seconds. A reset while
/// writing or reading ends the conversation with what was received.
pub async fn talk(address: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    converse(TcpStream::connect(address).await?, bytes).await
}

/// Sends bytes over TLS, with `identity` (certificate and key, PEM files) if given; the other side is
/// checked against `authority` (PEM file).
///
/// # Errors
/// As [`talk`]; also when a file cannot be read or the handshake fails.
pub async fn talk_tls(
    address: SocketAddr,
    authority: &Path,
    identity: Option<(&Path, &Path)>,
    bytes: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => config.with_client_auth_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?,
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost")?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(converse(stream, bytes).await?)
}

async fn converse<S>(mut stream: S, bytes: &[u8]) -> io::Result<Vec<u8>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let talk = async {
        let mut received = Vec::new();
        // A refusal may close before everything is sent; what it said is still there to read.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        let _ = stream.read_to_end(&mut received).await;
        received
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the other side does not close");
    tokio::time::timeout(DEADLINE, talk).await.map_err(late)
}

/// A message with its lines as they stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Request or status line.
    pub start: String,
    /// Header lines.
    pub headers: Lines,
    /// Body, without its framing.
    pub body: Vec<u8>,
}

impl Message {
    /// The last value of a header, by name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.headers.iter().rev().find(same).map(|(_, value)| value.as_str())
    }

    /// The status of an answer; 0 when there is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Method and target of a request.
    #[must_use]
    pub fn asked(&self) -> (&str, &str) {
        let mut words = self.start.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// Reads the message at the beginning of `bytes` and gives what follows it; `None` when it is not
    /// whole. An answer without framing has no body.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, rest) = bytes.split_at_checked(end)?;
        let rest = rest.get(4..)?;
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let start = lines.next()?.to_owned();
        let header = |line: &str| {
            line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        };
        let headers = lines.map(header).collect::<Option<Lines>>()?;
        let mut message = Self { start, headers, body: Vec::new() };
        if message.header("transfer-encoding").is_some() {
            let (body, rest) = dechunk(rest)?;
            message.body = body;
            return Some((message, rest));
        }
        let length = message.header("content-length").map_or(Some(0), |text| text.parse().ok())?;
        let (body, rest) = rest.split_at_checked(length)?;
        message.body = body.to_vec();
        Some((message, rest))
    }

    /// All whole messages of a conversation.
    #[must_use]
    pub fn parse_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut messages = Vec::new();
        while let Some((message, rest)) = Self::parse(bytes) {
            messages.push(message);
            bytes = rest;
        }
        messages
    }
}

fn dechunk(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let (size, rest) = bytes.split_at_checked(end)?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        let (chunk, rest) = rest.get(2..)?.split_at_checked(size)?;
        bytes = rest.strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some((body, bytes));
        }
        body.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_with_either_framing_and_only_when_whole() {
        let bytes =
            b"HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            HTTP/1.1 500 No\r\nX: 1\r\nx: 2\r\nContent-Length: 2\r\n\r\nhi";
        let read = Message::parse_all(bytes);
        assert_eq!(read.iter().map(Message::status).collect::<Vec<_>>(), [200, 500]);
        assert_eq!((&read[0].body[..], &read[1].body[..]), (&b"abc"[..], &b"hi"[..]));
        assert_eq!(read[1].header("X"), Some("2"));
        assert_eq!(Message::parse_all(&bytes[..bytes.len() - 1]).len(), 1);
    }
}
