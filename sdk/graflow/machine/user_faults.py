"""Faults of the program, and ends that a program or a person decided."""

from typing import Final

from graflow.machine import reasons
from graflow.machine.fault import Fault, FaultKind

USER: Final = FaultKind.USER

USER_FAULTS: Final = (
    Fault(
        reasons.TASK_FAILED,
        USER,
        "User code raised an exception.",
        "Read the traceback in the message; `graflow logs` has what the task printed before.",
    ),
    Fault(
        reasons.SYSTEM_EXIT,
        USER,
        "User code called `sys.exit`.",
        "Return from the task instead, or raise an exception that says what is wrong.",
    ),
    Fault(
        reasons.NO_REPORT,
        USER,
        "The process ended with code 0 and without saying how user code ended.",
        "Look for `os._exit(0)`, or a library that ends the process; return from the task instead.",
        "exit code 0, no report",
    ),
    Fault(
        reasons.EXIT_CODE,
        USER,
        "The container ended with a code other than 0.",
        "Read the task's log; of a container task, the code's meaning is its program's.",
        "exit code 1 to 128",
    ),
    Fault(
        reasons.KILLED,
        USER,
        "A signal ended the process, and no infrastructure fault explains it.",
        "Read the log's end: a crash in native code (SIGSEGV, SIGABRT), or the task's own `kill`.",
        "exit code over 128",
    ),
    Fault(
        reasons.OOM_KILLED,
        USER,
        "The container used more memory than its limit, or one of its processes did.",
        "Give the task more in `resources.limits.memory`, or let it hold less at a time.",
        "container `OOMKilled`",
    ),
    Fault(
        reasons.EPHEMERAL_STORAGE_EXCEEDED,
        USER,
        "The pod wrote more to its disk than its own limit allows.",
        "Give the task more in `resources.limits.ephemeral-storage`, or write less.",
        "pod `Evicted`, for a limit of its own",
    ),
    Fault(
        reasons.START_FAILED,
        USER,
        "The container was made, and what it was to run could not be started.",
        "Check that the command is in the image and may be executed.",
        "container `StartError`, `ContainerCannotRun`",
    ),
    Fault(
        reasons.DEADLINE_EXCEEDED,
        USER,
        "The time limit of the attempt or of the run has passed.",
        "Raise `timeoutSeconds` of the task or `activeDeadlineSeconds` of the run, or do less.",
        "pod `DeadlineExceeded`",
    ),
    Fault(
        reasons.ARGUMENTS_MISSING,
        USER,
        "A parameter of the task has no value (A2).",
        "The message lists what was available and the nearest name; bind or rename the parameter.",
        at_once=True,
    ),
    Fault(
        reasons.VALUE_NOT_SERIALIZABLE,
        USER,
        "The task returned something that cannot go to another process.",
        "Return plain data, or a path or address of what cannot travel.",
    ),
    Fault(
        reasons.RESULT_TRUNCATED,
        USER,
        "A container's result fills its termination message, so the end of it is lost.",
        "Write less than 4096 bytes to /dev/termination-log, or put the result elsewhere.",
        "message of 4096 bytes",
        at_once=True,
    ),
    Fault(
        reasons.INPUT_UNUSABLE,
        USER,
        "An input of a container task is too large for its environment, or is no JSON.",
        "Hand over a name or an address of the data instead.",
        at_once=True,
    ),
    Fault(
        reasons.PARALLEL_GROUP_FAILED,
        USER,
        "A group's branches did not end as its policy asks.",
        "Look at the members that failed; the message names them.",
    ),
    Fault(
        reasons.MAX_STEPS_EXCEEDED,
        USER,
        "The run made more activations than `maxSteps` allows (R8).",
        "Find the loop that does not end, or raise `maxSteps`.",
        at_once=True,
    ),
    Fault(
        reasons.CYCLE_LIMIT_EXCEEDED,
        USER,
        "A task asked for another pass after `max_cycles` of them (T2).",
        "Ask `ctx.can_iterate()` first, or raise `max_cycles`.",
        at_once=True,
    ),
    Fault(
        reasons.INVALID_TRANSITION,
        USER,
        "A task asked for a move that cannot be made, such as a jump to a task that nobody knows.",
        "The message names the move; `graflow graph` shows what tasks there are.",
        at_once=True,
    ),
    Fault(
        reasons.QUESTION_CHANGED,
        USER,
        "A task asked a question that it had asked in other words before, under the same key.",
        "Keep what the question says with `ctx.step`, or give each question a key of its own.",
        at_once=True,
    ),
    Fault(
        reasons.FEEDBACK_TIMEOUT,
        USER,
        "Nobody answered a task's question until its deadline, or it was withdrawn.",
        "Catch `FeedbackTimeoutError`, give the question more time, or say what happens then: "
        "`on_timeout`.",
        at_once=True,
    ),
    Fault(
        reasons.INVALID,
        USER,
        "The Workflow as written cannot run.",
        "The message names the field and the way out; mend it and submit it again.",
        at_once=True,
    ),
    Fault(
        reasons.RESUME_REFUSED,
        USER,
        "The run cannot go on from where `spec.resumeFrom` says, or not with its changes.",
        "The message names the task or the checkpoint, and the way out.",
        at_once=True,
    ),
    Fault(
        reasons.RUN_ID_TAKEN,
        USER,
        "Another run with the same `runId` has not ended yet.",
        "Apply it again after that, and it takes over the result; or give it an id of its own.",
        at_once=True,
    ),
    Fault(
        reasons.ADOPTED,
        USER,
        "A run with the same `runId` has ended before; this one took over how, and ran nothing.",
        "Nothing, if that was meant; other work needs another `runId`.",
        at_once=True,
    ),
    Fault(
        reasons.CANCELLED,
        USER,
        "Somebody, or a task, asked for the run to end.",
        "Nothing, if that was meant; the message says what asked for it.",
        at_once=True,
    ),
    Fault(
        reasons.TERMINATED,
        USER,
        "A task ended the run as succeeded (`terminate_workflow`).",
        "Nothing: the value of that task is the value of the run.",
        at_once=True,
    ),
)
