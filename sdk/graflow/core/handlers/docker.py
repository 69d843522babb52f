"""The handler that is a pod here; needs no docker."""

from graflow.dsl.handler import DockerTaskHandler

__all__ = ["DockerTaskHandler"]
