//! Which `Host` a request may name: the defence against DNS rebinding (CVE-2024-28224).
//!
//! A page on a foreign site whose name is made to resolve to 127.0.0.1 reaches a server on loopback past the browser's
//! same-origin rule. Its `Host` header still carries the foreign name, so on a loopback listener only names that can
//! mean this machine or its network are let in; anything else is 403 with an empty body. On other listeners the owner
//! has chosen to be reachable under names we cannot know, and there is no check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AppState;

const LOCAL_SUFFIXES: [&str; 3] = [".localhost", ".local", ".internal"];

/// Middleware: lets only requests for this machine through when listening on loopback.
pub(crate) async fn check(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if !state.settings.listening.is_some_and(|address| address.ip().is_loopback()) {
        return next.run(request).await;
    }
    let host = named_host(&request);
    if host.is_some_and(allowed) {
        return next.run(request).await;
    }
    tracing::debug!(host = ?host.map(|host| host.escape_debug().to_string()), "host refused");
    StatusCode::FORBIDDEN.into_response()
}

/// The host that a request names, empty if it names none. `None` for headers that can be read in more than one way:
/// two of them, or one that is no text.
fn named_host(request: &Request) -> Option<&str> {
    let mut headers = request.headers().get_all(HOST).iter();
    let header = headers.next().map_or(Some(""), |value| value.to_str().ok())?;
    if headers.next().is_some() {
        return None;
    }
    // The absolute form of a request line (as sent to proxies) outranks the header.
    Some(request.uri().authority().map_or(header, axum::http::uri::Authority::as_str))
}

/// True if `host` (as in the header, with or without a port) can mean this machine or its private network.
fn allowed(host: &str) -> bool {
    let host = without_port(host).to_lowercase();
    if host.is_empty() || host == "localhost" || LOCAL_SUFFIXES.iter().any(|suffix| host.ends_with(suffix)) {
        return true;
    }
    match host.parse::<IpAddr>() {
        Ok(address) => is_near(address) || is_own(address),
        Err(_) => own_name().is_some_and(|name| name == host),
    }
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_near_v4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| is_near_v6(v6), is_near_v4),
    }
}

fn is_near_v4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_unspecified()
}

fn is_near_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unspecified() || address.is_unique_local()
}

/// True if one of this machine's interfaces has the address: only then may a socket be bound to it.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn own_name() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok()?.to_lowercase();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_and_its_network() {
        for host in [
            "",
            "localhost",
            "LocalHost:11434",
            "127.0.0.1:11434",
            "[::1]:11434",
            "::1",
            "192.168.1.7",
            "10.0.0.1:80",
            "172.16.0.9",
            "0.0.0.0",
            "[fd00::1]",
            "host.docker.internal:11434",
            "box.local",
            "a.localhost",
        ] {
            assert!(allowed(host), "{host}");
        }
        let own = own_name().unwrap();
        assert!(allowed(&format!("{own}:11434")));
    }

    #[test]
    fn foreign_names() {
        for host in [
            "evil.com",
            "evil.com:11434",
            "localhost.evil.com",
            "8.8.8.8",
            "172.32.0.1",
            "192.169.0.1",
            "[2001:db8::1]:80",
            "127.0.0.1.evil.com",
            "local",
        ] {
            assert!(!allowed(host), "{host}");
        }
    }
}
