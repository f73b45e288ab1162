//! Certificates of the gateway's own TLS listener, chosen by the name a client asks for (SNI, RFC 6066 section 3).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::listeners::TlsAccept;
use pingora_core::protocols::tls::TlsRef;
use pingora_core::tls::ext;
use pingora_core::tls::pkey::{PKey, Private};
use pingora_core::tls::ssl::{AlpnError, NameType, SslAcceptor, SslMethod, select_next_proto};
use pingora_core::tls::x509::{X509, X509Ref};

/// The protocols a TLS listener offers, the one we like best first (ALPN, RFC 7301).
const PROTOCOLS: &[u8] = b"\x02h2\x08http/1.1";

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate or key in PEM form.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key does not belong to its certificate.
    #[error("{}: the private key does not belong to the certificate", path.display())]
    Mismatch {
        /// The certificate's file.
        path: PathBuf,
    },
    /// There is no certificate at all.
    #[error("a TLS listener needs at least one certificate")]
    None,
    /// OpenSSL refused the settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Certificates by the names they are for.
#[derive(Clone)]
pub struct Certificates {
    by_name: Arc<HashMap<Box<str>, Arc<Certificate>>>,
    first: Arc<Certificate>,
}

struct Certificate {
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Certificates {
    /// Reads pairs of PEM files: a certificate chain, leaf first, and its private key. The first pair answers clients that ask for no
    /// name, or one that no certificate has.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub fn read(pairs: &[(PathBuf, PathBuf)]) -> Result<Self, TlsError> {
        let mut by_name = HashMap::new();
        let mut first = None;
        for (chain, key) in pairs {
            let certificate = Arc::new(Certificate::read(chain, key)?);
            for name in names(&certificate.chain[0]) {
                by_name.entry(name).or_insert_with(|| Arc::clone(&certificate));
            }
            first.get_or_insert(certificate);
        }
        Ok(Self { by_name: Arc::new(by_name), first: first.ok_or(TlsError::None)? })
    }

    fn find(&self, name: Option<&str>) -> &Certificate {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.first };
        let wildcard = || self.by_name.get(&*format!("*.{}", name.split_once('.')?.1));
        self.by_name.get(&*name).or_else(wildcard).unwrap_or(&self.first)
    }

    /// What does the handshakes of a listener that offers HTTP/2 and HTTP/1.1: TLS 1.2 and 1.3 with Mozilla's intermediate settings,
    /// version 5.
    pub(crate) fn acceptor(&self) -> Result<SslAcceptor, TlsError> {
        let builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls());
        let mut builder = builder.map_err(|error| TlsError::Setup(error.to_string()))?;
        // A client that offers neither goes on without: most speak HTTP/1.1.
        builder.set_alpn_select_callback(|_, offered| select_next_proto(PROTOCOLS, offered).ok_or(AlpnError::NOACK));
        Ok(builder.build())
    }
}

#[async_trait]
impl TlsAccept for Certificates {
    async fn certificate_callback(&self, tls: &mut TlsRef) {
        let certificate = self.find(tls.servername(NameType::HOST_NAME));
        let used = ext::ssl_use_certificate(tls, &certificate.chain[0])
            .and_then(|()| ext::ssl_use_private_key(tls, &certificate.key))
            .and_then(|()| certificate.chain[1..].iter().try_for_each(|link| ext::ssl_add_chain_cert(tls, link)));
        if let Err(error) = used {
            tracing::error!(%error, "certificate not usable, the handshake will fail");
        }
    }
}

impl Certificate {
    fn read(chain_path: &Path, key_path: &Path) -> Result<Self, TlsError> {
        let content = |path: &Path, reason: String| TlsError::Content { path: path.to_owned(), reason };
        let chain = X509::stack_from_pem(&read(chain_path)?).map_err(|error| content(chain_path, error.to_string()))?;
        if chain.is_empty() {
            return Err(content(chain_path, "no certificate in PEM form".to_owned()));
        }
        let key = PKey::private_key_from_pem(&read(key_path)?)
            .map_err(|_| content(key_path, "no unencrypted private key in PEM form".to_owned()))?;
        let public = chain[0].public_key().map_err(|error| content(chain_path, error.to_string()))?;
        if !public.public_eq(&key) {
            return Err(TlsError::Mismatch { path: chain_path.to_owned() });
        }
        Ok(Self { chain, key })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// The DNS names a certificate is for (RFC 6125 section 6.4: subject alternative names; the common name is not looked at).
fn names(certificate: &X509Ref) -> Vec<Box<str>> {
    let names = certificate.subject_alt_names();
    let texts = names.iter().flatten().filter_map(|name| name.dnsname());
    texts.map(|name| name.to_ascii_lowercase().into()).collect()
}
