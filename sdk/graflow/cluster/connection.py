"""How the API server is found: by a kubeconfig, or from the pod we are in."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import UnreachableError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def connect(context: str | None = None, namespace: str | None = None) -> ApiServer:
    """Return the API server that KUBECONFIG, `~/.kube/config` or the pod we are in names.

    Args:
        context: One of the kubeconfig's contexts; the current one when not given.
        namespace: The one to use; the context's, or the pod's own, when not given.

    Raises:
        UnreachableError: If nothing says where an API server is.
    """
    # By name and when needed: it ships no types, and takes a second.
    config: Any = import_module("kubernetes.config")
    configuration: Any = import_module("kubernetes.client").Configuration()
    # Asked for now: the client looks at the environment only when it is imported.
    file = os.environ.get("KUBECONFIG") or None
    in_pod = context is None and file is None and (ACCOUNT / "token").exists()
    try:
        if in_pod:
            config.load_incluster_config(client_configuration=configuration)
            own = (ACCOUNT / "namespace").read_text().strip()
        else:
            config.load_kube_config(file, context=context, client_configuration=configuration)
            own = _namespace(config.list_kube_config_contexts(file), context)
    except yaml.YAMLError as error:
        where = file or "~/.kube/config"
        raise UnreachableError(
            f"the kubeconfig {where} is not YAML: {' '.join(str(error).split())}; set KUBECONFIG "
            "to a kubeconfig file"
        ) from error
    except (config.ConfigException, OSError, TypeError) as error:
        if context is not None:
            raise UnreachableError(
                f"the context {context!r} cannot be used: {str(error).rstrip('.')}; "
                "`kubectl config get-contexts` lists those that there are"
            ) from error
        raise UnreachableError(
            f"nothing says where a cluster is: {str(error).rstrip('.')}; set KUBECONFIG to a "
            f"kubeconfig file, or run the program on this machine with `graflow run`"
        ) from error

    def token() -> str:
        value = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return str(value or "").removeprefix("Bearer ")

    client: Any = import_module("kubernetes.client.rest").RESTClientObject(configuration)
    url = str(configuration.host).rstrip("/")
    return ApiServer(url, client.pool_manager, token=token, namespace=namespace or own)


def _namespace(found: tuple[list[dict[str, Any]], dict[str, Any]], context: str | None) -> str:
    contexts, current = found
    chosen = next((one for one in contexts if one["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")
