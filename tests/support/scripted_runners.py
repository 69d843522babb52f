"""Runners without processes: they claim and report over HTTP, and tell what a kubelet would."""

import base64
import json
import secrets
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import requests
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from graflow.api import names
from graflow_operator import keys

AT_ONCE = 20
PATIENCE_S = 60
NOT_YET, GONE = 503, 410

Pod = dict[str, Any]
Work = Callable[["Runner"], dict[str, Any]]
"""What a task does; it returns the report."""


class Runner:
    """One attempt that a pod was made for.

    Args:
        url: Of the operator.
        key: The run's.
        pod: The pod, as the API server shows it.
    """

    def __init__(self, url: str, key: bytes, pod: Pod) -> None:
        self._url = url
        self._http = requests.Session()
        about = pod["metadata"]
        self._run = about["labels"][names.LABEL_RUN]
        nonce = secrets.token_hex(16)
        self._claim = f"{about['uid']}/{nonce}"
        body = {
            "run": self._run,
            "namespace": about["namespace"],
            "pod": {"name": about["name"], "uid": about["uid"]},
            "nonce": nonce,
            "python": "3.11.2",
        }
        headers = {"Authorization": f"Bearer {key.hex()}"}
        self.order = self._asked("claim", json.dumps(body).encode(), headers)

    def call(self, what: str, body: dict[str, Any], number: int = 0) -> Any:
        """Make a signed call and return the answer."""
        data, path = json.dumps(body).encode(), f"{names.RUNNER_PREFIX}/{what}"
        signed = keys.Call("POST", path, self._claim, str(number), data)
        headers = {
            names.HEADER_RUN: self._run,
            names.HEADER_ACTIVATION: str(self.order["activation"]),
            names.HEADER_ATTEMPT: str(self.order["attempt"]),
            names.HEADER_CLAIM: self._claim,
            names.HEADER_NUMBER: str(number),
            names.HEADER_MAC: keys.mac_of_call(bytes.fromhex(self.order["attemptKey"]), signed),
        }
        return self._asked(what, data, headers)

    def close(self) -> None:
        self._http.close()

    def _asked(self, what: str, data: bytes, headers: dict[str, str]) -> Any:
        url = f"{self._url}{names.RUNNER_PREFIX}/{what}"
        for _ in range(PATIENCE_S * 10):
            answer = self._http.post(url, data=data, headers=headers, timeout=PATIENCE_S)
            if answer.status_code != NOT_YET:
                assert answer.ok, f"{what}: {answer.status_code} {answer.text}"
                return answer.json()
            threading.Event().wait(0.1)
        raise AssertionError(f"{what}: the operator says that it is not yet time, again and again")


class ScriptedRunners:
    """Plays the runner of every pod of a namespace, once it is bound to a node.

    Args:
        kubeconfig: Path of the cluster's.
        namespace: Where the pods are.
        url: Of the operator, which must not check whose address a claim comes from.
        work: What the tasks do.
    """

    def __init__(self, kubeconfig: str, namespace: str, url: str, work: Work) -> None:
        self._core = client.CoreV1Api(config.new_client_from_config(kubeconfig))
        self._core.api_client.configuration.connection_pool_maxsize = AT_ONCE
        self._namespace, self._url, self._work = namespace, url, work
        self._keys: dict[str, bytes] = {}
        self._begun: set[str] = set()
        self._over = threading.Event()
        self._watch = watch.Watch("object")  # to make models of pods takes longer than all else
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.broken: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> None:
        while not self._over.is_set():
            try:
                self._watched()
            except ProtocolError:
                continue  # the server has closed the watch
            except ApiException as error:
                if error.status == GONE:
                    continue  # too much has changed since: the next watch begins with a list
                self.broken.append(str(error))
                return

    def _watched(self) -> None:
        pods = self._watch.stream(
            self._core.list_namespaced_pod,
            self._namespace,
            field_selector="status.phase=Pending",  # the others may be very many
            timeout_seconds=30,
        )
        for event in pods:
            pod = event["object"]
            if self._over.is_set():
                return
            uid, is_ready = pod["metadata"]["uid"], pod["spec"].get("nodeName")
            if is_ready and event["type"] != "DELETED" and uid not in self._begun:
                self._begun.add(uid)
                self._pool.submit(self._live, pod)

    def _live(self, pod: Pod) -> None:
        try:
            runner = Runner(self._url, self._key(pod), pod)
            try:
                runner.call("report", self._work(runner))
            finally:
                runner.close()
            self._end(pod["metadata"]["name"])
        except Exception:  # noqa: BLE001 - whoever waits for the run is told
            self.broken.append(traceback.format_exc())

    def _key(self, pod: Pod) -> bytes:
        [task] = pod["spec"]["containers"]
        found = next(one for one in task["env"] if one["name"] == names.ENV_KEY)
        ref = found["valueFrom"]["secretKeyRef"]
        if ref["name"] not in self._keys:
            secret = self._core.read_namespaced_secret(ref["name"], self._namespace)
            key = base64.b64decode(secret.data[ref["key"]]).decode()
            self._keys[ref["name"]] = bytes.fromhex(key)
        return self._keys[ref["name"]]

    def _end(self, name: str) -> None:
        ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        container = {"name": "task", "image": "none", "imageID": "", "ready": False,
                     "restartCount": 0, "state": ended}  # fmt: skip
        status = {"phase": "Succeeded", "containerStatuses": [container]}
        self._core.patch_namespaced_pod_status(
            name, self._namespace, {"status": status}, _preload_content=False
        )
