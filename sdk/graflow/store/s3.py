"""A store on anything that speaks S3. The only module that imports boto3."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from graflow.store.base import MOST_SIGNED_S, Method
from graflow.store.errors import (
    ObjectMissingError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)

CHUNK_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 10
TRIES = 3
"""Of one call, with a growing pause between them: half a minute if nobody answers."""

CONDITIONAL_TRIES = 5
"""AWS answers 409 while another conditional write of the same key is under way: ask again."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where a bucket is. Credentials are found as boto3 finds them."""

    bucket: str
    endpoint: str = ""
    """URL of the service; empty for AWS itself."""

    region: str = "us-east-1"

    def __str__(self) -> str:
        """Name it, for messages; without a password that a URL may have."""
        scheme, _, rest = self.endpoint.rpartition("://")
        place = f"{scheme}://{rest.rpartition('@')[2]}" if scheme else rest.rpartition("@")[2]
        return f"bucket {self.bucket!r} at {place or f'AWS S3, {self.region}'}"


class S3Store:
    """Objects in one bucket."""

    def __init__(self, location: S3Location, *, connections: int = 16) -> None:
        self._location = location
        self._bucket = location.bucket
        session = boto3.Session()
        self._credentials: Any = session.get_credentials()
        self._client: Any = session.client(
            "s3",
            endpoint_url=location.endpoint or None,
            region_name=location.region,
            config=Config(
                signature_version="s3v4",
                # Services beside AWS have no DNS name per bucket.
                s3={"addressing_style": "path" if location.endpoint else "auto"},
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                # "standard" tries once only, after fifty calls have failed, and long after that.
                retries={"total_max_attempts": TRIES, "mode": "legacy"},
                max_pool_connections=connections,
                # Trailing checksums are an AWS invention that other services refuse.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def get(self, key: str) -> bytes:
        """Return the object."""
        with self._explained(key):
            data: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            return data

    def chunks(self, key: str) -> Iterator[bytes]:
        """Return the object piece by piece."""
        with self._explained(key):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            yield from body.iter_chunks(CHUNK_BYTES)

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _status(error) != HTTPStatus.NOT_FOUND:
                raise self._translated(key, error) from error
            return self._size_by_get(key)
        except (BotoCoreError, ResponseParserError) as error:
            raise self._translated(key, error) from error
        size: int = head["ContentLength"]
        return size

    def _size_by_get(self, key: str) -> int | None:
        """Return the size where a HEAD says 404: whether for want of a bucket it cannot say."""
        try:
            with self._explained(key):
                found = self._client.get_object(Bucket=self._bucket, Key=key)
        except ObjectMissingError:
            return None
        found["Body"].close()
        size: int = found["ContentLength"]
        return size

    def put(self, key: str, data: bytes) -> None:
        """Write the object."""
        with self._explained(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one."""
        for _ in range(CONDITIONAL_TRIES):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                status = _status(error)
                if status == HTTPStatus.PRECONDITION_FAILED:
                    return False
                if status != HTTPStatus.CONFLICT:
                    raise self._translated(key, error) from error
            except (BotoCoreError, ResponseParserError) as error:
                raise self._translated(key, error) from error
            else:
                return True
        words = "others kept writing it at the same moment"
        raise StoreUnavailableError(f"object {key!r} in {self._location}: {words}")

    def copy(self, source: str, target: str) -> None:
        """Have the service copy an object: its bytes do not come here.

        Raises:
            StoreRefusedError: If it is larger than S3 copies in one piece, 5 GiB.
        """
        place = {"Bucket": self._bucket, "Key": source}
        with self._explained(source):
            self._client.copy_object(Bucket=self._bucket, Key=target, CopySource=place)

    def list(self, prefix: str) -> Iterator[str]:
        """Return the keys that begin with the prefix, in order."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._explained(prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield item["Key"]

    def delete(self, key: str) -> None:
        """Remove the object."""
        with self._explained(key):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def presign(
        self, method: Method, key: str, *, expires_s: int, only_if_absent: bool = False
    ) -> str | None:
        """Return a URL signed here, without asking the service."""
        call = "get_object" if method == "GET" else "put_object"
        params = {"Bucket": self._bucket, "Key": key}
        if only_if_absent:
            params["IfNoneMatch"] = "*"
        with self._explained(key):
            url: str = self._client.generate_presigned_url(call, Params=params, ExpiresIn=expires_s)
            return url

    def credentials_last_s(self) -> float | None:
        """Return for how many seconds temporary credentials are still good; None for lasting ones.

        A signature is worth nothing once the credentials that made it are over.
        """
        # botocore has no word for their end, but says of a time whether it comes before. To be
        # asked after something was signed: only then are they there.
        if not isinstance(self._credentials, RefreshableCredentials):
            return None
        end_within = self._credentials.refresh_needed
        return bisect_left(range(MOST_SIGNED_S), 1, key=end_within) - 1.0

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn what boto3 raises into the errors of a store."""
        try:
            yield
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise self._translated(key, error) from error

    def _translated(self, key: str, error: Exception) -> StoreError:
        """Return the store's error for one of boto3, by what all services agree on.

        Only a service that speaks of the key says that there is no such object. Whatever else
        answers 404, such as a proxy on the way, knows nothing of it.
        """
        words = f"object {key!r} in {self._location}: {error}"
        if isinstance(error, NoCredentialsError):
            return StoreRefusedError(f"{words}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        if not isinstance(error, ClientError):
            return StoreUnavailableError(words)
        status, code = _status(error), error.response.get("Error", {}).get("Code", "")
        if code == "NoSuchKey":
            return ObjectMissingError(key)
        if code == "NoSuchBucket" or (status in _REFUSALS and code not in _PASSING):
            return StoreRefusedError(words)
        return StoreUnavailableError(words)


_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST)
_PASSING = ("RequestTimeout",)
"""Codes that AWS sends as a 400, and that say nothing of the request."""


def _status(error: ClientError) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
