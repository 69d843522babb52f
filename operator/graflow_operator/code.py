"""The code of one run: fetched once; and why it cannot be had, or used, in words."""

from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator.bundles import Bundle, BundleUnusableError
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.parts import Parts
from graflow_operator.program import Program, unfit


class Code:
    """The bundle that a run's functions are in, if it has one."""

    def __init__(self, parts: Parts, namespace: str) -> None:
        self._parts = parts
        self._namespace = namespace
        self.bundle: Bundle | None = None
        self.missing: Error | None = None
        """Why the run waits for it."""

        self.unusable: Error | None = None
        """Why the run cannot go on."""

    def is_needed(self, program: Program) -> bool:
        """Whether the program's code is still to be had."""
        return program.spec.bundle is not None and self.bundle is None

    async def fetch(self, program: Program) -> None:
        """Get the code, unless that was done.

        Raises:
            ClusterError: If the API server does not say whether there is such a bundle.
        """
        ref = program.spec.bundle
        if ref is None or self.bundle is not None or self.unusable is not None:
            return
        try:
            bundle = await self._parts.bundle(self._namespace, ref.name, ref.sha256)
        except BundleUnusableError as error:
            self.unusable = error.error
        except NotFoundError:
            words = f"there is no CodeBundle {ref.name!r} in namespace {self._namespace!r} yet"
            self.missing = Error(reasons.BUNDLE_MISSING, words)
        else:
            self.bundle, self.missing = bundle, None
            self.unusable = unfit(program, bundle, self._parts.settings.runner_pythons)
