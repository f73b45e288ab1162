//! Who the client is where a trusted proxy stands between it and the gateway.

use std::net::IpAddr;

use http::HeaderValue;

/// What a trusted proxy said about the client of one request.
///
/// Made only from fields of connections whose peer the operator trusts: whatever anybody else says in `X-Forwarded-For` or
/// `Forwarded` is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedClient {
    ip: IpAddr,
    text: HeaderValue,
    is_https: Option<bool>,
}

impl ForwardedClient {
    /// A client with an address; `is_https` is whether it spoke TLS to the proxy, where that was said.
    pub fn new(ip: IpAddr, is_https: Option<bool>) -> Self {
        let ip = ip.to_canonical();
        let text = HeaderValue::try_from(ip.to_string()).expect("an IP address is visible ASCII");
        Self { ip, text, is_https }
    }

    /// The client's address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The client's address as a header's value.
    pub fn ip_value(&self) -> &HeaderValue {
        &self.text
    }

    /// Whether it spoke TLS to the proxy; `None` when that was not said.
    pub fn is_https(&self) -> Option<bool> {
        self.is_https
    }
}
