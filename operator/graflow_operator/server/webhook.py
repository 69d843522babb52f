"""How the API server comes to believe the admission webhook: the CA in its configuration, or files.

The chart makes the configuration, without a CA, and does not know one. The operator puts its own
authority there, and again whenever that was rotated or the chart was installed anew. Where
cert-manager does both, the certificate comes from a folder.
"""

import base64
import logging
import ssl
from pathlib import Path

from graflow_operator.cluster import WEBHOOKS, Cluster, Object
from graflow_operator.cluster_errors import ClusterError, ConflictError, InvalidError
from graflow_operator.server import admission_api
from graflow_operator.server.app import application
from graflow_operator.server.listener import Listener
from graflow_operator.server.replica import Replica
from graflow_operator.settings import ADMISSION_PORT

ROUND_S = 15.0
"""Between two looks at the configuration, in seconds."""

FIRST_ROUND_S = 2.0
"""The same while this replica does not lead: it may soon."""

CERTIFICATE, KEY = "tls.crt", "tls.key"
log = logging.getLogger(__name__)


class Webhook:
    """A ValidatingWebhookConfiguration, by its name."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._told = ""

    async def trust(self, ca_pem: str) -> None:
        """Have the API server trust these certificates, PEM; what hinders that is only logged."""
        words = ""
        try:
            if await self._write(base64.b64encode(ca_pem.encode()).decode()):
                log.info("webhook configuration %s: trusts our authority", self._name)
        except (ConflictError, InvalidError):
            return  # somebody changed it meanwhile; the next round sees that
        except ClusterError as error:
            words = f"{error}; until then nobody is asked when Workflows are created"
        if words and words != self._told:
            log.warning("webhook configuration %s: %s", self._name, words)
        self._told = words

    async def _write(self, bundle: str) -> bool:
        found = await self._cluster.get(WEBHOOKS, None, self._name)
        version = found["metadata"]["resourceVersion"]
        wrong = [
            number
            for number, webhook in enumerate(found.get("webhooks") or ())
            if webhook["clientConfig"].get("caBundle") != bundle
        ]
        if not wrong:
            return False
        guard: Object = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        changes = [
            {"op": "add", "path": f"/webhooks/{number}/clientConfig/caBundle", "value": bundle}
            for number in wrong
        ]
        await self._cluster.patch_json(WEBHOOKS, None, self._name, [guard, *changes])
        return True


class MountedCertificate:
    """A server's certificate in a folder, as cert-manager keeps it in a Secret that is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shown = b""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """For the HTTP server; while there is no certificate nobody can agree on keys with it."""

        self.context.set_alpn_protocols(["http/1.1"])

    def refresh(self) -> bool:
        """Show what is in the folder now; return whether that is another certificate."""
        certificate, key = self._folder / CERTIFICATE, self._folder / KEY
        try:
            found = certificate.read_bytes()
            if found == self._shown:
                return False
            self.context.load_cert_chain(certificate, key)
        except OSError as error:  # an SSLError is one too: half of a pair that is being replaced
            log.warning("certificate for admission in %s: %s", self._folder, error)
            return False
        self._shown = found
        return True


async def stay_asked(replica: Replica) -> None:
    """See to it that the API server can ask this replica, until cancelled."""
    parts, settings = replica.parts, replica.parts.settings
    webhook = Webhook(parts.cluster, settings.webhook) if settings.webhook else None
    mounted = listener = None
    if settings.admission_folder:
        mounted = MountedCertificate(Path(settings.admission_folder))
        app = application(replica, (admission_api.ROUTES,))
        listener = Listener(app, mounted.context)
        await listener.open(settings.listen_host, ADMISSION_PORT)
    try:
        while webhook or mounted:
            leads = replica.keeper.leads()
            # One replica writes: another one may not have heard of a rotation yet.
            if webhook and parts.ca_pem and leads:
                await webhook.trust(parts.ca_pem)
            if mounted:
                mounted.refresh()
            await parts.sleep(ROUND_S if leads else FIRST_ROUND_S)
    finally:
        if listener:
            await listener.close()
