"""Certificates of the runner API: an authority of our own, its successor, and leaves.

Pure but for the random numbers of new keys: what is due is computed from what is kept and the time.
Only who serves TLS imports this, since `cryptography` takes a tenth of a second.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

EARLY_S = 3600.0
"""Certificates are valid from this long before they are made: clocks of nodes differ."""

OVERLAP = 1 / 3
"""The last part of an authority's life, in which its successor takes over."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str

    @classmethod
    def of(cls, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Self:
        """Return the pair as texts."""
        form = serialization.PrivateFormat.PKCS8
        text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return cls(_pem(certificate), text.decode())

    def __repr__(self) -> str:
        return "KeyPair(…)"

    def check(self) -> None:
        """Raise ValueError if this is no certificate with its key."""
        if _public(_key(self).public_key()) != _public(_certificate(self.certificate).public_key()):
            raise ValueError("the key is not the certificate's")


@dataclass(frozen=True, slots=True)
class Authorities:
    """The authority that signs, and those that come and go while it is rotated.

    A new one is announced first: everybody who starts is told both. A while later it signs, with a
    certificate by the old one beside its own, so that a pod that knows only the old one still
    believes it until the old one's own end. Then the old one is told to nobody any more.
    """

    signing: KeyPair
    changed_at: float = 0.0
    """When the last step was made, in seconds since the epoch."""

    next: KeyPair | None = None
    """Announced, and signs nothing yet."""

    previous: str = ""
    """Certificate of the one before, while some replica may still show a leaf of it."""

    crosses: tuple[str, ...] = ()
    """Certificates of authorities by their predecessors that have not ended."""

    @property
    def bundle(self) -> str:
        """The certificates to trust, PEM."""
        announced = self.next.certificate if self.next else ""
        return self.signing.certificate + announced + self.previous

    def check(self) -> None:
        """Raise ValueError if something in it is not what it should be."""
        self.signing.check()
        if self.next:
            self.next.check()
        for text in (self.previous, *self.crosses):
            if text:
                _certificate(text)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last, in seconds."""

    authority_s: float
    leaf_s: float
    settle_s: float
    """Between two steps of a rotation: every replica has read the last one by then."""


def fresh(now: float, lifetimes: Lifetimes) -> Authorities:
    """Return an authority that nobody has heard of yet."""
    return Authorities(_authority(now, lifetimes.authority_s), now)


def advanced(
    kept: Authorities, now: float, lifetimes: Lifetimes, *, asked: bool = False
) -> Authorities:
    """Return what should be kept now: the same, or one step further.

    Args:
        kept: What is kept.
        now: Seconds since the epoch.
        lifetimes: When what is due.
        asked: Whether somebody wants a new authority before it is due.
    """
    ended = now >= ends_at(kept.signing.certificate)
    settled = now >= kept.changed_at + lifetimes.settle_s
    if kept.next is not None:
        return _switched(kept, kept.next, now) if settled or ended else kept
    if ended:
        return fresh(now, lifetimes)
    if kept.previous:
        return replace(kept, previous="", changed_at=now) if settled else kept
    if asked or now >= _due_at(kept.signing.certificate):
        return replace(kept, next=_authority(now, lifetimes.authority_s), changed_at=now)
    return kept


def leaf(kept: Authorities, hosts: Iterable[str], now: float, lifetimes: Lifetimes) -> KeyPair:
    """Return a server's certificate with all that a client needs to believe it.

    Args:
        kept: Whose signing authority signs it.
        hosts: DNS names and IP addresses at which the server is reached.
        now: Seconds since the epoch.
        lifetimes: How long it lasts; never longer than its authority.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(now + lifetimes.leaf_s, ends_at(kept.signing.certificate))
    builder = (
        _builder("graflow", key.public_key(), _certificate(kept.signing.certificate), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
    )
    made = KeyPair.of(builder.sign(_key(kept.signing), hashes.SHA256()), key)
    return replace(made, certificate=made.certificate + "".join(kept.crosses))


def ends_at(certificate: str) -> float:
    """Return when a certificate ends, in seconds since the epoch."""
    return _certificate(certificate).not_valid_after_utc.timestamp()


def fingerprint(certificate: str) -> str:
    """Return a certificate's SHA-256 in hex, by which people compare it."""
    return _certificate(certificate).fingerprint(hashes.SHA256()).hex()


def split(bundle: str) -> Sequence[str]:
    """Return the certificates of a bundle, each as PEM.

    Raises:
        ValueError: If it is none.
    """
    return [_pem(one) for one in x509.load_pem_x509_certificates(bundle.encode())]


def _switched(kept: Authorities, successor: KeyPair, now: float) -> Authorities:
    """Return the successor as the one that signs, its predecessor's word for it included."""
    new, old = _certificate(successor.certificate), _certificate(kept.signing.certificate)
    end = min(ends_at(successor.certificate), ends_at(kept.signing.certificate))
    alive = tuple(one for one in kept.crosses if now < ends_at(one))
    previous = ""
    if now < end:
        public = new.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - made by us
        cross = _of_authority(_builder(_subject(new), public, old, now, end))
        alive = (_pem(cross.sign(_key(kept.signing), hashes.SHA256())), *alive)
        previous = kept.signing.certificate
    return Authorities(successor, now, previous=previous, crosses=alive)


def _authority(now: float, lifetime_s: float) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    # Told apart by their names, as those who build a chain do it.
    name = f"graflow {x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]}"
    builder = _of_authority(_builder(name, key.public_key(), None, now, now + lifetime_s))
    return KeyPair.of(builder.sign(key, hashes.SHA256()), key)


def _of_authority(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    ).add_extension(_usage(signs_certificates=True), critical=True)


def _builder(
    name: str,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate | None,
    now: float,
    end: float,
) -> x509.CertificateBuilder:
    """Return what every certificate begins with; without an issuer it vouches for itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    by = own
    if issuer is not None:
        by = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    start = datetime.fromtimestamp(now, UTC) - timedelta(seconds=EARLY_S)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(datetime.fromtimestamp(end, UTC))
        .add_extension(own, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(by), critical=False
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _due_at(certificate: str) -> float:
    """Return when an authority's successor is to be announced."""
    found = _certificate(certificate)
    start = found.not_valid_before_utc.timestamp() + EARLY_S
    end = found.not_valid_after_utc.timestamp()
    return end - (end - start) * OVERLAP


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _subject(certificate: x509.Certificate) -> str:
    [name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def _key(pair: KeyPair) -> ec.EllipticCurvePrivateKey:
    found = serialization.load_pem_private_key(pair.key.encode(), password=None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not of an elliptic curve")  # noqa: TRY004 - a wrong value
    return found


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("the key is not of an elliptic curve")  # noqa: TRY004 - a wrong value
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def _certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
