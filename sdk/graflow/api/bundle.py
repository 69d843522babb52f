"""The `CodeBundle` resource: a program's code, named by what is in it."""

import io
import json
import zipfile
import zlib
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from graflow.api.model import RULES, ResourceModel, Sha256, SpecModel
from graflow.api.rules import rule
from graflow.api.workflow import ObjectMeta

FORMAT = 2
"""Version of the zip's layout."""

MANIFEST = "manifest.json"
"""In the zip: versions; `functions`, the ids of their tasks by the SHA-256 of their pickle;
`arguments`, offset and length by id."""

PLAN = "plan.json"
"""In the zip: tasks, groups, edges and start, as a spec says them."""

ARGUMENTS = "arguments.bin"
"""In the zip: pickles of the arguments bound to single tasks, one behind the other."""

MAX_RAW_BYTES = 64 * 1024 * 1024
"""Most that the zip may hold unpacked."""

MAX_BYTES = 512 * 1024
_MAX_BASE64 = MAX_BYTES * 4 // 3 + 4
_Version = Annotated[str, Field(min_length=1, max_length=40)]


DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, ValueError)
"""What reading a damaged zip raises. RuntimeError: encrypted, packed in a way that nobody knows, or
nested too deeply."""


class CodeBundleSpec(SpecModel):
    """The code. It cannot be changed; other code is another CodeBundle."""

    model_config = ConfigDict(
        json_schema_extra={
            RULES: [
                rule(
                    "self == oldSelf",
                    "a CodeBundle cannot be changed; other code is another CodeBundle",
                )
            ]
        }
    )

    sha256: Sha256
    """SHA-256 of the zip. The object is named code-<its first 40 characters>."""

    size: int = Field(ge=0, le=MAX_BYTES)
    """Bytes of the zip."""

    python_version: _Version
    """Python that the functions were pickled with, as 3.11; the runner must have the same."""

    cloudpickle_version: _Version
    """cloudpickle that the functions were pickled with."""

    # Not `format: byte`: the API server then reads it with the URL alphabet when it compares an old
    # and a new object, and refuses every change of the metadata over the first "+".
    zip: str = Field(max_length=_MAX_BASE64, pattern=r"^[A-Za-z0-9+/]*={0,2}$")
    """The zip, in base64: functions by value, and the files beside the program."""


class CodeBundle(ResourceModel):
    """The functions of a program and the files beside it. Made by the SDK, never by hand."""

    model_config = ConfigDict(
        json_schema_extra={
            RULES: [
                rule(
                    "self.metadata.name == 'code-' + self.spec.sha256.substring(0, 40)",
                    "a CodeBundle is named code-<first 40 characters of spec.sha256>",
                )
            ]
        }
    )

    api_version: Literal["graflow.dev/v1alpha1"] = "graflow.dev/v1alpha1"
    """Version of the API."""

    kind: Literal["CodeBundle"] = "CodeBundle"
    """Kind of the object."""

    metadata: ObjectMeta = ObjectMeta()
    """Name, labels and the rest, as of every object."""

    spec: CodeBundleSpec
    """The code."""


class BundleDamagedError(Exception):
    """The zip of a bundle does not hold what it should."""


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object that the zip of a bundle holds under a name.

    Raises:
        BundleDamagedError: If there is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = archive.getinfo(name).file_size
            if size > MAX_RAW_BYTES:
                raise BundleDamagedError(f"{name} has {size} bytes and may have {MAX_RAW_BYTES}")
            found = json.loads(archive.read(name))
    except DAMAGES as error:
        raise BundleDamagedError(f"no usable {name}: {error}") from error
    if not isinstance(found, dict):
        raise BundleDamagedError(f"{name} is no JSON object")
    return found
