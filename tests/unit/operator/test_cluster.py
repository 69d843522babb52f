"""The client of the API server: every answer has its type, every request its limit."""

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from prometheus_client import REGISTRY

from graflow_operator import cluster
from graflow_operator.__main__ import RECURSION
from graflow_operator.cluster import LEASES, PODS, WORKFLOWS, ApiServer
from graflow_operator.cluster_errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    TooManyError,
    UnavailableError,
)
from graflow_operator.connection import Connection, ConnectionUnknownError, TokenFile, find


@asynccontextmanager
async def served(handle):
    """Return a client of an API server that answers like this."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as running:
        connection = Connection(str(running.make_url("")).rstrip("/"), None, lambda: "t0ken", "ns")
        client = ApiServer(connection, "replica-1")
        yield client
        await client.close()


@pytest.fixture
async def server():
    class Server:
        def __init__(self):
            self.answers, self.requests = [], []

        async def handle(self, request):
            body = await request.read()
            self.requests.append((request, json.loads(body) if body else None))
            status, answer, headers = self.answers.pop(0)
            return web.json_response(answer, status=status, headers=headers)

    found = Server()
    async with served(found.handle) as found.client:
        yield found


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (404, {"kind": "Status"}, NotFoundError),
        (404, {}, UnavailableError),
        (409, {"reason": "Conflict"}, ConflictError),
        (409, {"reason": "AlreadyExists"}, AlreadyExistsError),
        (409, {"message": "object is being deleted: pods x already exists"}, AlreadyExistsError),
        (410, {}, GoneError),
        (401, {}, ForbiddenError),
        (403, {"message": "exceeded quota"}, ForbiddenError),
        (422, {}, InvalidError),
        (429, {}, TooManyError),
        (500, {}, UnavailableError),
        (503, {}, UnavailableError),
        (504, {}, UnavailableError),
    ],
)
async def test_every_answer_has_its_type_and_keeps_the_api_servers_words(
    server, status, answer, error
):
    server.answers.append((status, answer, {}))
    with pytest.raises(error, match=answer.get("message", "HTTP") or "HTTP"):
        await server.client.create(PODS, "ns", {})


async def test_too_many_requests_says_when_to_come_again(server):
    server.answers.append((429, {}, {"Retry-After": "7"}))
    with pytest.raises(TooManyError) as caught:
        await server.client.get(PODS, "ns", "p")
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize("said", ["0", "-1", "nan"])
async def test_too_many_requests_never_means_to_come_again_at_once(server, said):
    server.answers.append((429, {}, {"Retry-After": said}))
    with pytest.raises(TooManyError) as caught:
        await server.client.get(PODS, "ns", "p")
    assert caught.value.retry_after_s > 0.1


async def test_nobody_there_means_that_nobody_knows():
    client = ApiServer(Connection(f"http://127.0.0.1:{unused_port()}", None, lambda: "", "ns"))
    with pytest.raises(UnavailableError, match=r"GET .*/pods/p"):
        await client.get(PODS, "ns", "p")
    await client.close()


async def test_the_lease_waits_behind_nobody(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECTIONS", 1)
    slow = asyncio.Event()

    async def handle(request):
        if "/pods/" in request.path:
            await slow.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as running:
        url = str(running.make_url("")).rstrip("/")
        client = ApiServer(Connection(url, None, lambda: "", "ns"))
        pods = [asyncio.create_task(client.get(PODS, "ns", "p")) for _ in range(5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await client.get(LEASES, "ns", "lease")
        assert not any(pod.done() for pod in pods)
        slow.set()
        await asyncio.gather(*pods)
        await client.close()


async def test_a_list_is_asked_for_in_chunks_and_begun_again_when_its_place_expired(server):
    page = {"items": [{"n": 1}], "metadata": {"continue": "more"}}
    last = {"items": [{"n": 2}], "metadata": {}}
    for status, answer in [(200, page), (410, {}), (200, page), (200, last)]:
        server.answers.append((status, answer, {}))
    assert await server.client.find(PODS, None, "a=b") == [{"n": 1}, {"n": 2}]
    queries = [dict(request.query) for request, _ in server.requests]
    assert [q.get("continue") for q in queries] == [None, "more", None, "more"]
    assert {q["labelSelector"] for q in queries} == {"a=b"}
    assert server.requests[0][0].path == "/api/v1/pods"


async def test_a_status_is_written_whole_and_only_at_the_version_it_was_made_for(server):
    server.answers.append((200, {}, {}))
    patch = {"metadata": {"resourceVersion": "7"}, "status": {"result": {"json": None}}}
    await server.client.patch_status(WORKFLOWS, "ns", "w", patch)
    [(request, body)] = server.requests
    assert request.path == "/apis/graflow.dev/v1alpha1/namespaces/ns/workflows/w/status"
    assert request.content_type == "application/json-patch+json"
    assert body == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/status", "value": {"result": {"json": None}}},
    ]


async def test_a_deletion_names_the_object_it_means(server):
    server.answers.append((200, {}, {}))
    await server.client.delete(PODS, "ns", "p", uid="u1")
    [(request, body)] = server.requests
    assert request.method == "DELETE"
    assert body["preconditions"] == {"uid": "u1"}


async def test_an_object_nested_as_deep_as_any_may_be_does_not_hide_the_others(server):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION)
    try:
        deep = json.loads('{"a":' * 9_990 + "1" + "}" * 9_990)
        server.answers.append((200, {"items": [{"spec": deep}, {}]}, {}))
        assert len(await server.client.find(WORKFLOWS, None)) == 2
    finally:
        sys.setrecursionlimit(before)


async def test_every_request_carries_the_token_and_says_which_replica_asks(server):
    server.answers.append((200, {}, {}))
    await server.client.get(LEASES, "ns", "l")
    headers = server.requests[0][0].headers
    assert headers["Authorization"] == "Bearer t0ken"
    assert re.fullmatch(r"graflow-operator/[\d.]+ \(replica-1\)", headers["User-Agent"])


def test_a_token_that_was_exchanged_is_read_again(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("first\n")
    token = TokenFile(path)
    assert token() == "first"
    path.write_text("second\n")
    import os

    os.utime(path, ns=(1, 1))
    assert token() == "second"


def test_without_pod_and_kubeconfig_the_way_out_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none")
    )
    with pytest.raises(ConnectionUnknownError, match="set KUBECONFIG"):
        find({})


async def test_the_sizes_of_a_workflow_and_its_status_are_measured_at_each_commit(server):
    def measured(name):
        return REGISTRY.get_sample_value(f"graflow_{name}_bytes_sum")

    before = measured("status"), measured("workflow")
    server.answers = [(200, {"answer": "x" * 1000}, {}), (409, {}, {})]
    patch = {"metadata": {"resourceVersion": "1"}, "status": {"message": "y" * 5000}}
    await server.client.patch_status(WORKFLOWS, "ns", "w", patch)
    with pytest.raises(ConflictError):
        await server.client.patch_status(WORKFLOWS, "ns", "w", patch)
    assert 5000 < measured("status") - before[0] < 5300
    assert 1000 < measured("workflow") - before[1] < 1100


async def test_an_object_that_is_only_tried_is_not_kept_and_its_typos_are_told(server):
    server.answers = [(201, {}, {})]
    await server.client.try_create(PODS, "team", {"kind": "Pod"})
    [(request, body)] = server.requests
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/team/pods")
    assert dict(request.query) == {"dryRun": "All", "fieldValidation": "Strict"}
    assert body == {"kind": "Pod"}


@pytest.mark.parametrize(
    ("verb", "ask"),
    [
        ("get", lambda client: client.get(PODS, "team", "p")),
        ("list", lambda client: client.find(PODS, "team")),
        ("create", lambda client: client.create(PODS, "team", {})),
        ("create", lambda client: client.try_create(PODS, "team", {})),
        ("update", lambda client: client.replace(PODS, "team", "p", {})),
        ("patch", lambda client: client.patch_json(PODS, "team", "p", [])),
        ("delete", lambda client: client.delete(PODS, "team", "p", uid="u")),
    ],
)
async def test_requests_are_counted_by_the_verbs_of_kubernetes(verb, ask, server):
    labels = {"verb": verb, "resource": "pods", "code": "200"}
    before = REGISTRY.get_sample_value("graflow_api_requests_total", labels) or 0
    server.answers = [(200, {"items": []}, {})]
    await ask(server.client)
    assert REGISTRY.get_sample_value("graflow_api_requests_total", labels) == before + 1


@pytest.mark.parametrize(
    "where",
    [
        ("team", "../../secrets/x"),
        ("team", ".."),
        ("team", "a/b"),
        ("team", "a%2Fb"),
        ("team", "a?watch=1"),
        ("../../../api/v1/namespaces/other", "a"),
        ("team", "a\n"),
        ("team", "A"),
        ("team", "x" * 254),
    ],
)
async def test_a_name_that_a_caller_has_made_up_leads_nowhere(server, where):
    with pytest.raises(NotFoundError, match="no object is called"):
        await server.client.get(PODS, *where)
    assert server.requests == []


HALVES = {
    "half of an object": b'{"kind": "PodList", "items": [{"metad',
    "a page of a proxy": b"<html>welcome</html>",
    "nothing": b"",
    "an object that is no list": b'{"kind": "Pod", "metadata": {}}',
    "a list of JSON": b"[]",
}


def saying(body):
    """Return a client of an API server that says this to everybody."""

    async def handle(_):
        return web.Response(body=body, content_type="application/json")

    return served(handle)


@pytest.mark.parametrize("half", HALVES)
async def test_what_is_no_list_is_not_taken_for_an_empty_one(half):
    """Everything that exists would count as gone."""
    async with saying(HALVES[half]) as client:
        with pytest.raises(UnavailableError):
            await client.find(PODS, None)


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"metadata": {"na'])
async def test_an_answer_that_is_no_object_leaves_open_whether_it_was_done(body):
    async with saying(body) as client:
        with pytest.raises(UnavailableError):
            await client.create(PODS, "ns", {"metadata": {"name": "a"}})


async def test_an_empty_list_is_empty(server):
    server.answers.append((200, {"kind": "PodList", "items": None}, {}))
    assert await server.client.find(PODS, None) == []
