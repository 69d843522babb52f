"""Faults of what runs the program: attempts that were taken away, and pods that cannot be had."""

from typing import Final

from graflow.machine import reasons
from graflow.machine.fault import Fault, FaultKind

LOST: Final = FaultKind.INFRASTRUCTURE
SETUP: Final = FaultKind.CONFIGURATION
OF_THE_KUBELET: Final = "the kubelet's own: up to 5 min between two pulls of an image"

INFRASTRUCTURE_FAULTS: Final = (
    Fault(
        reasons.POD_LOST,
        LOST,
        "The attempt's pod or container is gone, or was never made, and nothing says how it ended.",
        "Look at the node and at the namespace's Events if it happens again.",
        "no such pod; container `ContainerStatusUnknown`, `Unknown` after the task was taken",
    ),
    Fault(
        reasons.POD_DELETED,
        LOST,
        "Somebody deleted the attempt's pod.",
        "Find out who: the API server's audit log says it; to end a run, cancel it instead.",
        "`deletionTimestamp`, no `DisruptionTarget`",
    ),
    Fault(
        reasons.EVICTED,
        LOST,
        "The pod was moved off its node: a drain, a taint, or a node short of memory or disk.",
        "If the node was short of something, let the task request what it really uses.",
        "`EvictionByEvictionAPI`, `DeletionByTaintManager`, `TerminationByKubelet`; pod `Evicted`",
    ),
    Fault(
        reasons.PREEMPTED,
        LOST,
        "A pod of higher priority took the place.",
        "Give the task a `priorityClassName`, or the cluster more room.",
        "`PreemptionByScheduler`; pod `Preempting`",
    ),
    Fault(
        reasons.NODE_LOST,
        LOST,
        "The pod's node is gone, or has not answered for `faults.nodeLostSeconds`.",
        "Look at the node; the attempt runs again on another one.",
        "`DeletionByPodGC`; pod `NodeLost`; node `NotReady`, out of service, or none",
    ),
    Fault(
        reasons.NODE_SHUTDOWN,
        LOST,
        "The pod's node was shut down.",
        "Nothing, if that was meant; the attempt runs again on another one.",
        "pod `Terminated`, `NodeShutdown`",
    ),
    Fault(
        reasons.NODE_REFUSED,
        LOST,
        "The node would not take the pod that the scheduler had sent there.",
        "Nothing, if it is rare: another pod was faster; else look at the node.",
        "pod `OutOfcpu`, `OutOfmemory`, `OutOfpods`, `NodeAffinity`, `UnexpectedAdmissionError`, …",
    ),
    Fault(
        reasons.SANDBOX_FAILED,
        LOST,
        "The node cannot make the pod's sandbox; the attempt is lost after"
        " `faults.nodeLostSeconds`.",
        "Look at the node's network plugin and container runtime; the message is the kubelet's.",
        "`FailedCreatePodSandBox`, `NetworkNotReady`",
    ),
    Fault(
        reasons.INTERRUPTED,
        LOST,
        "The runner was told to stop (SIGTERM) while user code ran, and nobody said why.",
        "Look at the Events of the pod and of its node.",
        "SIGTERM",
    ),
    Fault(
        reasons.RUNNER_FAILED,
        LOST,
        "The runner itself could not do its work; user code is not at fault.",
        "Read the pod's log; an image of your own must have the runner of this operator's version.",
        "exit code 64, 65, 69, 70, any before the task was taken, or 900 s of silence",
    ),
)

CONFIGURATION_FAULTS: Final = (
    Fault(
        reasons.IMAGE_PULL,
        SETUP,
        "The container's image cannot be pulled.",
        "Check the image's name and tag, the registry, and `imagePullSecrets`.",
        "`ErrImagePull`, `ImagePullBackOff`, `InvalidImageName`, `ErrImageNeverPull`, …",
        pace=OF_THE_KUBELET,
    ),
    Fault(
        reasons.CONFIG_MISSING,
        SETUP,
        "The pod names a Secret, ConfigMap, key, claim, account or class that does not exist.",
        "Create it, and the task goes on.",
        "`CreateContainerConfigError`, `FailedMount`, `PodScheduled=False` or 403: … not found",
        pace="the kubelet's own, some seconds",
    ),
    Fault(
        reasons.CREATE_CONTAINER_ERROR,
        SETUP,
        "The kubelet cannot make the container as the pod asks for it.",
        "The message is the kubelet's; mend the image, the profile or the node.",
        "`CreateContainerError`, `FailedMount`, `FailedPreStartHook`, no such runtime, …",
        pace="the kubelet's own, some seconds",
    ),
    Fault(
        reasons.QUOTA_EXCEEDED,
        SETUP,
        "The pod asks for more than the namespace's quota could ever give, or does not say enough.",
        "Let the task ask for less, or name what the quota counts, or raise the quota.",
        "403 `exceeded quota`, `failed quota`",
    ),
    Fault(
        reasons.ADMISSION_DENIED,
        SETUP,
        "An admission webhook or policy of the cluster does not let the pod in.",
        "Do as its message says, or ask whoever made the rule.",
        "`denied the request`, `denied request`",
    ),
    Fault(
        reasons.POD_SECURITY,
        SETUP,
        "The namespace's Pod Security level does not let the pod in.",
        "Take what the message names out of the pod settings of the task and of its profile.",
        "403 `violates PodSecurity`",
    ),
    Fault(
        reasons.NAMESPACE_TERMINATING,
        SETUP,
        "The namespace is being deleted.",
        "Nothing: the run goes with it.",
        "403 `is being terminated`; 404",
    ),
    Fault(
        reasons.POD_REFUSED,
        SETUP,
        "The API server refuses to create the pod, for another reason than those above.",
        "The message is the API server's, such as a LimitRange's bounds.",
        "403, or a pod of that name that is not ours",
    ),
    Fault(
        reasons.POD_INVALID,
        SETUP,
        "The API server finds the pod malformed.",
        "Mend the field that the message names, in the task's `pod` or in its profile.",
        "400, 422",
    ),
    Fault(
        reasons.PROFILE_MISSING,
        SETUP,
        "The RunnerProfile that the task names does not exist.",
        "Create it, and the task goes on.",
        "404",
        pace="every 3 s",
    ),
    Fault(
        reasons.PROFILE_INVALID,
        SETUP,
        "The RunnerProfile that the task names makes no sense.",
        "Mend it, and the task goes on.",
        pace="every 3 s",
    ),
    Fault(
        reasons.STORE_REQUIRED,
        SETUP,
        "The run outgrew what a Workflow object can hold, and no store is configured.",
        "Set the chart's `store.bucket`, or pass on less.",
        at_once=True,
    ),
    Fault(
        reasons.OBJECT_CORRUPT,
        SETUP,
        "A value in the store is not the one that was written: somebody or something changed it.",
        "Put the object back from a copy of the bucket and resume the run; see who writes there.",
        at_once=True,
    ),
    Fault(
        reasons.BUNDLE_CORRUPT,
        SETUP,
        "The code bundle's bytes do not have the sha256 that the Workflow names.",
        "Submit the program again.",
        "exit code 66",
        at_once=True,
    ),
    Fault(
        reasons.PYTHON_VERSION_MISMATCH,
        SETUP,
        "The program's functions were pickled by a Python that the runner image does not have.",
        "Submit with a Python that the image has, or name an image that has yours.",
        at_once=True,
    ),
)
