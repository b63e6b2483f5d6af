//! The HTTP endpoint of the metrics: `/metrics`, `/healthz`, `/readyz`.
//!
//! Invariant: connections are bounded in number, size and time, one request each, so that no client can hold the
//! daemon up or fill its memory. A connection more than that is closed at once and counted.

use core::convert::Infallible;
use core::time::Duration;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::snapshot::{Phase, Snapshot, Source};
use crate::tally::{Seat, Tally};

/// The most connections at a time.
pub const MOST_CONNECTIONS: u64 = 32;
/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a request's head.
const MOST_HEAD: usize = 16 * 1024;

/// Binds the endpoint's address, so that a bad one is known before anything starts.
///
/// # Errors
/// One line that says what to do.
pub fn bind(at: SocketAddr) -> Result<std::net::TcpListener, String> {
    let listener = std::net::TcpListener::bind(at).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        let fix = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program uses it: choose another port for `metrics.listen`"
            }
            std::io::ErrorKind::AddrNotAvailable => {
                "no interface of this machine has it: write another address for `metrics.listen`"
            }
            std::io::ErrorKind::PermissionDenied => "choose a port above 1023 for `metrics.listen`",
            _ => "change `metrics.listen`",
        };
        format!("cannot serve metrics on {at}: {error}; fix: {fix}")
    })
}

/// Serves until it is dropped.
pub async fn serve<S: Source>(listener: TcpListener, source: Rc<S>, tally: Arc<Tally>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without a seat the connection is closed by leaving it here.
                if let Some(seat) = tally.admit(MOST_CONNECTIONS) {
                    tokio::task::spawn_local(connection(
                        stream,
                        Rc::clone(&source),
                        Arc::clone(&tally),
                        seat,
                    ));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "metrics: a connection could not be accepted");
                // Out of file descriptors, most likely: trying again at once would not help.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection<S: Source>(stream: TcpStream, source: Rc<S>, tally: Arc<Tally>, seat: Seat) {
    let answer = |request: Request<Incoming>| {
        let response = respond(&*source, &request);
        tally.request(!response.status().is_client_error());
        async move { Ok::<_, Infallible>(response) }
    };
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MOST_HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    match tokio::time::timeout(CONNECTION_TIMEOUT, served).await {
        Ok(Ok(())) => {}
        // What is no HTTP was answered with 400 as far as that goes; who it was does not matter.
        Ok(Err(_)) | Err(_) => tally.request(false),
    }
    drop(seat);
}

fn respond<S: Source>(source: &S, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !["/metrics", "/healthz", "/readyz"].contains(&path) {
        return text(StatusCode::NOT_FOUND, "not found: /metrics, /healthz and /readyz are served\n".into());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n".into());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/healthz" => source.look(|now| verdict(&now.ailments(), &[])),
        "/readyz" => source.look(|now| verdict(&unready(now), &links(now))),
        _ => match source.look(super::encode) {
            Ok(body) => {
                let mut response = text(StatusCode::OK, body);
                let kind = HeaderValue::from_static(prometheus::TEXT_FORMAT);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(error) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be encoded: {error}\n"))
            }
        },
    }
}

/// Why no new flows are served, one line each.
fn unready(now: &Snapshot<'_>) -> Vec<String> {
    let mut reasons = now.ailments();
    if now.phase == Phase::Draining {
        reasons.push("draining: no new flows are taken".into());
    }
    let up = |port: &crate::snapshot::Port| port.link.is_none_or(|link| link.up);
    if !now.ports.iter().any(up) {
        reasons.push("no port has a link".into());
    }
    reasons
}

fn links(now: &Snapshot<'_>) -> Vec<String> {
    let state = |port: &crate::snapshot::Port| match port.link {
        Some(link) if link.up => "up",
        Some(_) => "down",
        None => "unknown",
    };
    now.ports.iter().map(|port| format!("port {}: link {}", port.name, state(port))).collect()
}

fn verdict(wrong: &[String], notes: &[String]) -> Response<Full<Bytes>> {
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let first = if wrong.is_empty() { "ok".to_owned() } else { wrong.join("\n") };
    let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
    text(status, format!("{first}\n{notes}"))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
