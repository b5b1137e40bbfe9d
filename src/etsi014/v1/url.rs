//! The base URL of a KME as an operator writes it: `https://host[:port][/prefix]`.

use super::path::ROOT;

/// Port of https.
const PORT_DEFAULT: u16 = 443;
/// Bytes of a base URL: a DNS name of 253, a port and a prefix.
const URL_BYTES_MAX: usize = 1024;

/// Where a KME is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseUrl {
    host: String,
    port: u16,
    prefix: String,
}

/// Why a text is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme.
    #[error("expected https://HOST[:PORT][/PREFIX]: ETSI GS QKD 014 demands HTTPS")]
    NotHttps,
    /// A name, a password, a query or a fragment.
    #[error("expected https://HOST[:PORT][/PREFIX] without user, query or fragment")]
    Superfluous,
    /// No host, or characters no host has.
    #[error("expected a host name or an address after https:// (an IPv6 address in brackets)")]
    Host,
    /// Not 1..=65535.
    #[error("expected a port of 1 to 65535 after the host")]
    Port,
    /// Characters no path has.
    #[error("the path holds a character that must be percent-encoded, or is longer than 1024 bytes")]
    Path,
}

impl BaseUrl {
    /// Reads a base URL. A trailing slash, and a trailing `/api/v1/keys` that would double, are dropped.
    ///
    /// # Errors
    /// [`UrlError`], which says what was expected.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let scheme = text.get(..8).ok_or(UrlError::NotHttps)?;
        let rest = text.get(8..).filter(|_| scheme.eq_ignore_ascii_case("https://")).ok_or(UrlError::NotHttps)?;
        if text.contains(['?', '#', '@']) {
            return Err(UrlError::Superfluous);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = split_authority(authority)?;
        let path_fits =
            text.len() <= URL_BYTES_MAX && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !path_fits {
            return Err(UrlError::Path);
        }
        let path = path.trim_end_matches('/');
        let prefix = path.strip_suffix(ROOT).unwrap_or(path).to_owned();
        Ok(Self { host, port, prefix })
    }

    /// Name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands before `/api/v1/keys`; empty or starting with "/".
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Host and port as a `Host` header writes them (RFC 9110, 7.2).
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == PORT_DEFAULT { host } else { format!("{host}:{}", self.port) }
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.prefix)
    }
}

fn split_authority(authority: &str) -> Result<(String, u16), UrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Host)?;
        let port = match after.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if after.is_empty() => PORT_DEFAULT,
            None => return Err(UrlError::Port),
        };
        return Ok((host.to_owned(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (authority, PORT_DEFAULT),
    };
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(letters) {
        return Err(UrlError::Host);
    }
    Ok((host.to_owned(), port))
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(UrlError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_urls_are_read() {
        for (text, host, port, prefix, authority) in [
            ("https://kme-a.example:8443", "kme-a.example", 8443, "", "kme-a.example:8443"),
            ("HTTPS://10.0.0.1/", "10.0.0.1", 443, "", "10.0.0.1"),
            ("https://[fd00::1]:8443/site/a", "fd00::1", 8443, "/site/a", "[fd00::1]:8443"),
            ("https://kme/x/api/v1/keys/", "kme", 443, "/x", "kme"),
            ("https://kme/api/v1/keys", "kme", 443, "", "kme"),
        ] {
            let url = BaseUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.port(), url.prefix()), (host, port, prefix), "{text}");
            assert_eq!(url.authority(), authority);
            assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url));
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_its_reason() {
        for (text, error) in [
            ("http://kme", UrlError::NotHttps),
            ("kme-a.example:8443", UrlError::NotHttps),
            ("", UrlError::NotHttps),
            ("https://u:p@kme", UrlError::Superfluous),
            ("https://kme?x=1", UrlError::Superfluous),
            ("https://kme/#a", UrlError::Superfluous),
            ("https://", UrlError::Host),
            ("https://:8443", UrlError::Host),
            ("https://k me", UrlError::Host),
            ("https://[fd00::1", UrlError::Host),
            ("https://[kme]", UrlError::Host),
            ("https://fd00::1", UrlError::Port),
            ("https://kme:0", UrlError::Port),
            ("https://kme:65536", UrlError::Port),
            ("https://kme:+1", UrlError::Port),
            ("https://[::1]x", UrlError::Port),
            ("https://kme/a b", UrlError::Path),
            ("https://kme/é", UrlError::Path),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_ipv6_address_needs_no_port_and_a_name_has_at_most_253_bytes() {
        assert_eq!(BaseUrl::parse("https://[fd00::1]/x").map(|url| url.port()), Ok(443));
        let name = |bytes: usize| BaseUrl::parse(&format!("https://{}", "a".repeat(bytes))).map(|_| ());
        assert_eq!([252, 253, 254].map(name), [Ok(()), Ok(()), Err(UrlError::Host)]);
    }
}
