//! Requests that scripts send: whom they may reach, and over which connections.
//!
//! What `scripts.outbound` in `moongate.yaml` allows is decided twice: by name before anything is looked up, and by address when it
//! is, so that a name that leads to this machine, or that leads elsewhere the second time, opens nothing. Without a list every
//! host may be asked whose address is not this machine's, the link's (clouds' metadata among them) or nobody's.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, header};
use moongate_config::integration::HttpVersion;
use moongate_exchange::{Body, Cidr, IntegrationFacts, Request, Target};
use moongate_lua::{HttpCall, HttpReply, Outside};
use parking_lot::Mutex;

use crate::plan::{CallPlan, Timeouts};
use crate::upstream::{self, PoolLimits, Upstream, UpstreamSpec, UpstreamTls, Upstreams};

/// Most services whose connections are kept apart. All are forgotten when there are more.
const SERVICES_MAX: usize = 1024;

/// Addresses of clouds' metadata services that are not link-local ones.
const METADATA: [&str; 2] = ["fd00:ec2::254/128", "100.100.100.200/32"];

/// An entry of the list of services that scripts may ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Allowed {
    /// A host by name, on one port or on any.
    Host {
        /// Lower case.
        name: Box<str>,
        /// Any if absent.
        port: Option<u16>,
    },
    /// Every host below a domain: `*.example.com`.
    Below(Box<str>),
    /// A network; names that lead into it are allowed too.
    Network(Cidr),
}

impl std::str::FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        if let Ok(network) = text.parse::<Cidr>() {
            return Ok(Self::Network(network));
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        if let Some(domain) = text.strip_prefix("*.").filter(|domain| is_name(domain)) {
            return Ok(Self::Below(domain.into()));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| format!("`{port}` is not a port"))?)),
            None => (&*text, None),
        };
        if !is_name(name) {
            return Err(format!("`{text}` is no host, `*.domain` or network such as `10.0.0.0/8`"));
        }
        Ok(Self::Host { name: name.into(), port })
    }
}

/// Whom scripts may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Nobody else, where it is not empty.
    pub allow: Vec<Allowed>,
}

impl Rules {
    /// Whether a host may be asked, as far as its name says.
    fn allows_name(&self, host: &str, port: u16) -> bool {
        self.allow.is_empty() || self.names(host, port) || self.has_networks()
    }

    fn names(&self, host: &str, port: u16) -> bool {
        self.allow.iter().any(|allowed| match allowed {
            Allowed::Host { name, port: wanted } => **name == *host && wanted.is_none_or(|wanted| wanted == port),
            Allowed::Below(domain) => host.strip_suffix(&**domain).is_some_and(|rest| rest.ends_with('.')),
            Allowed::Network(_) => false,
        })
    }

    fn has_networks(&self) -> bool {
        self.allow.iter().any(|allowed| matches!(allowed, Allowed::Network(_)))
    }

    /// Whether an address that a host has may be connected to.
    fn allows_address(&self, host: &str, port: u16, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_listed =
            self.allow.iter().any(|allowed| matches!(allowed, Allowed::Network(network) if network.contains(address)));
        // A name that the operator wrote down is trusted with any address but those that nobody means by a name.
        is_listed
            || (self.names(host, port) && !is_metadata(address))
            || (self.allow.is_empty() && !is_internal(address))
    }
}

fn is_metadata(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    is_link_local
        || METADATA.iter().any(|network| network.parse::<Cidr>().is_ok_and(|network| network.contains(address)))
}

/// Addresses that lead to this machine, to the link, or to nobody in particular.
fn is_internal(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast() || address.octets()[0] == 0);
    address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_broadcast || is_metadata(address)
}

/// The rule that an upstream's addresses have to pass.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reach {
    rules: Arc<Rules>,
    host: Box<str>,
    port: u16,
}

impl Reach {
    /// Whether an address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.rules.allows_address(&self.host, self.port, address)
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reach({}:{})", self.host, self.port)
    }
}

/// A service: whether by TLS, its host and its port.
type Service = (bool, Box<str>, u16);

/// The services that scripts ask, and whether they may.
#[derive(Debug, Default)]
pub struct Outbound {
    rules: Arc<Rules>,
    services: Mutex<HashMap<Service, Arc<CallPlan>>>,
}

impl Outbound {
    /// Services by rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), services: Mutex::default() }
    }

    fn service(&self, url: &http::Uri) -> Result<Arc<CallPlan>, String> {
        let is_tls = url.scheme_str() == Some("https");
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let refused = || format!("scripts may not ask `{host}:{port}`; `scripts.outbound.allow` says whom");
        let is_allowed = match host.parse::<IpAddr>() {
            Ok(address) => self.rules.allows_address(&host, port, address),
            Err(_) => self.rules.allows_name(&host, port),
        };
        if !is_allowed {
            return Err(refused());
        }
        let mut services = self.services.lock();
        if let Some(known) = services.get(&(is_tls, host.as_str().into(), port)) {
            return Ok(Arc::clone(known));
        }
        let authority = url.authority().map_or("", http::uri::Authority::as_str);
        let authority = HeaderValue::try_from(authority).map_err(|_| refused())?;
        let tls = is_tls.then(|| UpstreamTls {
            server_name: host.as_str().into(),
            ca_pem: None,
            client: None,
            accepts_any_certificate: false,
        });
        let target = crate::upstream::Target {
            host: host.as_str().into(),
            port,
            is_srv: false,
            weight: 1,
            authority: authority.clone(),
            tls,
            reach: Some(Reach { rules: Arc::clone(&self.rules), host: host.as_str().into(), port }),
        };
        let spec = UpstreamSpec {
            name: None,
            targets: [target].into(),
            version: HttpVersion::Auto,
            balance: Default::default(),
            pool: PoolLimits::default(),
            health_check: None,
            outliers: None,
            breaker: None,
        };
        let made = Arc::new(CallPlan {
            upstream: Arc::new(Upstream { id: upstream::next_id(), spec }),
            authority: Some(authority),
            hash_on: None,
            timeouts: Timeouts::default(),
            retry: None,
            mirror: None,
            fault: None,
        });
        if services.len() >= SERVICES_MAX {
            services.clear();
        }
        services.insert((is_tls, host.into(), port), Arc::clone(&made));
        Ok(made)
    }
}

/// Sends scripts' requests over the gateway's own connections.
pub(crate) struct Sender<'request, U> {
    pub(crate) upstreams: &'request U,
    pub(crate) outbound: &'request Outbound,
}

impl<U: Upstreams> Outside for Sender<'_, U> {
    async fn fetch(&self, call: HttpCall, deadline: Instant) -> Result<HttpReply, String> {
        let service = self.outbound.service(&call.url)?;
        let path = call.url.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let target = Target::normalize(path).map_err(|error| format!("the path cannot be sent: {error}"))?;
        let mut headers = call.headers;
        if let Some(authority) = &service.authority {
            headers.set(header::HOST, authority.clone());
        }
        let request = Request { method: call.method, target, headers, body: Body::from(call.body) };
        let mut facts = IntegrationFacts::default();
        let answer = self.upstreams.send(&service, request, None, deadline, &mut facts).await;
        let answer = answer.map_err(|error| crate::outbound::chain(&error))?;
        let rest = tokio::time::timeout_at(deadline.into(), answer.body.collect(call.answer_bytes_max)).await;
        let body: Bytes = match rest {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("no answer within the deadline".to_owned()),
        };
        Ok(HttpReply { status: answer.status, headers: answer.headers, body })
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str]) -> Rules {
        Rules { allow: allow.iter().map(|text| text.parse().expect(text)).collect() }
    }

    fn allows(allow: &[&str], host: &str, port: u16, address: &str) -> bool {
        let rules = rules(allow);
        rules.allows_name(host, port) && rules.allows_address(host, port, address.parse().expect("an address"))
    }

    #[test]
    fn without_a_list_everything_but_the_inside_is_allowed() {
        for address in ["93.184.215.14", "10.0.0.1", "2606:2800:21f::1", "fd12::1"] {
            assert!(allows(&[], "a.example", 443, address), "{address}");
        }
        let inside = [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "fd00:ec2::254",
            "100.100.100.200",
        ];
        for address in inside {
            assert!(!allows(&[], "a.example", 443, address), "{address}");
        }
    }

    #[test]
    fn a_list_allows_what_it_names_and_nothing_else() {
        let cases = [
            (&["a.example"][..], "a.example", 443, "10.0.0.1", true),
            (&["a.example"], "a.example", 443, "127.0.0.1", true),
            (&["a.example"], "a.example", 443, "169.254.169.254", false),
            (&["a.example"], "b.example", 443, "10.0.0.1", false),
            (&["a.example:8443"], "a.example", 443, "10.0.0.1", false),
            (&["a.example:8443"], "a.example", 8443, "10.0.0.1", true),
            (&["*.example"], "a.b.example", 443, "10.0.0.1", true),
            (&["*.example"], "example", 443, "10.0.0.1", false),
            (&["*.example"], "badexample", 443, "10.0.0.1", false),
            (&["10.0.0.0/8"], "a.example", 443, "10.0.0.1", true),
            (&["10.0.0.0/8"], "a.example", 443, "11.0.0.1", false),
            (&["127.0.0.1"], "127.0.0.1", 9000, "127.0.0.1", true),
            (&["169.254.169.254"], "metadata", 80, "169.254.169.254", true),
        ];
        for (allow, host, port, address, want) in cases {
            assert_eq!(allows(allow, host, port, address), want, "{allow:?} {host}:{port} {address}");
        }
        for bad in ["", "a b", "http://a.example", "a.example:x", "*", "*."] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
    }
}
