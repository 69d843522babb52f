"""Ten megabytes from task to task: too much for an object of Kubernetes, little for a store."""

import hashlib
import random

from graflow import task, workflow

SIZE = 10 * 1024 * 1024


@task
def produce():
    return random.Random(1).randbytes(SIZE)  # noqa: S311 - no secret


@task
def digest(produce):
    return {"bytes": len(produce), "sha256": hashlib.sha256(produce).hexdigest()}


with workflow("large-value") as wf:
    produce >> digest

if __name__ == "__main__":
    found = wf.execute()
    print(f"{found['bytes']} bytes, sha256 {found['sha256'][:16]}")
