"""Identities of classes that go by value: the same program gives the same ones every time."""

import hashlib
import sys
from pathlib import Path
from typing import Any

from cloudpickle import cloudpickle as _cloudpickle


def name_class(found: type) -> None:
    """Give a class the identity under which cloudpickle knows it again, unless it has one.

    cloudpickle gives every class that goes by value a random identity, so that an object that
    comes back from a pod is one of the very class that this process has. Made from the program's
    text instead, the identity is the same in every process, and so is the bundle.
    """
    # cloudpickle's own names: it has no other way to say this. Without them, it chooses itself.
    by_class: Any = getattr(_cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", None)
    by_id: Any = getattr(_cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", None)
    lock: Any = getattr(_cloudpickle, "_DYNAMIC_CLASS_TRACKER_LOCK", None)
    if by_class is None or by_id is None or lock is None:
        return
    identity = _identity(found)
    with lock:
        # A second class of that name, as a notebook or a factory makes, is another class.
        if found not in by_class and identity not in by_id:
            by_class[found] = identity
            by_id[identity] = found


def _identity(found: type) -> str:
    file = getattr(sys.modules.get(found.__module__), "__file__", None)
    try:
        text = Path(file).read_bytes() if isinstance(file, str) else b""
    except OSError:
        text = b""
    name = f"{found.__module__}\n{found.__qualname__}\n".encode()
    return hashlib.sha256(name + text).hexdigest()[:32]
