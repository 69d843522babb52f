"""The code of a whole program, ready for its bundle."""

from collections.abc import Mapping

from graflow.compile.files import Selection
from graflow.compile.modules import own_modules, pickled_by_value
from graflow.compile.pickles import Pickled, pickled
from graflow.compile.relocation import Relocation


def pickle_all(forms: Mapping[str, object], selection: Selection) -> dict[str, Pickled]:
    """Pickle what the runner needs of each task.

    Functions of `__main__`, and of modules of the user's own that do not travel as files, go by
    value, with the globals they use. Paths in the program's folder become those in the pod.

    Args:
        forms: Each task's portable form, and each group's own policy, by the id.
        selection: The files that travel beside the pickles.

    Raises:
        CaptureError: If a task uses something that cannot travel; it names task and variable.
    """
    with pickled_by_value(own_modules(selection)):
        return pickled(forms, Relocation.of(selection.root), naming=True)
