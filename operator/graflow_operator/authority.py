"""The authority as one replica knows it, and the certificate that this replica shows.

The authority is kept in a Secret of the operator's own namespace, where every replica finds it. The
certificate is in the memory of one process, which makes itself another long before it ends: new
connections get the new one, and those that are open are left alone.
"""

import base64
import logging
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from graflow.api import names
from graflow_operator import certificates, metrics
from graflow_operator.certificates import Authorities, KeyPair, Lifetimes
from graflow_operator.cluster import SECRETS, Cluster, Object
from graflow_operator.cluster_errors import AlreadyExistsError, ConflictError, NotFoundError
from graflow_operator.keys import secret_labels
from graflow_operator.master import SecretUnusableError
from graflow_operator.settings import Settings

RENEW_AT = 2 / 3
"""Part of a certificate's life after which there is another one."""

SIGNING, SIGNING_KEY = "signing.crt", "signing.key"
NEXT, NEXT_KEY = "next.crt", "next.key"
PREVIOUS, CROSSES, BUNDLE, CHANGED = "previous.crt", "crosses.crt", "ca.crt", "changed-at"
log = logging.getLogger(__name__)


class Authority:
    """Whom clients of the runner API are told to trust, and what they are shown.

    Args:
        cluster: Where the Secret is.
        settings: Names, addresses and lifetimes.
        clock: Seconds since the epoch.
    """

    def __init__(self, cluster: Cluster, settings: Settings, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._name = names.of_instance(names.CA_SECRET, settings.instance)
        self._kept: Authorities | None = None
        self._renew_at = 0.0
        self.lifetimes = Lifetimes(settings.ca_s, settings.certificate_s, settings.settle_s)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """For the HTTP server; shows this replica's certificate as it is at the moment."""

        self.context.set_alpn_protocols(["http/1.1"])

    @property
    def ca_pem(self) -> str:
        """The certificates to trust, PEM: one, and a second one while that is rotated.

        It changes while the process runs: what hands it out looks again.
        """
        return self._kept.bundle if self._kept else ""

    async def refresh(self, *, leads: bool = False) -> None:
        """Read the Secret, make it if there is none, and show a certificate that it vouches for.

        Args:
            leads: Whether this is the replica that rotates; one that has ended any replaces.

        Raises:
            SecretUnusableError: If the Secret is there and holds something else.
            ClusterError: If the API server does not let it be read, made or written.
        """
        kept = await self._read(leads=leads)
        now = self._clock()
        if kept != self._kept or now >= self._renew_at:
            self._show(kept, now)

    async def _read(self, *, leads: bool) -> Authorities:
        place = (SECRETS, self._settings.operator_namespace)
        while True:
            now = self._clock()
            try:
                secret = await self._cluster.get(*place, self._name)
            except NotFoundError:
                made = certificates.fresh(now, self.lifetimes)
                try:
                    await self._cluster.create(*place, self._secret(made))
                except AlreadyExistsError:
                    continue
                log.info("made an authority, %s", _words(made))
                return made
            kept = self._parsed(secret)
            asked = names.ANNOTATION_ROTATE in (secret["metadata"].get("annotations") or {})
            if not (leads or now >= certificates.ends_at(kept.signing.certificate)):
                return kept
            wanted = certificates.advanced(kept, now, self.lifetimes, asked=asked)
            if wanted == kept:
                return kept
            try:
                await self._cluster.replace(*place, self._name, self._secret(wanted, secret))
            except (ConflictError, NotFoundError):
                continue
            log.info("the authority is rotated: %s", _words(wanted))
            return wanted

    def _show(self, kept: Authorities, now: float) -> None:
        """Show a new certificate from now on."""
        settings = self._settings
        leaf = certificates.leaf(kept, hosts(settings), now, self.lifetimes)
        with _readable(leaf.certificate) as certificate, _readable(leaf.key) as key:
            self.context.load_cert_chain(certificate, key)
        end = certificates.ends_at(leaf.certificate)
        metrics.CERTIFICATE_ENDS.set(end, "server")
        metrics.CERTIFICATE_ENDS.set(certificates.ends_at(kept.signing.certificate), "authority")
        self._kept, self._renew_at = kept, now + (end - now) * RENEW_AT

    def _parsed(self, secret: Object) -> Authorities:
        try:
            data = {
                name: base64.b64decode(text).decode()
                for name, text in (secret.get("data") or {}).items()
            }
            found = Authorities(
                KeyPair(data[SIGNING], data[SIGNING_KEY]),
                float(data.get(CHANGED) or 0.0),
                KeyPair(data[NEXT], data[NEXT_KEY]) if data.get(NEXT) else None,
                data.get(PREVIOUS, ""),
                tuple(certificates.split(data[CROSSES])) if data.get(CROSSES) else (),
            )
            found.check()
        except (KeyError, ValueError, TypeError) as error:
            raise SecretUnusableError(
                f"Secret {self._settings.operator_namespace}/{self._name} holds no authority"
                f" ({type(error).__name__}); delete it, and a new one is made (pods that run do not"
                " know that one, and their attempts are made again)"
            ) from None  # the chain could show a key
        return found

    def _secret(self, kept: Authorities, old: Object | None = None) -> Object:
        """Return the Secret that keeps it; who has asked for a rotation is answered by this."""
        metadata: Object = {
            "name": self._name,
            "namespace": self._settings.operator_namespace,
            "labels": secret_labels(),
        }
        if old is not None:
            metadata = dict(old["metadata"])
            metadata.pop("managedFields", None)
            notes = dict(metadata.get("annotations") or {})
            if kept.next:
                notes.pop(names.ANNOTATION_ROTATE, None)
            metadata["annotations"] = notes
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "Opaque",
            "data": {name: base64.b64encode(text.encode()).decode() for name, text in _data(kept)},
        }


def hosts(settings: Settings) -> list[str]:
    """Return the names and addresses at which this replica is reached."""
    found = {urlsplit(url).hostname or "" for url in (settings.advertise, settings.replica_url)}
    if service := settings.tls_service:
        namespace = settings.operator_namespace
        places = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
        found |= {service + place for place in places}
    return sorted(found - {""})


def _data(kept: Authorities) -> Iterator[tuple[str, str]]:
    yield SIGNING, kept.signing.certificate
    yield SIGNING_KEY, kept.signing.key
    yield BUNDLE, kept.bundle
    yield CHANGED, str(kept.changed_at)
    if kept.next:
        yield NEXT, kept.next.certificate
        yield NEXT_KEY, kept.next.key
    if kept.previous:
        yield PREVIOUS, kept.previous
    if kept.crosses:
        yield CROSSES, "".join(kept.crosses)


def _words(kept: Authorities) -> str:
    signing = f"{certificates.fingerprint(kept.signing.certificate)[:16]} signs"
    if kept.next:
        return f"{signing}, {certificates.fingerprint(kept.next.certificate)[:16]} will"
    return signing


@contextmanager
def _readable(text: str) -> Iterator[str]:
    """Give a path at which a text can be read once, without a file on any disk."""
    out, into = os.pipe()
    try:
        os.set_blocking(into, False)
        os.write(into, text.encode())  # a pipe holds more than any chain of ours
        os.close(into)
        yield f"/dev/fd/{out}"
    finally:
        os.close(out)
