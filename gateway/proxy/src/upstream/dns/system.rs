//! What the machine knows about names: `/etc/hosts` and `/etc/resolv.conf`, read again when they change.
//!
//! Both are small local files, read on the thread that resolves names and never on a worker.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Most name servers that are asked.
const SERVERS_MAX: usize = 8;
/// Most domains that are tried behind a name.
const SEARCH_MAX: usize = 32;

const DNS_PORT: u16 = 53;

/// The machine's files.
#[derive(Debug)]
pub(super) struct System {
    hosts: Watched<Hosts>,
    resolv: Watched<ResolvConf>,
}

/// `resolv.conf`: whom to ask, and what to try behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    /// A name with fewer dots is tried with the search domains first.
    pub(super) ndots: usize,
}

/// `hosts`: addresses by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hosts(Vec<(String, IpAddr)>);

/// A file and what it meant when it was last read.
#[derive(Debug)]
struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> T,
    value: T,
    changed: Option<SystemTime>,
    looked: Option<Instant>,
}

impl<T> Watched<T> {
    fn new(path: PathBuf, parse: fn(&str) -> T) -> Self {
        Self { value: parse(""), path, parse, changed: None, looked: None }
    }

    fn get(&mut self) -> &T {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            let metadata = fs::metadata(&self.path).ok().filter(|metadata| metadata.len() <= BYTES_MAX);
            let changed = metadata.and_then(|metadata| metadata.modified().ok());
            if changed.is_some() && changed != self.changed {
                // A file that cannot be read now keeps its last meaning.
                if let Ok(bytes) = fs::read(&self.path) {
                    self.value = (self.parse)(&String::from_utf8_lossy(&bytes));
                    self.changed = changed;
                }
            }
        }
        &self.value
    }
}

impl System {
    pub(super) fn new(hosts: PathBuf, resolv: PathBuf) -> Self {
        Self { hosts: Watched::new(hosts, Hosts::parse), resolv: Watched::new(resolv, ResolvConf::parse) }
    }

    /// The addresses that need no server: of the hosts file, and of `localhost` (RFC 6761 section 6.3).
    pub(super) fn local(&mut self, name: &str) -> Option<Vec<IpAddr>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let known = &self.hosts.get().0;
        let found: Vec<IpAddr> = known.iter().filter(|(known, _)| known == name).map(|(_, address)| *address).collect();
        if !found.is_empty() {
            return Some(found);
        }
        let is_localhost = name == "localhost" || name.ends_with(".localhost");
        is_localhost.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    /// Whom to ask.
    pub(super) fn resolv_conf(&mut self) -> ResolvConf {
        self.resolv.get().clone()
    }
}

impl Hosts {
    fn parse(text: &str) -> Self {
        let mut entries: Vec<(String, IpAddr)> = Vec::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for name in words {
                let entry = (name.to_ascii_lowercase(), address);
                entries.push(entry);
            }
        }
        entries.dedup();
        Self(entries)
    }
}

impl ResolvConf {
    fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A zone (`fe80::1%eth0`) needs the interface's number: such servers are passed over.
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    conf.servers.extend(address.map(|address| SocketAddr::new(address, DNS_PORT)));
                }
                Some("search" | "domain") => {
                    let domains = words.map(|word| word.trim_matches('.').to_ascii_lowercase());
                    conf.search = domains.filter(|domain| !domain.is_empty()).take(SEARCH_MAX).collect();
                }
                Some("options") => {
                    let ndots = words.find_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok());
                    conf.ndots = ndots.unwrap_or(conf.ndots).min(15);
                }
                _ => {}
            }
        }
        conf.servers.truncate(SERVERS_MAX);
        if conf.servers.is_empty() {
            // As resolv.conf(5) says.
            conf.servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
        }
        conf
    }

    /// The names to ask for in turn, for a name as it is written (resolv.conf(5), `ndots`).
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{name}.{domain}"));
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        if dots >= self.ndots {
            [name.to_owned()].into_iter().chain(searched).collect()
        } else {
            searched.chain([name.to_owned()]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_localhost_needs_no_server() {
        let folder = std::env::temp_dir().join(format!("moongate-hosts-{}", std::process::id()));
        fs::write(&folder, "# the machine\n10.1.2.3 Orders orders.internal # both\n::5 orders\nnonsense\n")
            .expect("a file");
        let mut system = System::new(folder.clone(), folder.with_extension("absent"));
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(system.local("orders"), Some(vec![address("10.1.2.3"), address("::5")]));
        assert_eq!(system.local("orders.internal."), Some(vec![address("10.1.2.3")]));
        assert_eq!(system.local("a.localhost"), Some(vec![address("127.0.0.1"), address("::1")]));
        assert_eq!(system.local("elsewhere"), None);
        fs::remove_file(folder).expect("our file");
    }

    #[test]
    fn resolv_conf_says_whom_to_ask_for_what() {
        let conf = ResolvConf::parse(
            "nameserver 10.0.0.10 ; cluster\nnameserver ::1\nnameserver x\nsearch default.svc.cluster.local svc.cluster.local.\noptions timeout:2 ndots:5\n",
        );
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.10:53", "[::1]:53"]);
        let want = ["orders.default.svc.cluster.local", "orders.svc.cluster.local", "orders"];
        assert_eq!(conf.candidates("orders"), want);
        assert_eq!(conf.candidates("api.example.com."), ["api.example.com"]);
        let plain = ResolvConf::parse("");
        assert_eq!(plain.servers, ["127.0.0.1:53".parse().expect("an address")]);
        assert_eq!(plain.candidates("api.example.com"), ["api.example.com"]);
    }
}
