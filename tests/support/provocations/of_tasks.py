"""Faults of the task itself, as its container and its process show them."""

from graflow.machine import reasons
from support.provoked import failed, provoked

ONCE = {"maxAttempts": 1}


@provoked("user code raises", how="`1 / 0`", ends=failed(reasons.TASK_FAILED))
def user_code_raises(town, name):
    town.home.begin(name, "raises")
    return town.home.ended(name)


@provoked("out of memory", how="512 MiB under a limit of 64Mi", ends=failed(reasons.OOM_KILLED))
def out_of_memory(town, name):
    town.home.begin(name, "eats", pod={"resources": {"limits": {"memory": "64Mi"}}})
    return town.home.ended(name)


@provoked(
    "out of local disk",
    how="64 MiB written under an `ephemeral-storage` limit of 8Mi; one attempt",
    ends=failed(reasons.EPHEMERAL_STORAGE_EXCEEDED, attempts=1),
)
def out_of_local_disk(town, name):
    limits = {"ephemeral-storage": "8Mi"}
    town.home.begin(name, "spills", pod={"resources": {"limits": limits}}, retry=ONCE)
    return town.home.ended(name)


@provoked("attempt deadline", how="sleeps; `timeoutSeconds: 3`", ends=failed("DeadlineExceeded"))
def attempt_deadline(town, name):
    town.home.begin(name, "sleeps", timeoutSeconds=3)
    return town.home.ended(name)


@provoked("exit code", how="`os._exit(3)`", ends=failed(reasons.EXIT_CODE))
def exit_code(town, name):
    town.home.begin(name, "exits_with_3")
    return town.home.ended(name)


@provoked("exit code of a container task", how="`exit 3`", ends=failed(reasons.EXIT_CODE))
def exit_code_of_a_container(town, name):
    town.home.begin(name, container=town.shell("exit 3"))
    return town.home.ended(name)


@provoked("signal", how="reads address 0: SIGSEGV", ends=failed(reasons.KILLED))
def signal(town, name):
    town.home.begin(name, "reads_nowhere")
    return town.home.ended(name)


@provoked("signal in a container task", how="`kill -9` of its work", ends=failed(reasons.KILLED))
def signal_in_a_container(town, name):
    # Not of the first process, which the kernel protects from what is inside its container.
    work = "python3 -c 'import os; os.kill(os.getpid(), 9)'"
    town.home.begin(name, container=town.shell(f"{work}; exit $?"))
    return town.home.ended(name)


@provoked("silent end", how="`os._exit(0)`", ends=failed(reasons.NO_REPORT))
def silent_end(town, name):
    town.home.begin(name, "exits_with_0")
    return town.home.ended(name)


@provoked(
    "program that is not in the image",
    how="a container task with the command `/no/such/program`",
    ends=failed(reasons.START_FAILED),
)
def program_that_is_not_in_the_image(town, name):
    town.home.begin(name, container={"image": town.image, "command": ["/no/such/program"]})
    return town.home.ended(name)
