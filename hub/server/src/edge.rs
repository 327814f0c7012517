//! The door for the agency's own systems: exchanges and `listClients`.

use std::sync::Arc;

use http::{Method, Request};
use hub_core::headers;
use hyper::body::Incoming;
use schemas::problem::{Problem, ProblemCode};

use crate::listener::Caller;
use crate::metadata;
use crate::reply::{Reply, problem_reply};
use crate::spool::memory_body;
use crate::state::Hub;
use crate::{consumer, provider, witness};

/// Serves one request at the edge.
pub(crate) async fn serve(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    let content = Content::of_answer_to(&request);
    if request.uri().path() == "/listClients" {
        return content.only(list_clients(&hub, &request));
    }
    content.only(consumer::exchange(hub, caller, request).await)
}

fn list_clients(hub: &Hub, request: &Request<Incoming>) -> Reply {
    let accept = headers::single(request.headers(), "accept");
    let problem = match hub.in_force.load_full() {
        _ if request.method() != Method::GET => {
            Problem::new(ProblemCode::InvalidHttpMethod, "listClients is asked by GET")
        }
        Some(configuration) => {
            return metadata::list_clients(&configuration, request.uri().query(), accept);
        }
        None => {
            let text = "there is no global configuration yet";
            Problem::new(ProblemCode::ConfigurationOutdated, text)
        }
    };
    problem_reply(&problem, "", accept)
}

/// Serves one request of another security server.
pub(crate) async fn serve_peer(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    let content = Content::of_answer_to(&request);
    if witness::is_asked(&request) {
        return content.only(witness::serve(hub, caller, request).await);
    }
    content.only(provider::exchange(hub, caller, request).await)
}

/// Whether an answer may have content: one to HEAD has none (RFC 9110 §9.3.2), and over HTTP/2 content there
/// breaks the stream.
#[derive(Clone, Copy)]
enum Content {
    Allowed,
    None,
}

impl Content {
    fn of_answer_to(request: &Request<Incoming>) -> Self {
        if request.method() == Method::HEAD { Self::None } else { Self::Allowed }
    }

    fn only(self, reply: Reply) -> Reply {
        match self {
            Self::Allowed => reply,
            Self::None => reply.map(|_| memory_body(Vec::new())),
        }
    }
}
