//! Which path is answered by what.
//!
//! Invariant: every response goes through [`harden`]; nothing of the API or the metrics is answered before access is
//! checked.

use core::time::Duration;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;

use super::access::Denied;
use super::answer::{Answer, Problem, harden, json, whole};
use super::query::Query;
use super::{Server, assets, body, exchanges, flows, live, state};
use crate::filter::Filter;
use crate::metrics;

/// The longest body of a request, in bytes.
const MOST_BODY: usize = 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// What a wrong token costs whoever tries.
const WRONG_TOKEN: Duration = Duration::from_millis(300);

/// Answers any request.
pub(super) async fn respond(server: &Arc<Server>, request: Request<Incoming>) -> Answer {
    let mut answer = match checked(server, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.answer(),
    };
    harden(&mut answer);
    answer
}

async fn checked(server: &Arc<Server>, request: Request<Incoming>) -> Result<Answer, Problem> {
    let denied = |denied: Denied| {
        server.shared.counts.denied.add();
        match denied {
            Denied::Host => Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this host name is not answered: use 127.0.0.1 or localhost, or serve with --listen and a token",
            ),
            Denied::Site => Problem::new(StatusCode::FORBIDDEN, "requests of other sites are not answered"),
            Denied::Token => Problem::new(StatusCode::UNAUTHORIZED, "a token is needed"),
        }
    };
    let access = &server.access;
    access.host(request.headers()).map_err(denied)?;
    let path = request.uri().path().to_owned();
    if path == "/api/login" {
        access.site(request.headers()).map_err(denied)?;
        return login(server, request).await.map_err(|problem| {
            if problem.status == StatusCode::UNAUTHORIZED { denied(Denied::Token) } else { problem }
        });
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused =
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered").answer();
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(refused);
    }
    if let Some(asset) = assets::find(&path, request.headers()) {
        return Ok(asset);
    }
    access.site(request.headers()).map_err(denied)?;
    access.token(request.headers()).map_err(denied)?;
    let query = Query::of(request.uri());
    route(server, &path, &query).await
}

async fn route(server: &Arc<Server>, path: &str, query: &Query) -> Result<Answer, Problem> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["metrics"] => {
            let text = metrics::text(&server.shared);
            Ok(whole(StatusCode::OK, "text/plain; version=0.0.4", text.into()))
        }
        ["api", "state"] => Ok(json(StatusCode::OK, &state::state(&server.shared))),
        ["api", "timeline"] => Ok(state::timeline(&server.shared)),
        ["api", "filter"] => {
            let filter = Filter::parse(query.text("filter"))?;
            Ok(json(StatusCode::OK, &serde_json::json!({"empty": filter.is_empty()})))
        }
        ["api", "live"] => live::open(server, query),
        ["api", "exchanges"] => exchanges::list(server, query).await,
        ["api", "exchanges", id] => exchanges::one(server, id, query),
        ["api", "exchanges", id, side @ ("request" | "response"), "body"] => {
            body::get(server, id, side, query).await
        }
        ["api", "flows"] => flows::list(server, query).await,
        ["api", "flows", id] => flows::one(server, id),
        ["api", "flows", id, "stream"] => flows::stream(server, id, query).await,
        ["api", "flows", id, "pcap"] => flows::capture(server, id, query),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing here")),
    }
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn login(server: &Server, request: Request<Incoming>) -> Result<Answer, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "POST {\"token\": \"...\"}"));
    }
    // Forms of other sites cannot send this type.
    if request.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json"));
    }
    let body = Limited::new(request.into_body(), MOST_BODY).collect();
    let bytes: Bytes = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(_)) => return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long")),
        Err(_) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long")),
    };
    let login: Login = serde_json::from_slice(&bytes)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "send {\"token\": \"...\"}"))?;
    let Some(cookie) = server.access.login(&login.token) else {
        tokio::time::sleep(WRONG_TOKEN).await;
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "this is not the token"));
    };
    let mut answer = json(StatusCode::OK, &serde_json::json!({"fine": true}));
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(answer)
}
