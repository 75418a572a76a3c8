//! Requests, what is refused, and that a pair fits whenever the machine stops.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::GeneralName,
    prelude::{FromDer as _, ParsedExtension},
};

use super::*;
use crate::{
    peer::{PeerName, TrustDomain},
    testing::{CertSpec, CertUsage, TestCa},
    time::{SettableClock, SharedClock, SignedDuration, Timestamp},
    tls::{ServerTls, TlsFiles},
};

fn domain() -> TrustDomain {
    "exampleshire.example".parse().unwrap()
}

fn own() -> PeerName {
    domain().agency("CSC".parse().unwrap())
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A program with a certificate in use, and its authority.
struct Place {
    folder: tempfile::TempDir,
    ca: TestCa,
    files: TlsFiles,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = TestCa::new(domain());
        let files = ca.agency(&"CSC".parse().unwrap()).write(&ca, folder.path(), "node");
        Self { folder, ca, files }
    }

    fn request(&self) -> PathBuf {
        let request =
            Request { name: own(), hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()] };
        write_request(&request, &self.files.private_key).unwrap()
    }

    /// What the authority makes of the request that waits, as it is or spoilt.
    fn signed(&self, ca: &TestCa, spoil: impl FnOnce(&mut CertSpec)) -> PathBuf {
        let mut spec = ca.spec(&own());
        spoil(&mut spec);
        let key = fs::read_to_string(next_key(&self.files.private_key)).unwrap();
        let path = self.folder.path().join("signed.pem");
        fs::write(&path, ca.issue_for(&spec, &key)).unwrap();
        path
    }

    fn install(&self, file: &std::path::Path) -> Result<Installed, NotInstalled> {
        install(file, &self.files, &own(), now())
    }

    /// The fingerprint of what is in use, which fits: a server takes it.
    fn in_use(&self) -> crate::peer::Fingerprint {
        let clock: SharedClock = Arc::new(SettableClock::at(now()));
        ServerTls::load(self.files.clone(), domain(), clock).unwrap();
        let chain = read_chain(&self.files.certificate).unwrap();
        describe(&chain[0]).unwrap().fingerprint
    }
}

#[test]
fn a_request_asks_for_our_name_and_hosts_and_its_key_is_private() {
    let place = Place::new();
    let path = place.request();
    assert_eq!(path, place.folder.path().join("node.csr"));
    let key = next_key(&place.files.private_key);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let (_, pem) = x509_parser::pem::parse_x509_pem(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(pem.label, "CERTIFICATE REQUEST");
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).unwrap();
    let info = &request.certification_request_info;
    let public = &info.subject_pki.subject_public_key.data;
    ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_ASN1, public)
        .verify(info.raw, &request.signature_value.data)
        .unwrap();
    let mut names = Vec::new();
    for extension in request.requested_extensions().unwrap() {
        if let ParsedExtension::SubjectAlternativeName(all) = extension {
            for name in &all.general_names {
                names.push(match name {
                    GeneralName::URI(uri) => (*uri).to_owned(),
                    GeneralName::DNSName(name) => (*name).to_owned(),
                    GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
                    other => panic!("{other:?}"),
                });
            }
        }
    }
    assert_eq!(names, ["spiffe://exampleshire.example/agency/CSC", "localhost", "[127, 0, 0, 1]"]);
    // The key in use is untouched, and another request is for another key.
    place.in_use();
    let before = fs::read(&key).unwrap();
    place.request();
    assert_ne!(fs::read(&key).unwrap(), before);
}

#[test]
fn nothing_is_asked_for_without_a_host_or_with_what_is_none() {
    let place = Place::new();
    for hosts in [vec![], vec!["a b"], vec!["https://a"], vec!["a:7443"], vec!["a"; 33]] {
        let request =
            Request { name: own(), hosts: hosts.iter().map(|host| (*host).to_owned()).collect() };
        assert!(write_request(&request, &place.files.private_key).is_err(), "{hosts:?}");
        assert!(!next_key(&place.files.private_key).exists());
    }
    let request = Request { name: own(), hosts: vec!["localhost".to_owned()] };
    let first = write_first(&request, &place.files.private_key);
    assert!(matches!(first, Err(RequestError::Exists(_))));
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let place = Place::new();
    place.request();
    let before = place.in_use();
    let other_ca = TestCa::new(domain());
    let day = SignedDuration::from_hours(24);
    type Spoil = fn(&mut CertSpec);
    let cases: [(&str, &TestCa, Spoil); 10] = [
        ("certificate_of_another", &place.ca, |spec| {
            spec.uris = vec!["spiffe://exampleshire.example/agency/POL".to_owned()];
        }),
        ("certificate_of_another", &place.ca, |spec| {
            spec.uris = vec!["spiffe://exampleshire.example/hub".to_owned()];
        }),
        ("certificate_of_other_domain", &place.ca, |spec| {
            spec.uris = vec!["spiffe://other.example/agency/CSC".to_owned()];
        }),
        ("certificate_without_name", &place.ca, |spec| spec.uris.clear()),
        ("certificate_is_authority", &place.ca, |spec| spec.authority = true),
        ("certificate_expired", &place.ca, |spec| spec.valid_until = now()),
        ("certificate_usage", &place.ca, |spec| spec.usages = vec![CertUsage::Server]),
        ("certificate_usage", &place.ca, |spec| spec.usages = vec![CertUsage::Client]),
        ("certificate_without_host", &place.ca, |spec| {
            spec.dns_names.clear();
            spec.addresses.clear();
        }),
        ("certificate_unknown_authority", &other_ca, |_| {}),
    ];
    for (code, ca, spoil) in cases {
        let refused = place.install(&place.signed(ca, spoil)).unwrap_err();
        assert_eq!(refused.refused(), Some(code), "{refused}");
        assert_eq!(place.in_use(), before, "{code}");
    }
    let early = place.signed(&place.ca, |spec| spec.valid_from = now() + day);
    assert_eq!(place.install(&early).unwrap_err().refused(), Some("certificate_not_yet_valid"));
    // Good in every way, but for the key of somebody else.
    let other_key = place.folder.path().join("other.pem");
    fs::write(&other_key, place.ca.agency(&"CSC".parse().unwrap()).certificate_pem).unwrap();
    assert_eq!(
        place.install(&other_key).unwrap_err().refused(),
        Some("certificate_for_another_key")
    );
    // What can not be read is a failure, not a refusal.
    for bytes in [
        &b""[..],
        b"no certificate",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        fs::write(&other_key, bytes).unwrap();
        assert!(place.install(&other_key).is_err());
    }
    assert!(place.install(&place.folder.path().join("none")).unwrap_err().refused().is_none());
    assert_eq!(place.in_use(), before);
    assert!(next_key(&place.files.private_key).exists());
}

#[test]
fn a_revoked_certificate_is_refused_and_so_is_one_that_no_current_list_covers() {
    let mut place = Place::new();
    place.request();
    let list = place.folder.path().join("crl.pem");
    place.files.crls = Some(list.clone());
    let file = place.signed(&place.ca, |_| {});
    fs::write(&list, place.ca.crl_until(&[], now() - SignedDuration::from_hours(1))).unwrap();
    let refused = place.install(&file).unwrap_err();
    assert_eq!(refused.refused(), Some("certificate_revocation_unknown"), "{refused}");
    fs::write(&list, place.ca.crl_of_pem(&fs::read_to_string(&file).unwrap())).unwrap();
    assert_eq!(place.install(&file).unwrap_err().refused(), Some("certificate_revoked"));
    // A list that is no list is no reason to take anything.
    fs::write(&list, "nothing").unwrap();
    assert!(place.install(&file).unwrap_err().refused().is_none());
    fs::write(&list, place.ca.crl(&[])).unwrap();
    place.install(&file).unwrap();
}

#[test]
fn a_new_key_and_its_certificate_are_installed_together_and_the_former_pair_is_kept() {
    let place = Place::new();
    let former = fs::read(&place.files.private_key).unwrap();
    for round in 1..=3 {
        let before = place.in_use();
        place.request();
        let file = place.signed(&place.ca, |spec| spec.dns_names.clear());
        let installed = place.install(&file).unwrap();
        assert!(installed.with_new_key);
        assert_eq!(installed.hosts_lost.is_empty(), round > 1);
        assert_ne!(place.in_use(), before);
        assert!(!next_key(&place.files.private_key).exists());
        assert!(!place.folder.path().join("node.csr").exists());
        let mode = fs::metadata(&place.files.private_key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let kept = place.folder.path().join("node.key.pairs/1/private.key");
    assert_eq!(fs::read(kept).unwrap(), former);
    // A longer certificate for the same key needs no request.
    let key = fs::read_to_string(&place.files.private_key).unwrap();
    let mut spec = place.ca.spec(&own());
    spec.valid_until = now() + SignedDuration::from_hours(9_000);
    let file = place.folder.path().join("longer.pem");
    fs::write(&file, place.ca.issue_for(&spec, &key)).unwrap();
    assert!(!place.install(&file).unwrap().with_new_key);
    assert_eq!(
        describe(&read_chain(&place.files.certificate).unwrap()[0]).unwrap().expires,
        spec.valid_until
    );
}

#[test]
fn the_first_certificate_is_installed_for_the_key_that_init_made() {
    let place = Place::new();
    fs::remove_file(&place.files.private_key).unwrap();
    fs::remove_file(&place.files.certificate).unwrap();
    let request = Request { name: own(), hosts: vec!["localhost".to_owned()] };
    write_first(&request, &place.files.private_key).unwrap();
    let key = fs::read_to_string(&place.files.private_key).unwrap();
    let file = place.folder.path().join("signed.pem");
    fs::write(&file, place.ca.issue_for(&place.ca.spec(&own()), &key)).unwrap();
    assert!(!place.install(&file).unwrap().with_new_key);
    place.in_use();
    assert!(!place.folder.path().join("node.csr").exists());
}

#[test]
fn wherever_it_is_stopped_the_pair_in_use_fits_and_running_it_again_does_the_rest() {
    for adopted in [false, true] {
        for stop in Step::ALL {
            let place = Place::new();
            if adopted {
                place.request();
                place.install(&place.signed(&place.ca, |_| {})).unwrap();
            }
            let former = place.in_use();
            place.request();
            let file = place.signed(&place.ca, |_| {});
            let mut came = Vec::new();
            let stopped = install_watched(&file, &place.files, &own(), now(), &mut |step| {
                came.push(step);
                // Also while it goes on, not at its end alone.
                place.in_use();
                if step == stop { Err(io::Error::other("killed")) } else { Ok(()) }
            });
            if stopped.is_ok() {
                // An installation after the first has fewer steps.
                assert!(adopted && stop < Step::NewWritten && !came.contains(&stop), "{stop:?}");
                continue;
            }
            assert_eq!(came.last(), Some(&stop));
            let left = place.in_use();
            assert_eq!(left == former, stop < Step::Exchanged, "{stop:?}");
            if stop == Step::Forgotten {
                continue;
            }
            place.install(&file).unwrap();
            assert_ne!(place.in_use(), former);
            assert!(!next_key(&place.files.private_key).exists());
        }
    }
}
