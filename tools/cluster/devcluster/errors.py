"""What stops the tools here, as one sentence for the person at the terminal."""


class ClusterError(Exception):
    """The command cannot go on; the message says why and what to do."""
