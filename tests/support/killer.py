"""A pod that kills the process of another one, as only somebody outside its container can."""


def killer(pod, image):
    """Return a pod that waits for the process of another one, and kills it."""
    script = f"""
import os, signal, time

def killed():
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            environ = open(f"/proc/{{pid}}/environ").read().split(chr(0))
        except OSError:
            continue
        if "GRAFLOW_POD_NAME={pod}" in environ:
            os.kill(int(pid), signal.SIGKILL)
            return True
    return False

while not killed():
    time.sleep(0.1)
"""
    container = {
        "name": "killer",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", script],
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    spec = {"restartPolicy": "Never", "hostPID": True, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "killer"}, "spec": spec}
