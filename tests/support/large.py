"""Programs of very many tasks, whose plans are in their bundles, as `submit` makes them."""

import base64
import hashlib
import io
import json
import zipfile

BUNDLE = "code-large"
MADE_BY = {"pythonVersion": "3.11", "cloudpickleVersion": "3.1.2"}
FUNCTION = {"function": "work"}


def names(number):
    """Names of so many tasks, as long as a generated program may make them."""
    return [f"{'transform-of-a-rather-long-name' * 2}-{n:05}" for n in range(number)]


def chain(number):
    """Tasks one after the other."""
    found = names(number)
    before = [[], *([name] for name in found)]
    return {
        "tasks": [{"name": n, **FUNCTION, "after": b} for n, b in zip(found, before, strict=False)]
    }


def fan(number):
    """Tasks side by side, and one that waits for all of them."""
    found = names(number - 1)
    tasks = [{"name": name, **FUNCTION} for name in found]
    return {"tasks": [*tasks, {"name": "sink", **FUNCTION, "after": found}]}


def group(number):
    """The same as one parallel group."""
    found = names(number - 1)
    tasks = [{"name": name, **FUNCTION} for name in found]
    return {
        "tasks": [*tasks, {"name": "sink", **FUNCTION, "after": ["all"]}],
        "groups": [{"name": "all", "members": found}],
    }


def loop(number):
    """One task that runs again and again."""
    return {"tasks": [{"name": "again", **FUNCTION, "maxIterations": number + 1}]}


SHAPES = {"chain": chain, "fan": fan, "group": group, "loop": loop}


def bundle(plan):
    """Return the CodeBundle with a plan, and its hash."""
    data = io.BytesIO()
    manifest = {"format": 2, "python": "3.11", "functions": {"0" * 64: ["work"]}}
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("plan.json", json.dumps(plan))
    sha256 = hashlib.sha256(data.getvalue()).hexdigest()
    text = base64.b64encode(data.getvalue()).decode()
    body = {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "CodeBundle",
        "metadata": {"name": BUNDLE},
        "spec": {"sha256": sha256, "size": len(data.getvalue()), **MADE_BY, "zip": text},
    }
    return body, sha256


def spec(sha256, **more):
    """Return the spec of a run of it."""
    most = {"maxSteps": 100_000, "parallelism": 20}
    return {"bundle": {"name": BUNDLE, "sha256": sha256}, **most, **more}
