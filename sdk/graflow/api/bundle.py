"""The `CodeBundle` resource: a program's code, named by what is in it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from graflow.api.model import RULES, ResourceModel, Sha256, SpecModel
from graflow.api.rules import rule
from graflow.api.workflow import ObjectMeta

MAX_BYTES = 512 * 1024
_MAX_BASE64 = MAX_BYTES * 4 // 3 + 4
_Version = Annotated[str, Field(min_length=1, max_length=40)]


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
