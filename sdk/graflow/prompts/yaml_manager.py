"""Prompts in YAML files: `prompts/customer/mails.yaml` has those named `customer/…`.

welcome:
  type: text                # or chat: content is then a list of messages
  labels:
    production:
      content: "Hello {{name}}"
      version: 2            # 1 when left out
      metadata: {owner: sales}
"""

import os
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from graflow.exceptions import MissingPackageError, hint
from graflow.prompts.base import DEFAULT_LABEL, PromptManager
from graflow.prompts.exceptions import (
    PromptConfigurationError,
    PromptNotFoundError,
    PromptVersionNotFoundError,
)
from graflow.prompts.models import ChatPrompt, PromptVersion, TextPrompt

Folder = Mapping[str, Mapping[str, Mapping[int, PromptVersion]]]
"""The prompts of one folder: by name, label and version."""

Stamp = tuple[tuple[str, int, int], ...]
"""Names, times and sizes of a folder's files: what says whether it has changed."""


class YAMLPromptManager(PromptManager):
    """Reads prompts from a folder. A file that was changed is read again at once."""

    DEFAULT_TTL = 300
    DEFAULT_CACHE_MAXSIZE = 10_000

    def __init__(
        self,
        prompts_dir: str | Path | None = None,
        cache_ttl: int = DEFAULT_TTL,
        cache_maxsize: int = DEFAULT_CACHE_MAXSIZE,
    ) -> None:
        """Take where the prompts are.

        Args:
            prompts_dir: The folder; None: `$GRAFLOW_PROMPTS_DIR`, or else `./prompts`.
            cache_ttl: Seconds after which a folder is read again though no file looks changed;
                0: never.
            cache_maxsize: Folders that are kept in memory.
        """
        self.prompts_dir = Path(prompts_dir or os.environ.get("GRAFLOW_PROMPTS_DIR") or "prompts")
        self._ttl = cache_ttl
        self._most = cache_maxsize
        self._read: OrderedDict[str, tuple[float, Stamp, Folder]] = OrderedDict()
        self._mutex = Lock()

    def get_prompt(
        self,
        name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        cache_ttl_seconds: int | None = None,
    ) -> PromptVersion:
        """Return a version of a prompt; see `PromptManager`.

        Raises:
            PromptNotFoundError: If there is no prompt of that name.
            PromptVersionNotFoundError: If it has no such label or version.
            PromptConfigurationError: If a file beside it makes no sense.
        """
        ttl = self._ttl if cache_ttl_seconds is None else cache_ttl_seconds
        label = DEFAULT_LABEL if label is None else label
        prompts = self._folder(name.rpartition("/")[0], ttl)
        if name not in prompts:
            raise PromptNotFoundError(
                f"there is no prompt {name!r} in {self.prompts_dir}; {hint(name, prompts)}"
            )
        labels = prompts[name]
        if label not in labels:
            raise PromptVersionNotFoundError(
                f"prompt {name!r} has no label {label!r}; {hint(label, labels)}"
            )
        versions = labels[label]
        wanted = max(versions) if version is None else version
        if wanted not in versions:
            known = ", ".join(str(number) for number in sorted(versions))
            raise PromptVersionNotFoundError(
                f"prompt {name!r} has no version {wanted} with label {label!r}; there is {known}"
            )
        return versions[wanted]

    def _folder(self, folder: str, ttl: int) -> Folder:
        place = self.prompts_dir / folder
        if ".." in PurePosixPath(folder).parts:
            raise PromptNotFoundError(f"the folder {folder!r} leads out of {self.prompts_dir}")
        files = sorted(_files(place))
        found = [(file, file.stat()) for file in files]
        stamp = tuple((file.name, s.st_mtime_ns, s.st_size) for file, s in found)
        now = time.monotonic()
        with self._mutex:
            known = self._read.get(folder)
            if known is not None and known[1] == stamp and (ttl == 0 or now - known[0] < ttl):
                self._read.move_to_end(folder)
                return known[2]
            prompts = _read(files, f"{folder}/" if folder else "")
            self._read[folder] = now, stamp, prompts
            self._read.move_to_end(folder)
            while len(self._read) > max(1, self._most):
                self._read.popitem(last=False)
            return prompts

    def __getstate__(self) -> dict[str, Any]:
        """Travel as a place to read from, without what was read."""
        return {"prompts_dir": self.prompts_dir, "_ttl": self._ttl, "_most": self._most}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _read=OrderedDict(), _mutex=Lock())


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.glob("*.yaml")
        yield from folder.glob("*.yml")


def _read(files: list[Path], prefix: str) -> Folder:
    prompts: dict[str, dict[str, dict[int, PromptVersion]]] = {}
    for file in files:
        for key, entry in _document(file).items():
            name = f"{prefix}{key}"
            for label, found in _dict(entry.get("labels"), f"{file}: {key}: labels").items():
                where = f"{file}: {key}: {label}"
                made = _version(name, entry.get("type", "text"), label, _dict(found, where), where)
                number = made.version or 1
                if number in prompts.setdefault(name, {}).setdefault(label, {}):
                    raise PromptConfigurationError(
                        f"{where}: version {number} of prompt {name!r} with this label is there "
                        "already, in this file or one beside it"
                    )
                prompts[name][label][number] = made
    return prompts


def _document(file: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        import yaml  # noqa: PLC0415 - 20 ms that only those who read need
    except ImportError as error:
        raise MissingPackageError(
            "pyyaml", "reading prompts", "pip install graflow[prompts], in the task's image too"
        ) from error
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PromptConfigurationError(f"{file} is no YAML: {error}") from error
    document = _dict({} if found is None else found, str(file))
    # What is no dict is no prompt, such as a note of the file's own version.
    return {key: entry for key, entry in document.items() if isinstance(entry, dict)}


def _version(
    name: str, kind: object, label: str, found: Mapping[str, Any], where: str
) -> PromptVersion:
    content = found.get("content")
    version = found.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int):
        raise PromptConfigurationError(f"{where}: version is {version!r}; give a whole number")
    created_at = found.get("created_at")
    metadata = _dict(found.get("metadata") or {}, f"{where}: metadata")
    facts = (version, label, None if created_at is None else str(created_at), metadata)
    if kind == "text" and isinstance(content, str):
        return TextPrompt(name, content, *facts)
    if kind == "chat" and isinstance(content, list) and all(isinstance(m, dict) for m in content):
        return ChatPrompt(name, content, *facts)
    if kind in {"text", "chat"}:
        needed = "a text" if kind == "text" else "a list of messages"
        raise PromptConfigurationError(f"{where}: content is {content!r}; a {kind} has {needed}")
    raise PromptConfigurationError(f"{where}: type is {kind!r}; it is text or chat")


def _dict(found: object, where: str) -> Mapping[str, Any]:
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise PromptConfigurationError(f"{where} is {found!r}; it must be a dict of names")
    return found
