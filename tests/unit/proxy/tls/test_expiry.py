from cryptography import x509

from nodemesh.lab.certificates import Authority
from nodemesh.proxy.tls.expiry import first_end


def test_the_first_of_all_certificates_ends_first():
    authority = Authority()
    pair = authority.issue("reviews.example")
    ends = [
        x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
        for pem in (pair.certificate, authority.certificate)
    ]
    assert first_end([authority.certificate + pair.certificate, pair.key]) == min(ends)
    assert first_end([authority.certificate, b"", pair.key]) == ends[1]


def test_what_is_no_certificate_has_no_end():
    broken = b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"
    assert first_end([b"", broken]) is None
