"""Code bundles, as far as the operator looks into them: their hash and their manifest.

Nothing of a user's code is ever imported or unpickled here.
"""

import base64
import binascii
import hashlib
import io
import json
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graflow.machine import reasons
from graflow.machine.state import Error

MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 20
CACHE_BYTES = 64 << 20


class BundleUnusableError(Exception):
    """The run cannot go on with this bundle; `error` says why, in the machine's words."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose bytes are those that the Workflow names."""

    sha256: str
    data: bytes
    python: str
    """Minor version of the Python that made it, as 3.11."""

    functions: Mapping[str, str]
    """SHA-256 of each function's pickle, by the function's id."""


def opened(resource: Mapping[str, Any], sha256: str) -> Bundle:
    """Return the bundle in a CodeBundle object.

    Raises:
        BundleUnusableError: If it is not the one with this hash, or is damaged.
    """
    name, spec = resource["metadata"]["name"], resource.get("spec", {})
    try:
        data = base64.b64decode(spec.get("zip", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _corrupt(f"spec.zip of CodeBundle {name} is not base64: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise _corrupt(
            f"spec.bundle.sha256 is {sha256}, and the zip of CodeBundle {name} has {found};"
            " submit the program again"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
                raise _corrupt(f"{MANIFEST} of CodeBundle {name} is too large")
            manifest = json.loads(archive.read(MANIFEST))
        functions = {str(task): str(sha) for task, sha in manifest["functions"].items()}
        return Bundle(sha256, data, str(manifest["python"]), functions)
    except (zipfile.BadZipFile, KeyError, ValueError, AttributeError, TypeError) as error:
        raise _corrupt(f"CodeBundle {name} has no usable {MANIFEST}: {error!r}") from error


def _corrupt(words: str) -> BundleUnusableError:
    return BundleUnusableError(Error(reasons.BUNDLE_CORRUPT, words, retryable=False))


@dataclass
class Cache:
    """The bundles used last, by namespace and hash, up to a number of bytes in all."""

    limit: int = CACHE_BYTES
    _found: OrderedDict[tuple[str, str], Bundle] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, namespace: str, sha256: str) -> Bundle | None:
        """Return a bundle if it is remembered."""
        bundle = self._found.get((namespace, sha256))
        if bundle is not None:
            self._found.move_to_end((namespace, sha256))
        return bundle

    def put(self, namespace: str, bundle: Bundle) -> None:
        """Remember a bundle, and forget those that were used longest ago."""
        if (namespace, bundle.sha256) in self._found:
            return
        self._found[namespace, bundle.sha256] = bundle
        self._bytes += len(bundle.data)
        while self._bytes > self.limit and len(self._found) > 1:
            _, old = self._found.popitem(last=False)
            self._bytes -= len(old.data)
