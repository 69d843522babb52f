"""What looks like a secret and therefore stays here unless it is named."""

from fnmatch import fnmatchcase
from pathlib import Path

# Names only, in lower case. A name that is also an everyday one (`id_mapping.csv`) is not in it.
SECRET_FILES = (
    ".env*",
    ".git-credentials",
    ".htpasswd",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    "*.jks",
    "*.kdbx",
    "*.key",
    "*.keystore",
    "*.kubeconfig",
    "*.p12",
    "*.pem",
    "*.pfx",
    "credentials*",
    "kubeconfig*",
    "secrets.json",
    "secrets.toml",
    "secrets.yaml",
    "secrets.yml",
    "service-account*.json",
)
SECRET_FOLDERS = (".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh")
PRIVATE_KEY = b"-----BEGIN "
HEAD_BYTES = 80


def is_secret_folder(name: str) -> bool:
    """Whether a folder of this name holds credentials by convention."""
    return name.lower() in SECRET_FOLDERS


def is_secret_name(name: str) -> bool:
    """Whether a file of this name holds credentials by convention."""
    low = name.lower()
    return _is_ssh_key(low) or any(fnmatchcase(low, pattern) for pattern in SECRET_FILES)


def holds_private_key(path: Path) -> bool:
    """Whether the file begins as a private key in PEM form does.

    Raises:
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return head.startswith(PRIVATE_KEY) and b"PRIVATE KEY" in head


def _is_ssh_key(low: str) -> bool:
    """`id_rsa`, `id_work_laptop`: ssh's names have no ending, those of data and modules do."""
    return low.startswith("id_") and "." not in low.removesuffix(".pub")
