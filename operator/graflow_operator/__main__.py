"""`python -m graflow_operator`: run the operator, in a cluster or beside one."""

import asyncio
import gc
import logging
import os
import sys

from graflow.store import StoreError
from graflow_operator import connection, logs, settings
from graflow_operator.master import SecretUnusableError
from graflow_operator.process import Process

EXIT_USAGE = 2
EXIT_FAILED = 1
RECURSION = 25_000
"""Deep enough to read any object that an API server keeps, which is nested 10 000 deep at most:
one that could not be read would hide all others of its list. JSON that deep takes 4 MB of stack."""

YOUNG_OBJECTS = 50_000
"""Made since the last collection, until the next one. Each commit makes some for whatever is alive
and drops them again; after 700 of these Python would begin to walk through states of megabytes."""

log = logging.getLogger("graflow_operator")


def main() -> int:
    """Run the operator and return its exit code."""
    try:
        # Read once for --help and typing errors, before anything is looked for.
        settings.parser(os.environ).parse_args(sys.argv[1:])
        found = connection.find()
        chosen = settings.read(sys.argv[1:], os.environ, namespace=found.namespace)
    except (settings.SettingsError, connection.ConnectionUnknownError) as error:
        sys.stderr.write(f"graflow_operator: {error}\n")
        return EXIT_USAGE
    logs.set_up(chosen.log_format, chosen.log_level)
    sys.setrecursionlimit(RECURSION)
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        asyncio.run(_run(chosen, found))
    except (StoreError, SecretUnusableError) as error:
        log.error("%s", error)  # noqa: TRY400 - the message says what to do; a traceback would not
        return EXIT_FAILED
    return 0


async def _run(chosen: settings.Settings, found: connection.Connection) -> None:
    await Process(chosen, found).run()


if __name__ == "__main__":
    sys.exit(main())
