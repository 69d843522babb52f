"""Five readers count the words of five books at once, in counters that all of them share.

`atomic_add` loses nothing however many add at once, and a lock keeps the record of the longest word
in one piece.
"""

from graflow import parallel, task, workflow

BOOKS = {
    "alice": "the rabbit took a watch out of its pocket and looked at the watch",
    "moby": "call me ishmael some years ago having little money i went to sea",
    "emma": "handsome clever and rich with a comfortable home and the best blessings",
    "dracula": "left munich at night and arrived at vienna early the next morning",
    "walden": "i went to the woods because i wished to live deliberately",
}


@task(inject_context=True)
def read(context, title):
    channel = context.get_channel()
    words = BOOKS[title].split()
    for word in words:
        channel.atomic_add(f"letters:{len(word)}")
    channel.append("read", title)
    with channel.lock("longest"):
        if len(channel.get("longest", "")) < len(max(words, key=len)):
            channel.set("longest", max(words, key=len))


@task(inject_context=True)
def report(context):
    channel = context.get_channel()
    keys = [key for key in channel.keys() if key.startswith("letters:")]  # noqa: SIM118 - no dict
    counts = {key: channel.get(key) for key in keys}
    commonest = max(counts, key=lambda key: (counts[key], key))
    titles = sorted(channel.get("read"))
    return (
        f"{sum(counts.values())} words in {', '.join(titles)}; most have {commonest[8:]} letters; "
        f"the longest is {channel.get('longest')}"
    )


with workflow("channel-counters") as wf:
    parallel(*(read(task_id=f"read_{title}", title=title) for title in BOOKS)) >> report

if __name__ == "__main__":
    print(wf.execute())
