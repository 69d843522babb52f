"""The page of provoked faults: what tests on a cluster saw, which is what they promise."""

from support import provoked
from support.provocations import of_nodes, of_pods, of_setup, of_tasks  # noqa: F401  registered
from support.provoked import PROVOCATIONS


def test_the_page_has_every_fault_that_is_provoked_and_no_other():
    promised = {one.fault: provoked.row(one, one.ends) for one in PROVOCATIONS}
    assert len(promised) == len(PROVOCATIONS), "two faults have one name"
    assert provoked.PAGE.read_text() == provoked.page(promised)
