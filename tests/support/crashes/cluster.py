"""A cluster in memory that lives: it tells of changes, collects garbage, and runs pods."""

from graflow_operator.cluster import PODS
from support.fakes import FakeCluster, clone


class LivingCluster(FakeCluster):
    """Tells `on_change(kind, plural, object)` of every change; kind as in a watch."""

    def __init__(self):
        super().__init__()
        self.on_change = lambda kind, plural, body: None

    def _store(self, key, found):
        kind = "MODIFIED" if key in self.objects else "ADDED"
        super()._store(key, found)
        self.on_change(kind, key[0], clone(found))

    def vanish(self, kind, namespace, name):
        found = super().vanish(kind, namespace, name)
        if found is not None:
            self.on_change("DELETED", kind.plural, clone(found))
            self._collect(found["metadata"]["uid"])
        return found

    def _collect(self, uid):
        """Delete what the object owned, as the garbage collector does."""
        for (plural, namespace, name), body in tuple(self.objects.items()):
            owners = body["metadata"].get("ownerReferences", ())
            if any(owner["uid"] == uid for owner in owners):
                self.delete_now(_Plural(plural), namespace, name)

    def delete_now(self, kind, namespace, name):
        """Delete as a user does who waits for nothing."""
        found = self.peek(kind, namespace, name)
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self._store(self._key(kind, namespace, name), found)
            self._reap(kind, namespace, name)

    def pods_of(self, uid):
        return [pod for pod in self.all(PODS) if _owner(pod) == uid]


class _Plural:
    def __init__(self, plural):
        self.plural = plural


def _owner(body):
    return next((o["uid"] for o in body["metadata"].get("ownerReferences", ())), "")
