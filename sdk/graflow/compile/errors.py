"""Why a program cannot be sent. Every one of them is found before anything is created.

* CompileError
  + FilesError            a file that should travel cannot
  + BundleTooLargeError   code and files are more than a CodeBundle holds
  + CaptureError          a task uses a variable that cannot travel
  + UnsupportedError      the program asks for what this version does not do on a cluster
"""

from graflow.exceptions import GraflowError


class CompileError(GraflowError):
    """The program cannot be made into a Workflow."""


class FilesError(CompileError):
    """A file that should travel with the program cannot."""


class BundleTooLargeError(CompileError):
    """Code and files are more than a CodeBundle holds."""


class CaptureError(CompileError):
    """A task uses a variable that cannot travel to a pod."""


class UnsupportedError(CompileError):
    """The program asks for something that this version does not do on a cluster."""
