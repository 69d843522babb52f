"""A long job that keeps its place: one part a pass, and a checkpoint after each.

The checkpoint is there before the next pass begins. When the process dies, this
goes on from it: `graflow run --resume checkpoints/primes.pkl workflow.py`.
"""

from graflow import task, workflow

PARTS, WIDTH = 5, 2000


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


@task(inject_context=True)
def count(context, found=None):
    found = list(found or [])
    begin = len(found) * WIDTH
    found.append(sum(map(is_prime, range(begin, begin + WIDTH))))
    if len(found) < PARTS:
        context.next_iteration(found)
    context.checkpoint({"parts": len(found)}, path="checkpoints/primes")
    return found


@task
def report(count):
    return f"{sum(count)} primes below {PARTS * WIDTH}, by parts {count}"


with workflow("checkpoints") as wf:
    count >> report

if __name__ == "__main__":
    print(wf.execute())
