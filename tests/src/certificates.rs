//! A certificate authority and certificates, made for one test.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{AlpnError, Ssl, SslAcceptor, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

/// How long certificates are valid, before and after now.
const VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority.
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// A server's certificate with its key.
pub struct Certificate {
    certificate: X509,
    key: PKey<Private>,
}

impl Default for Authority {
    fn default() -> Self {
        let key = new_key().expect("OpenSSL makes keys");
        let certificate = Self::self_signed(&key).expect("OpenSSL makes certificates");
        Self { certificate, key }
    }
}

impl Authority {
    fn self_signed(key: &PKey<Private>) -> Result<X509, ErrorStack> {
        let mut builder = new_builder("moongate test authority", key)?;
        let subject = builder_name("moongate test authority")?;
        builder.set_issuer_name(&subject)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        builder.sign(key, MessageDigest::sha256())?;
        Ok(builder.build())
    }

    /// A certificate for host names and IP addresses.
    pub fn certificate(&self, names: &[&str]) -> Certificate {
        self.issue(names).expect("OpenSSL makes certificates")
    }

    fn issue(&self, names: &[&str]) -> Result<Certificate, ErrorStack> {
        let key = new_key()?;
        let mut builder = new_builder(names.first().copied().unwrap_or("nameless"), &key)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        builder.append_extension(BasicConstraints::new().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
        let mut alternatives = SubjectAlternativeName::new();
        for name in names {
            if name.parse::<std::net::IpAddr>().is_ok() {
                alternatives.ip(name)
            } else {
                alternatives.dns(name)
            };
        }
        let alternatives = alternatives.build(&builder.x509v3_context(Some(&self.certificate), None))?;
        builder.append_extension(alternatives)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Certificate { certificate: builder.build(), key })
    }

    /// The authority's certificate, to be trusted.
    pub fn pem(&self) -> String {
        pem_text(self.certificate.to_pem())
    }

    /// A client's end of a TLS connection that trusts this authority only.
    pub fn client(&self, server_name: &str, protocols: &[&[u8]]) -> Ssl {
        self.connector(protocols)
            .expect("a valid context")
            .configure()
            .and_then(|c| c.into_ssl(server_name))
            .expect("a valid name")
    }

    fn connector(&self, protocols: &[&[u8]]) -> Result<SslConnector, ErrorStack> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.cert_store_mut().add_cert(self.certificate.clone())?;
        builder.set_verify(SslVerifyMode::PEER);
        builder.set_alpn_protos(&alpn(protocols))?;
        Ok(builder.build())
    }
}

impl Certificate {
    /// The certificate in PEM.
    pub fn pem(&self) -> String {
        pem_text(self.certificate.to_pem())
    }

    /// The private key in PEM (PKCS 8).
    pub fn key_pem(&self) -> String {
        pem_text(self.key.private_key_to_pem_pkcs8())
    }

    /// A server's end of TLS connections that takes the first of its protocols that a client offers by ALPN.
    pub fn acceptor(&self, protocols: &'static [&'static [u8]]) -> SslAcceptor {
        self.try_acceptor(protocols, None).expect("a valid certificate")
    }

    /// The same for clients who show a certificate of an authority only.
    pub fn acceptor_for(&self, clients: &Authority, protocols: &'static [&'static [u8]]) -> SslAcceptor {
        self.try_acceptor(protocols, Some(clients)).expect("a valid certificate")
    }

    fn try_acceptor(
        &self,
        protocols: &'static [&'static [u8]],
        clients: Option<&Authority>,
    ) -> Result<SslAcceptor, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate(&self.certificate)?;
        builder.set_private_key(&self.key)?;
        if let Some(clients) = clients {
            builder.cert_store_mut().add_cert(clients.certificate.clone())?;
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        builder.set_alpn_select_callback(move |_, offered| {
            let mut rest = offered;
            while let Some((length, names)) = rest.split_first() {
                let Some((name, others)) = names.split_at_checked(usize::from(*length)) else { break };
                if protocols.contains(&name) {
                    return Ok(name);
                }
                rest = others;
            }
            Err(AlpnError::NOACK)
        });
        Ok(builder.build())
    }
}

/// ALPN's wire format (RFC 7301 section 3.1): each name behind its length.
fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    protocols.iter().flat_map(|name| [&[name.len() as u8], *name].concat()).collect()
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn builder_name(common_name: &str) -> Result<openssl::x509::X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    Ok(name.build())
}

fn new_builder(common_name: &str, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(builder_name(common_name)?.as_ref())?;
    builder.set_pubkey(key)?;
    builder.set_not_before(Asn1Time::from_unix(now.saturating_sub(VALIDITY).as_secs() as i64)?.as_ref())?;
    builder.set_not_after(Asn1Time::from_unix((now + VALIDITY).as_secs() as i64)?.as_ref())?;
    Ok(builder)
}

fn pem_text(pem: Result<Vec<u8>, ErrorStack>) -> String {
    String::from_utf8(pem.expect("OpenSSL writes PEM")).expect("PEM is ASCII")
}
