//! A source that does as the test says, good or bad, and counts who asked it (promise P1).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::raw::Message;
use crate::source;

/// What a source does with a call.
#[derive(Clone, Debug)]
pub enum Play {
    /// Writes these bytes and closes.
    Close(Vec<u8>),
    /// Writes these bytes and then nothing more, for as long as the connection lasts.
    Hold(Vec<u8>),
}

impl Play {
    /// A whole answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::answer(status, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// A whole answer.
    #[must_use]
    pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        Self::Close(source::answer(status, headers, body))
    }

    /// No answer at all.
    #[must_use]
    pub fn silence() -> Self {
        Self::Hold(Vec::new())
    }
}

#[derive(Debug)]
struct State {
    play: Play,
    calls: Vec<Message>,
}

/// A scripted source that runs until it is dropped.
#[derive(Debug)]
pub struct Scripted {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// The accept loop; its owner is this value.
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Starts a source on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(play: Play) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { play, calls: Vec::new() }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, state.clone()));
        Ok(Self { address, state, _tasks: tasks })
    }

    /// From now on the source does this.
    pub fn play(&self, play: Play) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).play = play;
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Message> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    /// How often the source was asked so far.
    #[must_use]
    pub fn calls_count(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).calls.len()
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let state = state.clone();
        connections.spawn(async move {
            // The hub's side of a broken connection is what a test looks at.
            let _ = converse(stream, &state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut held = Vec::new();
    let request = loop {
        if let Some((request, _)) = Message::parse(&held) {
            break request;
        }
        if stream.read_buf(&mut held).await? == 0 {
            return Ok(());
        }
    };
    let play = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls.push(request);
        state.play.clone()
    };
    match play {
        Play::Close(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Play::Hold(bytes) => {
            stream.write_all(&bytes).await?;
            // Until the hub gives up and closes.
            while stream.read_buf(&mut held).await? > 0 {}
            Ok(())
        }
    }
}
