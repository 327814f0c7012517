//! A source that keeps what it heard, byte for byte, and answers as the test says.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::raw::Message;

/// What a source answers: the raw bytes of an HTTP answer with its framing.
pub type Answering = dyn Fn(&Message) -> Vec<u8> + Send + Sync;

/// A source that runs until it is dropped.
#[derive(Debug)]
pub struct Source {
    /// Where it listens.
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Message>>>,
    /// The accept loop; its owner is this value.
    _tasks: JoinSet<()>,
}

impl Source {
    /// Starts a source on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(
        answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, heard.clone(), Arc::new(answer)));
        Ok(Self { address, heard, _tasks: tasks })
    }

    /// Starts a source that answers `{}` as JSON to everything.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn plain() -> io::Result<Self> {
        Self::start(|_| answer(200, &[("Content-Type", "application/json")], b"{}")).await
    }

    /// Takes what was heard since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The bytes of an answer with `Content-Length`.
#[must_use]
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} Said\r\n{}Content-Length: {}\r\n\r\n",
        lines.collect::<String>(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn accept(listener: TcpListener, heard: Arc<Mutex<Vec<Message>>>, answering: Arc<Answering>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(converse(stream, heard.clone(), answering.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(
    mut stream: TcpStream,
    heard: Arc<Mutex<Vec<Message>>>,
    answering: Arc<Answering>,
) {
    let mut held = Vec::new();
    loop {
        while let Some((message, rest)) = Message::parse(&held) {
            held = rest.to_vec();
            let answer = answering(&message);
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
        match stream.read_buf(&mut held).await {
            Ok(read) if read > 0 => {}
            _ => return,
        }
    }
}
