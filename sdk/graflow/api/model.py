"""What all models of the Kubernetes API have in common."""

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

PRESERVE = "x-kubernetes-preserve-unknown-fields"
RULES = "x-kubernetes-validations"


class SpecModel(BaseModel):
    """Base of every model that users write. Field docstrings become the CRD's descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        use_attribute_docstrings=True,
        # A traceback in a log must not show what somebody wrote into `env`.
        hide_input_in_errors=True,
    )

    def manifest(self) -> dict[str, Any]:
        """Return the JSON that the API server gets: camelCase, without what is the default."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class ResourceModel(SpecModel):
    """Base of the kinds."""

    def manifest(self) -> dict[str, Any]:
        """Return the JSON that the API server gets, apiVersion and kind first."""
        head = self.model_dump(mode="json", by_alias=True, include={"api_version", "kind"})
        return head | super().manifest()


class StatusModel(SpecModel):
    """Base of what the operator writes; fields of a newer operator are passed over."""

    model_config = ConfigDict(extra="ignore")

    def manifest(self) -> dict[str, Any]:
        """Return the JSON that the API server gets: camelCase, without what is not known."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
"""Id of a task or a group: any text."""

ObjectName: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
"""Name of a Kubernetes object. It becomes part of a path: what is no name must not get there."""

Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
"""SHA-256 in lower-case hex."""

SegmentName: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]{1,20}-[0-9a-f]{64}$", max_length=85)]
"""Name of an object of the store that holds what came up to a sequence number."""

Time: TypeAlias = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
"""Moment in RFC 3339, UTC."""

UtcTime: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$",
        max_length=30,
    ),
]
"""Moment in RFC 3339 and in UTC, without other offsets; a text for validation rules too, which can
put it into their messages."""

AnyObject: TypeAlias = Annotated[dict[str, Any], Field(json_schema_extra={PRESERVE: True})]
"""A JSON object that is passed on as it is."""

ValueRef: TypeAlias = AnyObject
"""A value: {json: …} or {pickle: base64} inline, {blob: {sha256, size, encoding}} in the store,
or {group: {member: value}}. In a status one that an API server would change is also, or only, there
as the text of its JSON: {exact: "…"}, which then counts."""
