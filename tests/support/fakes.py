"""A cluster in memory: optimistic locking, owners, finalizers, and a log of every write."""

import asyncio
import itertools
import pickle
from dataclasses import dataclass, field

from graflow_operator.cluster_errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NotFoundError,
)

HANGS = object()
"""The log of a pod whose kubelet does not answer."""


@dataclass
class FakeCluster:
    """What every client of one cluster sees."""

    objects: dict = field(default_factory=dict)
    writes: list = field(default_factory=list)
    versions: itertools.count = field(default_factory=lambda: itertools.count(1))
    on_pod: object = None
    on_trial: object = None
    """Given a body that is only tried, returns the error that it meets, or None."""
    tried: list = field(default_factory=list)
    users: dict = field(default_factory=dict)
    """Names by token."""
    groups: dict = field(default_factory=dict)
    """Groups by name of a user."""
    rights: set = field(default_factory=set)
    """(user, verb, namespace, name) of those who may do that to other things than Workflows."""
    logs: dict = field(default_factory=dict)
    """What pods have printed, by name, or an error."""
    readers: set = field(default_factory=set)
    """(user, namespace, workflow) of those who may get a Workflow."""

    def _key(self, kind, namespace, name):
        return kind.plural, namespace, name

    def peek(self, kind, namespace, name):
        return self.objects.get(self._key(kind, namespace, name))

    def all(self, kind):
        return [o for (plural, _, _), o in self.objects.items() if plural == kind.plural]

    async def get(self, kind, namespace, name):
        found = self.peek(kind, namespace, name)
        if found is None:
            raise NotFoundError(f"{kind.plural} {name!r} not found")
        return clone(found)

    async def find(self, kind, namespace, selector="", *, fields=""):
        terms = [term.partition("=") for term in selector.split(",") if term]
        wanted = [term.split("=") for term in fields.split(",") if term]
        return [
            clone(found)
            for found in self.all(kind)
            if namespace in (None, found["metadata"].get("namespace"))
            and all(at(found, path) == value for path, value in wanted)
            and all(selects(found["metadata"].get("labels", {}), *term) for term in terms)
        ]

    async def page(self, kind, namespace, selector="", *, most=500, place=""):
        found = await self.find(kind, namespace, selector)
        first = int(place or 0)
        after = first + most
        return found[first:after], str(after) if after < len(found) else ""

    async def create(self, kind, namespace, body):
        if kind.plural == "tokenreviews":
            user = self.users.get(body["spec"]["token"])
            who = {"username": user, "groups": self.groups.get(user, [])}
            status = {"authenticated": user is not None, "user": who}
            return {**body, "status": status}
        if kind.plural == "subjectaccessreviews":
            asked = body["spec"]["resourceAttributes"]
            place = body["spec"]["user"], asked["namespace"], asked["name"]
            if asked["resource"] == "workflows":
                allowed = place in self.readers
            else:
                allowed = (place[0], asked["verb"], *place[1:]) in self.rights
            return {**body, "status": {"allowed": allowed}}
        metadata = body["metadata"]
        key = self._key(kind, namespace, metadata["name"])
        if key in self.objects:
            raise AlreadyExistsError(f"{kind.plural} {metadata['name']!r} already exists")
        made = clone(body)
        made["metadata"] |= {
            "uid": f"uid-{next(self.versions)}",
            "namespace": namespace,
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        self._store(key, made)
        self.writes.append(("create", kind.plural, metadata["name"]))
        if kind.plural == "pods" and self.on_pod:
            self.on_pod(clone(made))
        return clone(made)

    async def try_create(self, kind, namespace, body):
        self.tried.append(clone(body))
        refusal = self.on_trial(body) if self.on_trial else None
        if refusal is not None:
            raise refusal

    async def replace(self, kind, namespace, name, body):
        found = await self.get(kind, namespace, name)
        self._guard(found, body)
        made = clone(body)
        made["metadata"]["uid"] = found["metadata"]["uid"]
        self._store(self._key(kind, namespace, name), made)
        self.writes.append(("replace", kind.plural, name))
        return clone(made)

    async def patch_status(self, kind, namespace, name, patch):
        found = await self.get(kind, namespace, name)
        self._guard(found, patch)
        found["status"] = clone(patch["status"])
        self._store(self._key(kind, namespace, name), found)
        self.writes.append(("patch_status", kind.plural, name))
        return clone(found)

    async def patch_json(self, kind, namespace, name, operations):
        found = await self.get(kind, namespace, name)
        for operation in operations:
            apply(found, operation)
        self._store(self._key(kind, namespace, name), found)
        self.writes.append(("patch_json", kind.plural, name))
        self._reap(kind, namespace, name)
        return clone(found)

    async def delete(self, kind, namespace, name, *, uid, version=None):
        found = await self.get(kind, namespace, name)
        if found["metadata"]["uid"] != uid:
            raise ConflictError("the UID in the precondition does not match")
        if version not in (None, found["metadata"]["resourceVersion"]):
            raise ConflictError("the ResourceVersion in the precondition does not match")
        found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._store(self._key(kind, namespace, name), found)
        self.writes.append(("delete", kind.plural, name))
        self._reap(kind, namespace, name)

    async def log(self, namespace, name, container, lines, most):
        found = self.logs.get(name, b"")
        if found is HANGS:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return found[-most:]

    # -- what kubelets, users and disasters do ------------------------------------------------

    def set_status(self, kind, namespace, name, status):
        found = self.peek(kind, namespace, name)
        found["status"] = status
        self._store(self._key(kind, namespace, name), found)
        return clone(found)

    def edit_spec(self, kind, namespace, name, **changes):
        found = self.peek(kind, namespace, name)
        found["spec"] |= changes
        found["metadata"]["generation"] += 1
        self._store(self._key(kind, namespace, name), found)
        return clone(found)

    def vanish(self, kind, namespace, name):
        return self.objects.pop(self._key(kind, namespace, name), None)

    def _reap(self, kind, namespace, name):
        metadata = self.peek(kind, namespace, name)["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self.vanish(kind, namespace, name)

    def _store(self, key, found):
        found["metadata"]["resourceVersion"] = str(next(self.versions))
        self.objects[key] = found

    def _guard(self, found, body):
        wanted = body["metadata"].get("resourceVersion")
        if wanted is not None and wanted != found["metadata"]["resourceVersion"]:
            raise ConflictError("the object has been modified")


WRITES = ("create", "replace", "patch_status", "patch_json", "delete")


class Client:
    """One process's way to the cluster, with faults on it."""

    def __init__(self, cluster, *, dies_at=None, dies_after=False):
        self._cluster = cluster
        self._dies_at = dies_at
        self._dies_after = dies_after
        self.effects = 0
        self.dead = asyncio.Event()
        self.faults = []
        """(verb, plural, "before" | "after", error), each used once."""

    def __getattr__(self, verb):
        call = getattr(self._cluster, verb)

        async def asked(kind, *arguments, **options):
            await asyncio.sleep(0)
            if self.dead.is_set():
                await asyncio.Event().wait()
            dying = False
            if verb in WRITES:
                self.effects += 1
                dying = self.effects == self._dies_at
                if dying and not self._dies_after:
                    await self._die()
            fault = next(
                (f for f in self.faults if f[:2] == (verb, getattr(kind, "plural", ""))), None
            )
            if fault:
                self.faults.remove(fault)
                if fault[2] == "after":
                    await call(kind, *arguments, **options)
                raise fault[3]
            answer = await call(kind, *arguments, **options)
            if dying:
                await self._die()
            return answer

        return asked

    async def _die(self):
        self.dead.set()
        await asyncio.Event().wait()


def clone(document):
    """Return a deep copy of a JSON document; `copy.deepcopy` takes four times as long."""
    return pickle.loads(pickle.dumps(document, pickle.HIGHEST_PROTOCOL))


def selects(labels, key, equal, value):
    """Whether labels are such as one term of a selector asks for."""
    if key.startswith("!"):
        return key[1:] not in labels
    return labels.get(key) == value if equal else key in labels


def at(document, path):
    """Return what is at a path such as `involvedObject.uid`."""
    for part in path.split("."):
        document = document.get(part, {})
    return document


def apply(document, operation):
    """Apply one operation of a JSON patch, as strictly as the API server does."""
    *path, last = operation["path"].strip("/").split("/")
    place = document
    for part in path:
        place = place[int(part) if isinstance(place, list) else part]
    match operation["op"]:
        case "test" if place.get(last) != operation["value"]:
            raise InvalidError(f"test failed at {operation['path']}")
        case "remove" if last not in place:
            raise InvalidError(f"nothing at {operation['path']}")
        case "remove":
            del place[last]
        case "add" | "replace":
            place[last] = clone(operation["value"])
