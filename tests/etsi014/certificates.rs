//! Bad certificates by name, each refused with the right words at either end, and odd ones that are good.

use std::sync::Arc;

use plait::io::kme_client::registry::Reach;
use plait::keys::request::SourceFailure;
use plait::types::policy::Reason;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName,
    ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::pki::{Odd, Pki, params};
use crate::stub::{Act, Stub, http, keys, tls};
use crate::world::{STILL, new_key, serve, setup, site, source};

const OLD_CA: &str = include_str!("data/old-ca.pem");
const OLD_GOOD: &str = include_str!("data/old-good.pem");
const OLD_KEY: &str = include_str!("data/old.key");
const SHA1: &str = include_str!("data/sha1.pem");
const WEAK_ISSUER: &str = include_str!("data/weak-issuer.pem");

type Shown = Arc<CertifiedKey>;
type Change<'c> = &'c dyn Fn(&mut CertificateParams);

/// Name, what the KME shows, and what the refusal says (of an odd but good one: nothing).
type Row = (&'static str, Shown, &'static str);

/// The CA that the client trusts, and what it issues.
struct Authority {
    pki: Pki,
    ca: Issuer<'static, KeyPair>,
}

fn usual(_: &mut CertificateParams) {}

fn of_ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = name("intermediate CA");
    (params.subject_alt_names, params.extended_key_usages) = (Vec::new(), Vec::new());
}

fn name(cn: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, cn);
    name
}

fn with(odd: &Odd, change: Change<'_>) -> CertificateParams {
    let mut params = params(odd);
    change(&mut params);
    params
}

fn dated(from: i64, to: i64) -> Odd {
    Odd { valid: (from, to), ..Odd::default() }
}

fn shown(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Shown {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Arc::new(CertifiedKey::new(chain, rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap()))
}

fn stored(chain: &str, key: &str) -> Shown {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(CertifiedKey::new(chain, rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap()))
}

impl Authority {
    fn new() -> Self {
        let pki = Pki::new();
        let key = KeyPair::from_pem(&std::fs::read_to_string(pki.file("ca.key")).unwrap()).unwrap();
        let ca = Issuer::from_ca_cert_pem(&std::fs::read_to_string(pki.file("ca.pem")).unwrap(), key).unwrap();
        Self { pki, ca }
    }

    fn root(&self) -> CertificateDer<'static> {
        self.pki.certified("ca").cert[0].clone()
    }

    /// Issued by the CA itself.
    fn leaf(&self, odd: &Odd, change: Change<'_>) -> Shown {
        self.leaf_of(KeyPair::generate().unwrap(), odd, change)
    }

    fn leaf_of(&self, key: KeyPair, odd: &Odd, change: Change<'_>) -> Shown {
        let cert = with(odd, change).signed_by(&key, &self.ca).unwrap();
        shown(vec![cert.der().clone()], &key)
    }

    /// Issued by an intermediate: the leaf, then the intermediate.
    fn under(&self, odd: &Odd, intermediate: Change<'_>, leaf: Change<'_>) -> Shown {
        let (middle_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let middle = with(odd, intermediate);
        let middle_cert = middle.signed_by(&middle_key, &self.ca).unwrap();
        let issuer = Issuer::new(middle, middle_key);
        let cert = with(&Odd::default(), leaf).signed_by(&key, &issuer).unwrap();
        shown(vec![cert.der().clone(), middle_cert.der().clone()], &key)
    }

    /// A good leaf whose bytes were changed afterwards.
    fn mangled(&self, change: impl FnOnce(&mut Vec<u8>)) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut der = params(&Odd::default()).signed_by(&key, &self.ca).unwrap().der().to_vec();
        change(&mut der);
        shown(vec![CertificateDer::from(der)], &key)
    }

    fn bad_dates_and_names(&self) -> Vec<Row> {
        let elsewhere = |san: Vec<SanType>| self.leaf(&Odd::default(), &move |p| p.subject_alt_names = san.clone());
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        let narrow = |params: &mut CertificateParams| {
            of_ca(params);
            let elsewhere = GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8));
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: vec![elsewhere], excluded_subtrees: vec![] });
        };
        vec![
            ("expired", self.leaf(&dated(-30, -1), &usual), "has expired"),
            ("not valid yet", self.leaf(&dated(2, 30), &usual), "not valid yet"),
            ("ends before it begins", self.leaf(&dated(-2, -9), &usual), "has expired"),
            (
                "its intermediate has expired",
                self.under(&dated(-30, -1), &of_ca, &usual),
                "a CA certificate that has expired",
            ),
            ("another address", elsewhere(vec![SanType::IpAddress([10, 9, 9, 9].into())]), "expected \"127.0.0.1\""),
            ("another name", elsewhere(vec![dns("kme-z.example")]), "SAN kme-z.example"),
            (
                "the name in the CN only",
                self.leaf(&Odd { cn: "127.0.0.1", san: &[], ..Odd::default() }, &usual),
                "CN 127.0.0.1",
            ),
            ("the address written as a DNS name", elsewhere(vec![dns("127.0.0.1")]), "has another name"),
            ("the address inside an IPv6 address", elsewhere(vec![SanType::IpAddress(mapped)]), "has another name"),
            (
                "the address as a URI",
                elsewhere(vec![SanType::URI("https://127.0.0.1".try_into().unwrap())]),
                "has another name",
            ),
            ("a wildcard", elsewhere(vec![dns("*.0.0.1")]), "has another name"),
            (
                "no name at all",
                self.leaf(&Odd::default(), &|p| {
                    p.distinguished_name = DistinguishedName::new();
                    p.subject_alt_names = Vec::new();
                }),
                "no name at all",
            ),
            (
                "a name that its CA may not give",
                self.under(&Odd::default(), &narrow, &usual),
                "may not issue certificates for this name",
            ),
        ]
    }

    fn bad_chains(&self) -> Vec<Row> {
        let other = Self::new();
        let impostor = {
            let key = KeyPair::from_pem(&std::fs::read_to_string(other.pki.file("ca.key")).unwrap()).unwrap();
            let named = std::fs::read_to_string(self.pki.file("ca.pem")).unwrap();
            Issuer::from_ca_cert_pem(&named, key).unwrap()
        };
        let key = KeyPair::generate().unwrap();
        let by_impostor = params(&Odd::default()).signed_by(&key, &impostor).unwrap();
        let by_impostor = shown(vec![by_impostor.der().clone()], &key);
        let own = params(&Odd::default()).self_signed(&key).unwrap();
        let headless = self.under(&Odd::default(), &of_ca, &usual);
        let headless = Arc::new(CertifiedKey::new(headless.cert[..1].to_vec(), Arc::clone(&headless.key)));
        let leaf_as_ca = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let no_further = |params: &mut CertificateParams| {
            of_ca(params);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        };
        vec![
            ("another CA", other.leaf(&Odd::default(), &usual), "was not issued by a CA of ca_file"),
            ("a CA of the same name, made anew", by_impostor, "was the CA made anew"),
            ("signed by itself", shown(vec![own.der().clone()], &key), "ca_file must hold that issuer"),
            ("without its intermediate", headless, "or the KME must send the chain"),
            (
                "issued by a certificate that is no CA's",
                self.under(&Odd::default(), &leaf_as_ca, &usual),
                "no CA's has issued it",
            ),
            ("a chain longer than allowed", self.two_below(&no_further), "longer than its CA allows"),
            (
                "a CA's certificate",
                self.leaf(&Odd::default(), &|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
                "is that of a CA",
            ),
            ("the CA itself", self.pki.certified("ca"), "is that of a CA"),
            ("another key than the certificate's", self.thief(), "does not have its private key"),
        ]
    }

    /// A leaf below two intermediates.
    fn two_below(&self, first: Change<'_>) -> Shown {
        let keys = [0; 3].map(|_| KeyPair::generate().unwrap());
        let [first_key, second_key, key] = keys;
        let upper = with(&Odd::default(), first);
        let upper_cert = upper.signed_by(&first_key, &self.ca).unwrap();
        let upper = Issuer::new(upper, first_key);
        let lower = with(&Odd::default(), &|p| {
            of_ca(p);
            p.distinguished_name = name("second intermediate CA");
        });
        let lower_cert = lower.signed_by(&second_key, &upper).unwrap();
        let cert = params(&Odd::default()).signed_by(&key, &Issuer::new(lower, second_key)).unwrap();
        shown(vec![cert.der().clone(), lower_cert.der().clone(), upper_cert.der().clone()], &key)
    }

    fn thief(&self) -> Shown {
        let (certificate, key) = (self.pki.certified("KME-A"), self.pki.certified("KME-B"));
        Arc::new(CertifiedKey::new(certificate.cert.clone(), Arc::clone(&key.key)))
    }

    fn bad_purposes_and_bytes(&self) -> Vec<Row> {
        let only = |purpose: Eku| self.leaf(&Odd { purpose, ..Odd::default() }, &usual);
        let for_clients = |params: &mut CertificateParams| {
            of_ca(params);
            params.extended_key_usages = vec![Eku::ClientAuth];
        };
        let strange = |params: &mut CertificateParams| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions = vec![extension];
        };
        self.pki.version_1("v1");
        let flip = |der: &mut Vec<u8>, at: usize| *der.get_mut(at).unwrap() ^= 1;
        vec![
            ("for clients only", only(Eku::ClientAuth), "lacks serverAuth"),
            ("for signing code only", only(Eku::CodeSigning), "lacks serverAuth"),
            ("for any purpose, which names none", only(Eku::Any), "lacks serverAuth"),
            (
                "its intermediate is for clients only",
                self.under(&Odd::default(), &for_clients, &usual),
                "lacks serverAuth",
            ),
            ("X.509 v1", self.pki.certified("v1"), "X.509 v1"),
            ("an unknown critical extension", self.leaf(&Odd::default(), &strange), "critical extension"),
            (
                "its signature changed",
                self.mangled(|der| {
                    let last = der.len() - 1;
                    flip(der, last);
                }),
                "is not signed by",
            ),
            (
                "its name changed after signing",
                self.mangled(|der| {
                    let at = der.windows(5).rposition(|w| w == b"KME-A").unwrap();
                    flip(der, at + 4);
                }),
                "is not signed by",
            ),
            ("cut short", self.mangled(|der| der.truncate(100)), "not a readable X.509 certificate"),
            ("bytes after its end", self.mangled(|der| der.push(0)), "not well-formed"),
            (
                "no certificate but noise",
                self.mangled(|der| *der = (0..200).collect()),
                "not a readable X.509 certificate",
            ),
        ]
    }

    fn good(&self) -> Vec<Row> {
        let extended = self.under(&Odd::default(), &of_ca, &usual);
        let stranger = Self::new();
        let many = [extended.cert.clone(), vec![self.root(), stranger.root()]].concat();
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let names: Vec<SanType> = (0..40).map(|n| SanType::IpAddress([10, 0, 0, n].into())).collect();
        vec![
            ("with an intermediate", Arc::clone(&extended), ""),
            (
                "with the root and a stranger's in its chain",
                Arc::new(CertifiedKey::new(many, Arc::clone(&extended.key))),
                "",
            ),
            ("two intermediates", self.two_below(&of_ca), ""),
            ("ECDSA P-384", self.leaf_of(p384, &Odd::default(), &usual), ""),
            ("Ed25519", self.leaf_of(ed25519, &Odd::default(), &usual), ""),
            ("without any purpose", self.leaf(&Odd::default(), &|p| p.extended_key_usages = Vec::new()), ""),
            (
                "for servers and clients",
                self.leaf(&Odd::default(), &|p| p.extended_key_usages = vec![Eku::ClientAuth, Eku::ServerAuth]),
                "",
            ),
            ("valid for a century", self.leaf(&dated(-10_000, 36_500), &usual), ""),
            (
                "forty other addresses first",
                self.leaf(&Odd::default(), &move |p| {
                    p.subject_alt_names = [names.clone(), p.subject_alt_names.clone()].concat()
                }),
                "",
            ),
            ("without a subject", self.leaf(&Odd::default(), &|p| p.distinguished_name = DistinguishedName::new()), ""),
            (
                "an unknown extension that is not critical",
                self.leaf(&Odd::default(), &|p| {
                    p.custom_extensions =
                        vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0])]
                }),
                "",
            ),
        ]
    }

    /// A stub that shows this certificate is asked for a key; whether it saw the request.
    async fn ask(&self, shown: &Shown, change: impl FnOnce(&mut Reach)) -> (Result<(), SourceFailure>, bool) {
        let act = Act::Answer(http(200, "", &keys(&["k-0"])));
        let stub = Stub::start(tls(Arc::clone(shown), rustls::DEFAULT_VERSIONS), move |_| act.clone()).await;
        let mut setup = setup(&self.pki, stub.address, "SAE-A", "SAE-B");
        change(&mut setup.reach);
        let outcome = new_key(&mut source(setup)).await.map(|_| ());
        (outcome, !stub.requests().is_empty())
    }

    /// What is wrong with how this certificate is refused.
    async fn refuses(&self, (name, shown, words): &Row, change: impl FnOnce(&mut Reach)) -> Option<String> {
        let (outcome, was_asked) = self.ask(shown, change).await;
        let is_right = |failure: &SourceFailure| failure.reason == Reason::Unreachable && failure.text.contains(words);
        (was_asked || !outcome.as_ref().is_err_and(is_right))
            .then(|| format!("{name}: {outcome:?}, asked: {was_asked}"))
    }
}

#[tokio::test]
async fn bad_certificates_of_kmes_are_refused_before_any_request() {
    let authority = Authority::new();
    let mut rows = authority.bad_dates_and_names();
    rows.extend(authority.bad_chains());
    rows.extend(authority.bad_purposes_and_bytes());
    let mut wrong = Vec::new();
    for row in &rows {
        wrong.extend(authority.refuses(row, |_| {}).await);
    }
    let old_ca = authority.pki.write("old-ca.pem", OLD_CA.as_bytes());
    let old = [
        ("a SHA-1 signature", stored(SHA1, OLD_KEY), "no longer accepted"),
        ("an issuer with 1024 bits of RSA", stored(WEAK_ISSUER, OLD_KEY), "an RSA key of less than 2048 bits"),
    ];
    for row in &old {
        wrong.extend(authority.refuses(row, |reach| reach.ca_file = old_ca.clone()).await);
    }
    let named = ("another server_name", authority.leaf(&Odd::default(), &usual), "expected server_name \"KME-Z\"");
    wrong.extend(authority.refuses(&named, |reach| reach.server_name = Some("KME-Z".to_owned())).await);
    let pinned = ("another pin", authority.leaf(&Odd::default(), &usual), "is not the pinned one");
    wrong.extend(authority.refuses(&pinned, |reach| reach.pin_sha256 = Some([7; 32])).await);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() + old.len() + 2 >= 25, "{}", rows.len());
}

#[tokio::test]
async fn odd_but_good_certificates_of_kmes_are_accepted() {
    let authority = Authority::new();
    let rows = authority.good();
    for (name, shown, _) in &rows {
        let (outcome, _) = authority.ask(shown, |_| {}).await;
        outcome.unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
    }
    assert!(rows.len() >= 6);
    let old_ca = authority.pki.write("old-ca.pem", OLD_CA.as_bytes());
    let both = std::fs::read_to_string(authority.pki.file("ca.pem")).unwrap() + OLD_CA;
    let both = authority.pki.write("both.pem", both.as_bytes());
    for ca_file in [old_ca, both] {
        let (outcome, _) = authority.ask(&stored(OLD_GOOD, OLD_KEY), |reach| reach.ca_file = ca_file).await;
        outcome.expect("an RSA CA, alone and beside another");
    }
}

/// What a KME makes of our certificate: name, changes, and the words of the refusal (none: it lets us in).
#[tokio::test]
async fn bad_certificates_of_ours_are_refused_by_the_kme_and_odd_ones_are_not() {
    let authority = Authority::new();
    let server = serve(&authority.pki, STILL, "").await;
    let ours = || Odd { cn: "SAE-A", san: &[], purpose: Eku::ClientAuth, ..Odd::default() };
    let other = Authority::new();
    let rows: Vec<(&str, &Authority, Odd, Change<'_>, &str)> = vec![
        ("another CA", &other, ours(), &usual, "does not know the CA"),
        ("expired", &authority, Odd { valid: (-9, -1), ..ours() }, &usual, "it has expired"),
        ("not valid yet", &authority, Odd { valid: (2, 9), ..ours() }, &usual, "it is not valid yet"),
        ("for servers only", &authority, Odd { purpose: Eku::ServerAuth, ..ours() }, &usual, "refuses our certificate"),
        ("without a CN", &authority, ours(), &|p| p.distinguished_name = DistinguishedName::new(), "no CN"),
        ("of a SAE that is not registered", &authority, Odd { cn: "SAE-X", ..ours() }, &usual, "not registered"),
        ("of the other site's SAE", &authority, Odd { cn: "SAE-B", ..ours() }, &usual, "swapped"),
        ("without any purpose", &authority, ours(), &|p| p.extended_key_usages = Vec::new(), ""),
        ("with names", &authority, Odd { san: &["10.1.1.1", "hq.example"], ..ours() }, &usual, ""),
        (
            "of another organisation",
            &authority,
            ours(),
            &|p| p.distinguished_name.push(rcgen::DnType::OrganizationName, "x"),
            "",
        ),
    ];
    for (name, authority_of, odd, change, words) in rows {
        let key = KeyPair::generate().unwrap();
        let cert = with(&odd, change).signed_by(&key, &authority_of.ca).unwrap();
        let mut setup = site(&authority.pki, &server, 0);
        setup.reach.cert_file = authority.pki.write("own.pem", cert.pem().as_bytes());
        setup.reach.key_file = authority.pki.write("own.key", key.serialize_pem().as_bytes());
        match new_key(&mut source(setup)).await {
            Ok(_) => assert!(words.is_empty(), "{name} was let in"),
            Err(failure) => assert!(
                !words.is_empty() && failure.reason == Reason::Refused && failure.text.contains(words),
                "{name}: {failure:?}"
            ),
        }
    }
}
