"""The code of one run: fetched once; and why it cannot be had, or used, in words."""

import asyncio
from collections.abc import Mapping
from typing import Any

from graflow.api.runnable import needs_plan
from graflow.api.workflow import BundleRef
from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator.bundles import Bundle, BundleUnusableError
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.parts import Parts
from graflow_operator.program import Program, is_over_before_it_began, read, unfit, without_plan


class BundleAwaitedError(Exception):
    """The code is not there yet; the message says where it is looked for."""


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

    async def program_of(self, workflow: Mapping[str, Any]) -> Program:
        """Return the program of a Workflow, whose plan may be in the code.

        Raises:
            InvalidWorkflow: If it makes no sense.
            BundleUnusableError: If the code cannot be used.
            BundleAwaitedError: If it is not there yet.
            ClusterError: If the API server does not say whether it is there.
        """
        if not needs_plan(workflow):
            return read(workflow)
        ref = BundleRef.model_validate(workflow["spec"]["bundle"])
        try:
            plan = (self.bundle or await self._get(ref)).plan()
        except BundleAwaitedError:
            if is_over_before_it_began(workflow):
                return without_plan(workflow)
            raise
        # Ten thousand tasks take a second; meanwhile the other runs go on.
        return await asyncio.to_thread(read, workflow, plan)

    async def fetch(self, program: Program) -> None:
        """Get the code, unless that was done.

        Raises:
            ClusterError: If the API server does not say whether there is such a bundle.
        """
        ref = program.spec.bundle
        if ref is None or self.bundle is not None or self.unusable is not None:
            return
        try:
            self.bundle = await self._get(ref)
        except BundleUnusableError as error:
            self.unusable = error.error
        except BundleAwaitedError as error:
            self.missing = Error(reasons.BUNDLE_MISSING, str(error))
        else:
            self.missing = None
            self.unusable = unfit(program, self.bundle, self._parts.settings.runner_pythons)

    async def _get(self, ref: BundleRef) -> Bundle:
        try:
            return await self._parts.bundle(self._namespace, ref.name, ref.sha256)
        except NotFoundError as error:
            raise BundleAwaitedError(
                f"there is no CodeBundle {ref.name!r} in namespace {self._namespace!r} yet"
            ) from error
