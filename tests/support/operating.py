"""The operator's process, forked from one that has imported all that it needs.

It is the operator from its `main` on; what it saves is the two seconds of processor time in which
Python reads a few hundred modules, longer than it lives where it is killed every other second.
"""

import importlib
import multiprocessing
import os
import random
import sys
from pathlib import Path

import pytest

IMPORTED = (
    "boto3",
    "graflow_operator.authority",
    "graflow_operator.process",
    "kopf",
    "kubernetes.client",
    "kubernetes.config",
)
"""Of these the operator imports some only when it needs them."""

for name in IMPORTED:
    importlib.import_module(name)
sys.modules["boto3"].client("s3", region_name="us-east-1")  # reads what it knows of S3, once

TESTS = str(Path(__file__).parents[1])
_forking = multiprocessing.get_context("forkserver")


def started(words, environ, log):
    """Start an operator and return its process.

    Args:
        words: Its command line.
        environ: More of its environment.
        log: Path of the file that it logs to.
    """
    _forking.set_forkserver_preload(["__main__", __name__])
    process = _forking.Process(target=_operate, args=(words, environ, str(log)), daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", TESTS)  # the server does not look where we do
        process.start()
    return process


def _operate(words, environ, log):
    with Path(log).open("a") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ.update(environ)
    sys.argv = ["graflow_operator", *words]
    random.seed()  # else all of them draw the same lots
    sys.exit(importlib.import_module("graflow_operator.__main__").main())
