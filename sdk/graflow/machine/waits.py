"""Reasons to wait that are nobody's fault, or not this run's."""

from typing import Final

from graflow.machine import reasons
from graflow.machine.fault import Fault, FaultKind

WAIT: Final = FaultKind.WAIT

WAITS: Final = (
    Fault(
        reasons.WAITING_FOR_TURN,
        WAIT,
        "Another activation of the same task runs first (R4).",
        "Nothing: it starts when that one has ended.",
    ),
    Fault(
        reasons.WAITING_FOR_TASKS,
        WAIT,
        "Tasks that come before it have not ended yet (said by `graflow why` alone).",
        "Look at what those wait for.",
    ),
    Fault(
        reasons.WAITING_FOR_PERSON,
        WAIT,
        "The task has asked a person, and goes on with the answer; nothing runs meanwhile.",
        "Answer what the message names: `graflow inbox`, `graflow answer`.",
    ),
    Fault(
        reasons.NO_OPERATOR,
        WAIT,
        "No operator has taken the Workflow (said by `graflow why` alone).",
        "See whether an operator runs and serves the namespace, as `spec.operator` names it.",
    ),
    Fault(
        reasons.PARALLELISM,
        WAIT,
        "As many tasks run as `parallelism` allows.",
        "Raise `spec.parallelism`, while it runs too, if the cluster has room for more.",
    ),
    Fault(
        reasons.NAMESPACE_LIMIT,
        WAIT,
        "As many runner pods are in the namespace as the operator allows.",
        "Nothing: the run with the fewest pods comes first; `limits.perNamespace` allows more.",
    ),
    Fault(
        reasons.SUSPENDED,
        WAIT,
        "`spec.suspend` is true: nothing new starts.",
        "`graflow unsuspend`, or `spec.suspend: false`, lets it go on.",
    ),
    Fault(
        reasons.HOLDING,
        WAIT,
        "The task has succeeded, and waits for the tasks that it has made (T5).",
        "Look at what those wait for.",
    ),
    Fault(
        reasons.BACKOFF,
        WAIT,
        "The last attempt failed or was lost; the next one starts at a later moment.",
        "Nothing, or mend what the last attempt's message names.",
    ),
    Fault(
        reasons.POD_PENDING,
        WAIT,
        "The pod exists and its container does not run yet.",
        "If it stays so, `kubectl describe pod` shows what the node is busy with.",
        "`ContainerCreating`, `PodInitializing`",
    ),
    Fault(
        reasons.UNSCHEDULABLE,
        WAIT,
        "The scheduler finds no node for the pod.",
        "Wait for room, add a node, or change what the task asks for or selects.",
        "`PodScheduled=False`: `Unschedulable`, `SchedulerError`",
    ),
    Fault(
        reasons.SCHEDULING_GATED,
        WAIT,
        "The pod has scheduling gates, which a queue such as Kueue has to take off.",
        "Look at the queue that the pod is in.",
        "`PodScheduled=False`: `SchedulingGated`",
    ),
    Fault(
        reasons.QUOTA_USED,
        WAIT,
        "The namespace's quota is used up by what else runs there.",
        "Nothing: it is tried again as things end; a raised quota or `parallelism` avoids it.",
        "403 `exceeded quota`, where the pod fits into the quota's limit",
        pace="5 s, doubling up to 60 s",
    ),
    Fault(
        reasons.FORBIDDEN,
        WAIT,
        "The operator itself has no right to make pods or their Secret in this namespace.",
        "Give the operator's service account the chart's role here (`rbac.create`).",
        "403 `cannot create resource`",
        pace="5 s, doubling up to 60 s",
    ),
    Fault(
        reasons.WEBHOOK_UNAVAILABLE,
        WAIT,
        "An admission webhook of the cluster that is asked about pods does not answer.",
        "Look at the webhook that the message names.",
        "500 `failed calling webhook`",
        pace="5 s, doubling up to 60 s",
    ),
    Fault(
        reasons.STORE_UNAVAILABLE,
        WAIT,
        "The store does not answer; the run goes on when it does.",
        "Look at the store, its disk and the operator's keys to it; nothing committed is lost.",
        pace="0.5 s, doubling up to 30 s",
    ),
    Fault(
        reasons.BUNDLE_MISSING,
        WAIT,
        "The CodeBundle that the Workflow names does not exist yet.",
        "Apply it; `graflow compile` writes both.",
        "404",
        pace="every 3 s",
    ),
    Fault(
        reasons.STATE_UNREADABLE,
        WAIT,
        "The run's state was written by another version, or is damaged.",
        "Run the version that wrote it, put back the object that is named, or fork a checkpoint.",
        pace="0.5 s, doubling up to 30 s",
    ),
    Fault(
        reasons.OPERATOR_FAILED,
        WAIT,
        "The operator meets an error of its own whenever it drives the run.",
        "Its log says which; other runs go on, and a change of the spec is tried at once.",
        pace="5 s, doubling up to 300 s, each up to half longer or shorter",
    ),
)
