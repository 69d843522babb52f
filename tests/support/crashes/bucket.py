"""A store in memory that tells who looks on of every change, and has addresses for its objects."""

from graflow.store.memory import MemoryStore

SCHEME = "memory:"


class Bucket(MemoryStore):
    def __init__(self):
        super().__init__()
        self.touched = ""
        """Key of the last change."""

        self.on_change = lambda verb, key: None

    def names(self):
        return set(self._objects)

    def put(self, key, data):
        self.touched = key
        super().put(key, data)
        self.on_change("put", key)

    def put_if_absent(self, key, data):
        self.touched = key
        if key in self._objects:
            return False
        super().put(key, data)
        self.on_change("put", key)
        return True

    def delete(self, key):
        self.touched = key
        super().delete(key)
        self.on_change("delete", key)

    def presign(self, method, key, *, expires_s, only_if_absent=False):
        return SCHEME + key

    def credentials_last_s(self):
        return None
