"""The local host: runs a program in this process, driving the machine that clusters drive."""

from graflow.local.host import LocalHost

__all__ = ["LocalHost"]
