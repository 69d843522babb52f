"""F4: errors say what happened, in Graflow's form, and travel between processes."""

import pickle

import pytest

from graflow import exceptions as e


@pytest.mark.parametrize(
    "error",
    [
        e.GraflowRuntimeError("An error occurred: boom", ValueError("boom")),
        e.ArgumentError("task 't' has no value for 'x'"),
        e.RetryLimitExceededError("t", 3, 2, ValueError("boom")),
        e.CycleLimitExceededError("t", 3, 3),
        e.MaxStepsExceededError("too many"),
        e.ParallelGroupError("failed", "g", [("a", "boom")], ["b"], ValueError("boom")),
        e.GraflowWorkflowCanceledError("stop", "t"),
        e.UnknownTaskError("fecth", ["fetch"]),
        e.DuplicateTaskError("twice"),
        e.TaskError("t", "no more", ValueError("boom")),
        e.ConfigError("no such backend", KeyError("kafka")),
        e.MissingPackageError("networkx", "nx_graph()"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_f4_errors_travel_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__.keys() == error.__dict__.keys()
    if isinstance(error, e.GraflowRuntimeError):
        assert repr(again.cause) == repr(error.cause) == repr(again.__cause__)


def test_f4_every_error_is_a_graflow_error_and_every_failed_run_a_runtime_error():
    defined = [found for found in vars(e).values() if isinstance(found, type)]
    errors = [found for found in defined if issubclass(found, Exception)]
    assert all(issubclass(found, e.GraflowError) for found in errors)
    assert all(found.__name__ in (e.__doc__ or "") for found in errors)


def test_f4_errors_of_user_code_become_runtime_errors_once():
    boom = ValueError("boom")
    error = e.as_runtime_error(boom)
    assert (str(error), error.cause) == ("An error occurred: boom (caused by boom)", boom)
    assert e.as_runtime_error(error) is error


def test_names_and_packages_that_are_missing_are_also_what_python_calls_them():
    assert isinstance(e.UnknownTaskError("x"), KeyError)
    with pytest.raises(ImportError, match="pip install graflow\\[prompts\\]"):
        raise e.MissingPackageError("jinja2", "render()", "pip install graflow[prompts]")


def test_f4_the_form_of_a_runtime_error_is_graflows():
    error = e.GraflowRuntimeError("An error occurred: boom1", ValueError("boom1"))
    assert str(error) == "An error occurred: boom1 (caused by boom1)"


def test_a_falsy_cause_is_a_cause():
    class EmptyError(Exception):
        def __bool__(self):
            return False

    assert "caused by" in str(e.GraflowRuntimeError("m", EmptyError("x")))
