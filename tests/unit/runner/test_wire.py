"""What servers and what stands between may answer: every legal form, and every broken one."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graflow_runner import wire
from graflow_runner.wire import UnreachableError, exchange


def answered(reply):
    """Let a socket give this reply to one request, and return what was read and what was sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen = bytearray()

        def serve():
            peer, _ = server.accept()
            with peer:
                while b"\r\n\r\n" not in seen:
                    seen.extend(peer.recv(65536))
                peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            port = server.getsockname()[1]
            return exchange("GET", f"http://127.0.0.1:{port}/a/b?X=secret"), bytes(seen)
        finally:
            thread.join()


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello and more",
        b"HTTP/1.0 200\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;note=x\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"
        ),
    ],
)
def test_every_form_of_a_body_is_read(reply):
    answer, sent = answered(reply)
    assert (answer.status, answer.body) == (200, b"hello")
    assert sent.startswith(b"GET /a/b?X=secret HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    ],
)
def test_a_broken_answer_is_no_answer_and_shows_no_signature(reply):
    with pytest.raises(UnreachableError, match="no answer from http://127") as caught:
        answered(reply)
    assert "secret" not in str(caught.value)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_chunks_come_together_again(chunks):
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answered(head + body + b"0\r\n\r\n")[0].body == b"".join(chunks)


def test_a_header_cannot_carry_another():
    with pytest.raises(UnreachableError, match="line break"):
        exchange("GET", "http://127.0.0.1:9/", headers={"X": "a\r\nY: b"})


def test_a_url_is_shown_without_its_query_and_its_password():
    assert wire.bare("https://me:pw@s3.example/b/k?X-Amz-Signature=abc") == "https://s3.example/b/k"
