"""Questions and answers in a folder: files that are whole or absent."""

import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from graflow.dsl.feedback import FeedbackRequest, FeedbackResponse
from graflow.local.inbox import FeedbackBackend, newest

FOLDER: Final = "feedback_data"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What is the name of a file, and of no other folder's."""


class FilesystemFeedbackBackend(FeedbackBackend):
    """`requests/<id>.json` and `responses/<id>.json` in a folder that is made when it is needed.

    Args:
        data_dir: The folder.
    """

    def __init__(self, data_dir: str | os.PathLike[str] = FOLDER) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.requests_dir = self.data_dir / "requests"
        self.responses_dir = self.data_dir / "responses"

    def store_request(self, request: FeedbackRequest) -> None:
        """Keep a question, or what has become of it."""
        with _draft(self.requests_dir, request.to_dict()) as draft:
            draft.replace(self._file(self.requests_dir, request.feedback_id))

    def get_request(self, feedback_id: str) -> FeedbackRequest | None:
        """Return a question; one that has an answer is completed, whatever its file says."""
        found = self._read(self.requests_dir, feedback_id)
        if found is None:
            return None
        request = FeedbackRequest.from_dict(found)
        if self.get_response(feedback_id) is not None:
            request.status = "completed"
        return request

    def store_response(self, response: FeedbackResponse) -> None:
        """Keep an answer, unless there is one.

        Raises:
            FileExistsError: If there is one.
        """
        with _draft(self.responses_dir, response.to_dict()) as draft:
            os.link(draft, self._file(self.responses_dir, response.feedback_id))

    def get_response(self, feedback_id: str) -> FeedbackResponse | None:
        """Return the answer to a question; None: there is none yet."""
        found = self._read(self.responses_dir, feedback_id)
        return None if found is None else FeedbackResponse.from_dict(found)

    def list_pending_requests(self, session_id: str | None = None) -> list[FeedbackRequest]:
        """Return the questions that wait for an answer, of one run or of all."""
        return [one for one in newest(self._all(), session_id) if one.status == "pending"]

    def list_requests(
        self, session_id: str | None = None, n_recent: int = 100
    ) -> list[FeedbackRequest]:
        """Return the latest questions, the newest first, of one run or of all."""
        return newest(self._all(), session_id, n_recent)

    @contextmanager
    def deciding(self, feedback_id: str) -> Iterator[None]:
        """Keep every other process of this machine from deciding a question meanwhile."""
        del feedback_id
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go of with the file
            yield

    def _all(self) -> list[FeedbackRequest]:
        found = (self.get_request(file.stem) for file in self.requests_dir.glob("*.json"))
        return [one for one in found if one is not None]

    def _read(self, folder: Path, feedback_id: str) -> Mapping[str, Any] | None:
        with contextlib.suppress(FileNotFoundError):
            found: Mapping[str, Any] = json.loads(self._file(folder, feedback_id).read_bytes())
            return found
        return None

    @staticmethod
    def _file(folder: Path, feedback_id: str) -> Path:
        if not _ID.fullmatch(feedback_id):
            raise FileNotFoundError(f"{feedback_id!r} is no id of a question")
        return folder / f"{feedback_id}.json"


@contextmanager
def _draft(folder: Path, content: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a file that holds it and that nobody else knows; it is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{secrets.token_hex(8)}"
    try:
        with draft.open("xb") as opened:
            opened.write(json.dumps(content, indent=2, ensure_ascii=False).encode())
            opened.flush()
            os.fsync(opened.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
