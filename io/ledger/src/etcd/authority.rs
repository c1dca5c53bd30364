//! An authority for tests, and whom it has given certificates. Other crates' tests take this file, too.
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair};

/// Files with certificates and keys, as PEM, in a folder of its own.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), issuer }
    }

    /// The file with its own certificate.
    pub(crate) fn certificate(&self) -> String {
        self.file("authority", &self.issuer.pem())
    }

    /// The files with a certificate and its key, for both ends of a connection.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // With a common name etcd's gateway answers nobody once it has users.
        params.distinguished_name = DistinguishedName::new();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            self.file(&format!("{name}.pem"), &certificate.pem()),
            self.file(&format!("{name}.key"), &key.serialize_pem()),
        )
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}
