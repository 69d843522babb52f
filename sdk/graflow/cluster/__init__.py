"""A program's runs on a cluster: submit, watch, result, logs."""

from graflow.cluster.run import Run
from graflow.cluster.submit import submit
from graflow.cluster.values import Pickled

__all__ = ["Pickled", "Run", "submit"]
