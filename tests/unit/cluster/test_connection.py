"""How the API server is found, and what is said when it is not."""

import pytest

from graflow.cluster.connection import connect
from graflow.cluster.errors import UnreachableError


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [b", "is not YAML"), ("", "set KUBECONFIG"), ("kind: Config", "set KUBECONFIG")],
    ids=["no yaml", "empty", "no contexts"],
)
def test_a_kubeconfig_that_names_no_cluster_is_refused_with_the_way_out(
    tmp_path, monkeypatch, text, words
):
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(UnreachableError, match=words):
        connect()


def test_a_context_that_there_is_not_is_named_with_what_lists_those_that_there_are(
    tmp_path, monkeypatch
):
    file = tmp_path / "kubeconfig"
    file.write_text(
        "{kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}],"
        " clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}],"
        " users: [{name: a, user: {}}]}"
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(UnreachableError, match=r"'prod' cannot be used: .*get-contexts"):
        connect("prod")
