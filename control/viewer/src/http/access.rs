//! Who may ask.
//!
//! Invariant: where the server is reached by others than this machine there is a token; on loopback only requests that
//! name this machine are answered, so that no web site can turn a browser against it (DNS rebinding).

use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderValue};

use crate::token::Secret;

/// The rules.
pub(crate) struct Access {
    token: Option<Secret>,
    /// What the cookie holds after a login: worth nothing after a restart.
    session: Secret,
    /// Cookies do not know ports, so its name does.
    cookie: String,
    loopback: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// Its `Host` is not this machine.
    Host,
    /// Another site's page sent it.
    Site,
    /// It has no token, or a wrong one.
    Token,
}

impl Access {
    /// # Errors
    /// The kernel gives no random numbers.
    pub(crate) fn new(address: SocketAddr, token: Option<Secret>) -> Result<Self, String> {
        let cookie = format!("millrace_viewer_{}", address.port());
        Ok(Self { token, session: Secret::random()?, cookie, loopback: address.ip().is_loopback() })
    }

    /// Whether the request may be answered at all.
    pub(super) fn host(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let named = headers.get_all(HOST).iter().collect::<Vec<_>>();
        let fine = match named[..] {
            [host] => !self.loopback || host.to_str().is_ok_and(is_this_machine),
            _ => false,
        };
        if fine { Ok(()) } else { Err(Denied::Host) }
    }

    /// Whether it comes from the page itself, or from no page at all.
    pub(super) fn site(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if matches!(site, None | Some(b"same-origin" | b"none")) { Ok(()) } else { Err(Denied::Site) }
    }

    /// Whether it shows the token, or the cookie that was given for it.
    pub(super) fn token(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let Some(token) = &self.token else { return Ok(()) };
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, credentials) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| credentials.trim())
        });
        if bearer.is_some_and(|shown| token.is(shown)) {
            return Ok(());
        }
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let found = pairs.any(|(name, value)| name == self.cookie && self.session.is(value));
        if found { Ok(()) } else { Err(Denied::Token) }
    }

    /// The cookie for who shows the token.
    pub(super) fn login(&self, shown: &str) -> Option<String> {
        let fine = self.token.as_ref().is_none_or(|token| token.is(shown));
        let cookie =
            || format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.session.expose());
        fine.then(cookie)
    }
}

/// Whether a `Host` names this machine: by a loopback address or as localhost. The port may be any: it may have been
/// forwarded.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((inside, port)) if port.is_empty() || port.starts_with(':') => inside,
            _ => return false,
        },
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123";

    fn access(listen: &str, token: bool) -> Access {
        let path = std::env::temp_dir().join(format!("viewer-access-{}-{listen}", std::process::id()));
        std::fs::write(&path, TOKEN).unwrap();
        let token = token.then(|| Secret::read(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        Access::new(listen.parse().unwrap(), token).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn on_loopback_the_host_must_be_this_machine() {
        let access = access("127.0.0.1:9466", false);
        for host in ["127.0.0.1:9466", "localhost", "LOCALHOST:8080", "[::1]:1", "127.0.0.9"] {
            assert_eq!(access.host(&headers(&[("host", host)])), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "10.0.0.1:9466",
            "[::1",
            "[::1]x",
            "",
        ] {
            assert_eq!(access.host(&headers(&[("host", host)])), Err(Denied::Host), "{host}");
        }
        assert_eq!(access.host(&HeaderMap::new()), Err(Denied::Host));
        let mut two = headers(&[("host", "localhost")]);
        two.append(HOST, "localhost".parse().unwrap());
        assert_eq!(access.host(&two), Err(Denied::Host));
        assert_eq!(access.token(&HeaderMap::new()), Ok(()));
    }

    #[test]
    fn elsewhere_the_token_counts() {
        let access = access("192.0.2.1:9466", true);
        assert_eq!(access.host(&headers(&[("host", "probe.example:9466")])), Ok(()));
        assert_eq!(access.token(&HeaderMap::new()), Err(Denied::Token));
        for (value, fine) in [
            (format!("Bearer {TOKEN}"), true),
            (format!("bearer {TOKEN}"), true),
            (format!("Basic {TOKEN}"), false),
            (format!("Bearer {TOKEN}0"), false),
            (format!("Bearer {}", &TOKEN[1..]), false),
            ("Bearer".to_owned(), false),
        ] {
            assert_eq!(access.token(&headers(&[("authorization", &value)])).is_ok(), fine, "{value}");
        }
    }

    #[test]
    fn the_cookie_stands_for_the_token_and_is_not_it() {
        let access = access("192.0.2.1:9466", true);
        assert_eq!(access.login("wrong"), None);
        let cookie = access.login(TOKEN).unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN));
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(access.token(&headers(&[("cookie", &format!("a=b; {pair}"))])), Ok(()));
        for wrong in [format!("{pair}0"), format!("x{pair}"), format!("millrace_viewer_9466={TOKEN}")] {
            assert_eq!(access.token(&headers(&[("cookie", &wrong)])), Err(Denied::Token), "{wrong}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let access = access("127.0.0.1:9466", false);
        for (site, fine) in
            [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)]
        {
            assert_eq!(access.site(&headers(&[("sec-fetch-site", site)])).is_ok(), fine, "{site}");
        }
        assert_eq!(access.site(&HeaderMap::new()), Ok(()));
    }
}
