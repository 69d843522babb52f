"""Code bundles, as far as the operator looks into them: hash, manifest and plan.

Nothing of a user's code is ever imported or unpickled here.
"""

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graflow.api.bundle import FORMAT, MANIFEST, PLAN, BundleDamagedError, read_json
from graflow.machine import reasons
from graflow.machine.state import Error

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

    def plan(self) -> Mapping[str, Any]:
        """Return the tasks, groups, edges and start that are in it, as a spec says them.

        Raises:
            BundleUnusableError: If there are none.
        """
        try:
            return read_json(self.data, PLAN)
        except BundleDamagedError as error:
            words = f"spec.tasks is empty, and the bundle {self.sha256} has {error}"
            raise _corrupt(words) from error


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
        manifest = read_json(data, MANIFEST)
        if manifest["format"] != FORMAT:
            raise _corrupt(
                f"CodeBundle {name} has format {manifest['format']!r}, and this operator reads"
                f" {FORMAT}; submit the program with a graflow of the operator's version"
            )
        by_hash = manifest["functions"].items()
        functions = {str(task): str(sha) for sha, tasks in by_hash for task in tasks}
        return Bundle(sha256, data, str(manifest["python"]), functions)
    except (BundleDamagedError, KeyError, AttributeError, TypeError) as error:
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
