"""As much of S3 as the store asks for, in memory, without a look at signatures."""

from collections.abc import MutableMapping
from urllib.parse import unquote

from aiohttp import web

from support.faulty_proxy import Answer

XML = {"Content-Type": "application/xml"}


class SmallS3:
    """Answers requests for the objects of one bucket."""

    def __init__(self, bucket: str) -> None:
        self.objects: MutableMapping[str, bytes] = {}
        self.ignores_conditions = False
        self._bucket = bucket

    def __call__(  # noqa: PLR0911 - as many answers as there are
        self, request: web.BaseRequest, body: bytes
    ) -> Answer:
        bucket, _, key = unquote(request.path.removeprefix("/")).partition("/")
        if bucket != self._bucket:
            return _error(404, "NoSuchBucket")
        match request.method:
            case "PUT":
                unless = "If-None-Match" in request.headers and not self.ignores_conditions
                if unless and key in self.objects:
                    return _error(412, "PreconditionFailed")
                self.objects[key] = body
                return Answer(200)
            case "DELETE":
                self.objects.pop(key, None)
                return Answer(204)
            case _ if not key:
                return self._list(request.query.get("prefix", ""))
            case _ if key not in self.objects:
                return _error(404, "NoSuchKey")
            case _:
                return Answer(200, {}, self.objects[key])

    def _list(self, prefix: str) -> Answer:
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        listed = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
        return Answer(200, XML, text.encode())


def _error(status: int, code: str) -> Answer:
    text = f"<Error><Code>{code}</Code><Message>{code}.</Message></Error>"
    return Answer(status, XML, text.encode())
