"""How programs are written: tasks, operators, workflows, and what a running task is given."""
