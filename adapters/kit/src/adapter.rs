//! One adapter: routes a request to an operation, asks the source, checks the answer.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};

use crate::contract::{OWN_PATHS, Operation};
use crate::definition::{Definition, SourceAddress};
use crate::limits::{ANSWER_TIMEOUT, REQUEST_MAX_BYTES};
use crate::parameters::{Named, collect, match_path};
use crate::refusal::{Refusal, json_response};
use crate::source::SqlSource;
use crate::upstream::Upstream;

/// A definition with its open source.
pub(crate) struct Adapter {
    definition: Definition,
    source: Source,
}

enum Source {
    Sql(SqlSource),
    Http(Box<Upstream>),
}

impl Adapter {
    /// Opens the source without connecting; `None` when its address is no URL.
    pub(crate) fn open(definition: Definition) -> Option<Self> {
        let health = &definition.health;
        let source = match &definition.source {
            SourceAddress::Http(base) => Source::Http(Box::new(Upstream::open(base, health)?)),
            sql => Source::Sql(SqlSource::open(sql, health)?),
        };
        Some(Self { definition, source })
    }

    /// Answers a request; never fails, a refusal is an answer.
    pub(crate) async fn respond<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let mut name = self.definition.path.display().to_string();
        let answered = match OWN_PATHS.contains(&parts.uri.path()) {
            true => self.own_path(&parts).await,
            false => match self.find(&parts) {
                Ok((operation, named)) => {
                    name = format!("{name} operation {}", operation.id);
                    self.operate(operation, &parts, &named, body).await
                }
                Err(refusal) => Err(refusal),
            },
        };
        match answered {
            Ok(answer) => json_response(StatusCode::OK, &answer),
            Err(refusal) => refusal.into_response(&name),
        }
    }

    /// Closes the connections to the source.
    pub(crate) async fn close(&self) {
        if let Source::Sql(source) = &self.source {
            source.close().await;
        }
    }

    /// Service code.
    pub(crate) fn service(&self) -> &str {
        self.definition.service()
    }

    async fn own_path(&self, parts: &Parts) -> Result<Value, Refusal> {
        if parts.method != Method::GET {
            return Err(Refusal::WrongMethod(Method::GET.to_string()));
        }
        if parts.uri.path() == "/openapi.json" {
            return Ok(self.definition.contract.document().clone());
        }
        let asked = async {
            match &self.source {
                Source::Sql(source) => source.health().await,
                Source::Http(upstream) => upstream.health().await,
            }
        };
        in_time(asked).await?;
        Ok(json!({"status": "ready", "service": self.definition.service()}))
    }

    fn find<'a>(&'a self, parts: &'a Parts) -> Result<(&'a Operation, Named<'a>), Refusal> {
        let operations = self.definition.contract.operations();
        let mut others = Vec::new();
        for operation in operations {
            let Some(named) = match_path(operation, parts.uri.path()) else { continue };
            if operation.method == parts.method {
                return Ok((operation, named));
            }
            others.push(operation.method.as_str());
        }
        match others.as_slice() {
            [] => Err(Refusal::UnknownOperation),
            allowed => Err(Refusal::WrongMethod(allowed.join(", "))),
        }
    }

    async fn operate<B>(
        &self,
        operation: &Operation,
        parts: &Parts,
        named: &[(&str, &str)],
        body: B,
    ) -> Result<Value, Refusal>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body = match operation.request {
            Some(_) => read(body).await?,
            None => Bytes::new(),
        };
        let parameters = collect(operation, named, parts.uri.query(), &body)?;
        let asked = async {
            match &self.source {
                Source::Sql(source) => match self.definition.queries.get(&operation.id) {
                    Some(queries) => source.answer(queries, &parameters).await,
                    // Cannot happen: loading the definition found queries for each operation.
                    None => Err(Refusal::UnknownOperation),
                },
                Source::Http(upstream) => {
                    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
                    upstream.answer(operation, target, body.clone()).await
                }
            }
        };
        let answer = in_time(asked).await?;
        operation.answer.check(&answer).map_err(Refusal::Answer)?;
        Ok(answer)
    }
}

async fn read<B>(body: B) -> Result<Bytes, Refusal>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collecting = Limited::new(body, REQUEST_MAX_BYTES).collect();
    match in_time(async { Ok(collecting.await) }).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Refusal::BodyTooLarge)
        }
        _ => Err(Refusal::Body { reason: "did not arrive completely".to_owned() }),
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    tokio::time::timeout(ANSWER_TIMEOUT, asked).await.unwrap_or(Err(Refusal::SourceSlow))
}
