"""Names that the API server accepts, whatever the ids are."""

import re

from hypothesis import given
from hypothesis import strategies as st

from graflow.api import names

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
texts = st.text(min_size=1, max_size=300)


@given(texts, texts, texts, st.integers(1), st.integers(1))
def test_a_pods_name_is_a_dns_label(workflow, task, uid, activation, attempt):
    name = names.pod_name(workflow, task, uid=uid, activation=activation, attempt=attempt)
    assert LABEL.fullmatch(name)


@given(texts, texts, texts, st.integers(0), texts)
def test_the_name_of_a_question_is_a_dns_label(workflow, task, uid, activation, key):
    name = names.feedback_name(workflow, task, uid=uid, activation=activation, key=key)
    assert LABEL.fullmatch(name)


@given(texts)
def test_the_dns_form_of_an_id_is_a_dns_label(task):
    assert LABEL.fullmatch(names.dns_form(task))


@given(st.from_regex(r"[a-z0-9]([-.a-z0-9]{0,250}[a-z0-9])?", fullmatch=True))
def test_a_label_holds_any_objects_name(name):
    value = names.label_value(name)
    assert re.fullmatch(r"[a-z0-9]([-.a-z0-9]{0,61}[a-z0-9])?", value)


def test_pods_of_other_attempts_activations_and_runs_have_other_names():
    made = {
        names.pod_name("etl", "load", uid=uid, activation=activation, attempt=attempt)
        for uid in ("u1", "u2")
        for activation in (1, 11)
        for attempt in (1, 11)
    }
    assert len(made) == 8


def test_questions_of_other_keys_activations_and_runs_have_other_names():
    made = {
        names.feedback_name("etl", "load", uid=uid, activation=activation, key=key)
        for uid in ("u1", "u2")
        for activation in (1, 11)
        for key in ("q1", "1/q1", "q11")
    }
    assert len(made) == 12


def test_a_questions_object_is_found_by_run_workflow_and_installation():
    made = names.feedback_labels("w" * 100, uid="u", instance="blue")
    assert made[names.LABEL_RUN] == "u"
    assert len(made[names.LABEL_WORKFLOW]) == 63
    assert made[names.LABEL_INSTANCE] == "blue"
    assert names.LABEL_INSTANCE not in names.feedback_labels("w", uid="u", instance="")


def test_a_pods_name_reads_like_its_workflow_and_task():
    name = names.pod_name("etl-7", "Load_Data", uid="u", activation=1, attempt=1)
    assert name.startswith("etl-7-load-data-")


def test_names_do_not_change_from_one_release_to_the_next():
    assert names.pod_name("w", "t", uid="u", activation=1, attempt=2) == "w-t-uhr7c6j7j5"
    assert names.feedback_name("w", "t", uid="u", activation=1, key="q1") == "w-t-iphoxtmrdw"
    assert names.secret_name("w", uid="u", key_id="k") == "w-key-mqxsggfoju"
    assert names.bundle_name("ab" * 32) == "code-" + "ab" * 20
