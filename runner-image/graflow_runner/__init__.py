"""The process that runs one attempt of a task in a pod, reports how it ended, and exits."""
