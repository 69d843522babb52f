"""Who we are to the API server, in its own words."""

from dataclasses import dataclass

from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ClusterError, UnreachableError

_GROUP = "authentication.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Ourselves:
    """A user, as the API server has authenticated them."""

    name: str
    groups: tuple[str, ...] = ()


def who_we_are(server: ApiServer) -> Ourselves | None:
    """Return who we are; None where the API server does not say it to us.

    Raises:
        UnreachableError: If it does not answer.
    """
    review = {"apiVersion": _GROUP, "kind": "SelfSubjectReview"}
    try:
        told = server.request("POST", f"/apis/{_GROUP}/selfsubjectreviews", body=review)
        user = told["status"]["userInfo"]
        return Ourselves(str(user["username"]), tuple(map(str, user.get("groups") or ())))
    except UnreachableError:
        raise
    except (ClusterError, ValueError, KeyError, TypeError):
        return None
