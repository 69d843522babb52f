"""The S3 server: a folder behind versitygw."""

import datetime as dt
import hashlib
import hmac
import secrets
import urllib.error
import urllib.request
from pathlib import Path

from devcluster import golang
from devcluster.layout import S3_BUCKET, S3_ENDPOINT, Layout

_REGION = "us-east-1"
_CONFLICT = 409


def write_credentials(layout: Layout) -> None:
    """Make the keys, and the file that tells programs and people about the server."""
    values = {
        "S3_ENDPOINT": S3_ENDPOINT,
        "S3_BUCKET": S3_BUCKET,
        "AWS_ACCESS_KEY_ID": "graflow",
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
        "AWS_ENDPOINT_URL": S3_ENDPOINT,
        "AWS_DEFAULT_REGION": _REGION,
    }
    layout.s3_env.touch(mode=0o600)
    layout.s3_env.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def _values(layout: Layout) -> dict[str, str]:
    pairs = (line.partition("=") for line in layout.s3_env.read_text().splitlines())
    return {name: value for name, _, value in pairs}


def command(layout: Layout) -> list[str | Path]:
    """Return the server's command line."""
    folder = layout.data / "s3"
    folder.mkdir(parents=True, exist_ok=True)
    address = S3_ENDPOINT.partition("://")[2]
    return [golang.VERSITYGW.folder / "versitygw", "--port", address, "posix", folder]


def environment(layout: Layout) -> dict[str, str]:
    """Return what the server reads its keys from."""
    values = _values(layout)
    return {
        "ROOT_ACCESS_KEY": values["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": values["AWS_SECRET_ACCESS_KEY"],
    }


def make_bucket(layout: Layout) -> bool:
    """Make the bucket unless it is there; return whether the server did it."""
    request = urllib.request.Request(f"{S3_ENDPOINT}/{S3_BUCKET}", method="PUT")
    for name, value in _signature(_values(layout)).items():
        request.add_header(name, value)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code == _CONFLICT
    except OSError:
        return False


def _signature(values: dict[str, str]) -> dict[str, str]:
    """Sign the bucket's PUT: AWS Signature Version 4, for an empty body.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    now = dt.datetime.now(dt.UTC)
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    empty = hashlib.sha256(b"").hexdigest()
    host = S3_ENDPOINT.partition("://")[2]
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": moment}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"PUT\n/{S3_BUCKET}\n\n{lines}\n{names}\n{empty}"
    scope = f"{day}/{_REGION}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    key = b"AWS4" + values["AWS_SECRET_ACCESS_KEY"].encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    who = f"Credential={values['AWS_ACCESS_KEY_ID']}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {who},SignedHeaders={names},Signature={key.hex()}"
    return headers
