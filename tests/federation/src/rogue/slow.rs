//! Bodies whose second half comes when the test says so.

use std::convert::Infallible;
use std::future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::Notify;

/// An extension of a request or an answer: the second half of its body waits for this.
#[derive(Clone, Debug)]
pub struct Pause(pub Arc<Notify>);

/// The body, whole or in two halves.
pub(super) fn body(body: Bytes, pause: Option<Pause>) -> BoxBody<Bytes, Infallible> {
    let Some(Pause(go)) = pause else { return Full::new(body).boxed() };
    let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
    let rest = async move {
        go.notified().await;
        Ok(Frame::data(second))
    };
    let first = stream::once(future::ready(Ok(Frame::data(first))));
    BodyExt::boxed(StreamBody::new(first.chain(stream::once(rest))))
}
