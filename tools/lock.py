"""Write requirements.lock (what users install) and requirements-dev.lock (what CI tests)."""

import subprocess
import sys

COMMON = (
    *("--generate-hashes", "--no-emit-index-url", "--python-version", "3.11", "--universal"),
    *("--quiet", "--upgrade", "--custom-compile-command", "make lock"),
)


def compile_lock(output: str, *options: str) -> None:
    """Resolve pyproject.toml into a lock with hashes."""
    uv = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--extra", "operator"]
    subprocess.run([*uv, *COMMON, *options, "-o", output], check=True)


if __name__ == "__main__":
    compile_lock("requirements.lock")
    compile_lock("requirements-dev.lock", "--group", "dev", "-c", "requirements.lock")
