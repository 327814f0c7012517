//! The door for the agency's own systems: exchanges and `listClients`.

use std::sync::Arc;

use http::{Method, Request};
use hub_core::headers;
use hyper::body::Incoming;
use schemas::problem::{Problem, ProblemCode};

use crate::listener::Caller;
use crate::metadata;
use crate::reply::{Reply, problem_reply};
use crate::state::Hub;
use crate::{consumer, provider};

/// Serves one request at the edge.
pub(crate) async fn serve(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    if request.uri().path() != "/listClients" {
        return consumer::exchange(hub, caller, request).await;
    }
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
    provider::exchange(hub, caller, request).await
}
