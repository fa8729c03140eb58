//! `OLLAMA_HOST`: where the server listens and where clients look for it.
//!
//! Accepted, after blanks and quotes are trimmed: nothing, `host`, `:port`, `host:port`, `[v6]`, `[v6]:port`, a bare
//! IPv6 address, and any of these behind `http://` or `https://`, with a path after it. Without a port it is 11434,
//! with a scheme 80 or 443. A port that is no port falls back to that default, as it does upstream.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Port of the server when none is named.
pub const DEFAULT_PORT: u16 = 11434;

/// A parsed `OLLAMA_HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAddress {
    /// `http` or `https` (or whatever scheme was written).
    pub scheme: String,
    /// Host name or IP literal without brackets; empty means every interface when listening, this machine when calling.
    pub host: String,
    /// Port; 0 asks the system for a free one.
    pub port: u16,
    /// Path after the authority, without the leading slash; a proxy's prefix, of use to clients only.
    pub path: String,
    /// The port as it was written, if it was none and the default took its place: worth a warning.
    pub bad_port: Option<String>,
}

impl Default for HostAddress {
    fn default() -> Self {
        parse("")
    }
}

/// Reads a value of `OLLAMA_HOST`. Every text means something; see the module's page.
pub fn parse(text: &str) -> HostAddress {
    let text = super::settings::trimmed(text);
    let (scheme, rest, default_port) = match text.split_once("://") {
        None => ("http", text, DEFAULT_PORT),
        Some(("http", rest)) => ("http", rest, 80),
        Some(("https", rest)) => ("https", rest, 443),
        Some((other, rest)) => (other, rest, DEFAULT_PORT),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port_text) = match split_port(authority) {
        Some((host, port)) => (host.to_owned(), Some(port)),
        None => (bare_host(authority), None),
    };
    let (port, bad_port) = match port_text.map(|text| (text, text.parse::<u16>())) {
        None => (default_port, None),
        Some((_, Ok(port))) => (port, None),
        Some((text, Err(_))) => (default_port, Some(text.to_owned())),
    };
    HostAddress { scheme: scheme.to_owned(), host, port, path: path.to_owned(), bad_port }
}

/// Splits `host:port` or `[v6]:port`; `None` when there is no port part.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once("]:");
    }
    let (host, port) = authority.rsplit_once(':')?;
    // More than one colon and no brackets: a bare IPv6 address.
    (!host.contains(':')).then_some((host, port))
}

fn bare_host(authority: &str) -> String {
    let unbracketed = authority.trim_matches(['[', ']']);
    if authority.is_empty() {
        Ipv4Addr::LOCALHOST.to_string()
    } else if let Ok(address) = unbracketed.parse::<IpAddr>() {
        address.to_string()
    } else {
        authority.to_owned()
    }
}

impl HostAddress {
    /// `host:port` with brackets where IPv6 needs them.
    pub fn authority(&self) -> String {
        join(&self.host, self.port)
    }

    /// The URL a client on this machine calls, without a trailing slash. A server listening on every interface is
    /// reached through loopback.
    pub fn client_url(&self) -> String {
        let host = match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.to_string(),
            Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.to_string(),
            _ if self.host.is_empty() => Ipv4Addr::LOCALHOST.to_string(),
            _ => self.host.clone(),
        };
        let path = self.path.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{}://{}{slash}{path}", self.scheme, join(&host, self.port))
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        for (text, scheme, authority) in [
            ("", "http", "127.0.0.1:11434"),
            ("1.2.3.4", "http", "1.2.3.4:11434"),
            ("1.2.3.4:1234", "http", "1.2.3.4:1234"),
            (":1234", "http", ":1234"),
            ("example.com", "http", "example.com:11434"),
            ("example.com:1234", "http", "example.com:1234"),
            ("example.com:", "http", "example.com:11434"),
            ("example.com:66000", "http", "example.com:11434"),
            ("example.com:-1", "http", "example.com:11434"),
            ("example.com:0", "http", "example.com:0"),
            ("[::1]", "http", "[::1]:11434"),
            ("[::1]:1337", "http", "[::1]:1337"),
            ("::1", "http", "[::1]:11434"),
            ("[::]:0", "http", "[::]:0"),
            ("\" 0.0.0.0 \"", "http", "0.0.0.0:11434"),
            ("'localhost:9'", "http", "localhost:9"),
            ("http://1.2.3.4", "http", "1.2.3.4:80"),
            ("https://1.2.3.4", "https", "1.2.3.4:443"),
            ("https://1.2.3.4:4321", "https", "1.2.3.4:4321"),
            ("https://example.com/ollama", "https", "example.com:443"),
            ("http://:8080", "http", ":8080"),
        ] {
            let host = parse(text);
            assert_eq!((host.scheme.as_str(), host.authority().as_str()), (scheme, authority), "{text}");
        }
        assert_eq!(parse("h:66000").bad_port.as_deref(), Some("66000"));
    }

    #[test]
    fn what_a_client_calls() {
        assert_eq!(parse("").client_url(), "http://127.0.0.1:11434");
        assert_eq!(parse("0.0.0.0").client_url(), "http://127.0.0.1:11434");
        assert_eq!(parse("[::]:8").client_url(), "http://[::1]:8");
        assert_eq!(parse(":8").client_url(), "http://127.0.0.1:8");
        assert_eq!(parse("https://h/p/").client_url(), "https://h:443/p");
    }
}
