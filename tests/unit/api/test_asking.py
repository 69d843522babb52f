"""What a program may ask, and how it is told what is wrong with a question."""

import pytest

from graflow.api.answer_schema import MOST_STEPS, objection, schema_problems
from graflow.api.asking import InvalidQuestionError, check_question
from support.questions import OF_TYPE


def question(kind="approval", **more):
    return {"type": kind, "prompt": "Well?", **OF_TYPE[kind], **more}


@pytest.mark.parametrize("kind", OF_TYPE)
def test_a_plain_question_of_each_type_can_be_asked(kind):
    assert check_question(question(kind)).manifest() == question(kind)


def test_all_that_can_be_said_of_a_question_goes_together():
    asked = question(
        payload={"markdown": "# Plan"},
        metadata={"ticket": 7},
        assignees={"users": ["ann", "bob"], "groups": ["ops"]},
        approvals=2,
        submitterMayAnswer=False,
        timeoutSeconds=60,
        onDeadline={"action": "Goto", "task": "later"},
        remindEverySeconds=600,
    )
    assert check_question(asked, submitter="ann", tasks=["later"]).manifest() == asked


def late(**then):
    return {"timeoutSeconds": 60, "onDeadline": then}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {**question(), "type": "aproval"},
            "did you mean 'appro",
        ),
        (question(prompt="  "), "prompt: is '  '; ask something"),
        (
            question(assignees={"users": ["x" * 1000] * 99, "groups": ["x" * 1000] * 99}),
            "as JSON and may have 131072; ask less",
        ),
        (question(remindEverySeconds=1), "remindEverySeconds: must be at least 60.0; this is 1"),
        (
            question(prompt="ä" * 4097),
            "prompt: has 8194 bytes and may have 8192; put what is to be",
        ),
        (question(options=["a"]), "options: is not for type approval; use selection or"),
        (question("selection", options=None), "options: is required for type selection"),
        (question("selection", options=["a", "a"]), "options: 'a' is there twice"),
        (question("selection", options=[""]), "options[0]: must have at least 1 characters"),
        (question("text", schema={}), "schema: is not for type text; use custom"),
        (
            question("custom", schema=None),
            'schema: is required for type custom; {"type": "object"}',
        ),
        (question("text", approvals=2), "approvals: is 2, which is for type approval"),
        (question(payload={}), "payload: is exactly one of text, markdown and blob; this has noth"),
        (question(payload={"text": "a", "markdown": "b"}), "this has text, markdown"),
        (question(payload={"text": "ä" * 16385}), "payload.text: has 32770 bytes"),
        (
            question(metadata={"x": "y" * 5000}),
            "metadata: has 5008 bytes as JSON and may have 4096",
        ),
        (question(submitterMayAnswer=False), "submitterMayAnswer: is false, and nobody knows who"),
        (
            question(assignees={"users": ["a", "b"]}, approvals=3),
            "assignees: 2 of these may answer, and it takes 3; name more users, or a group",
        ),
        (question(onDeadline={"action": "Fail"}), "onDeadline: takes timeoutSeconds"),
        (question(**late(action="Default")), "onDeadline.default: is required for action Default"),
        (question(**late(action="Goto")), "onDeadline.task: is required for action Goto"),
        (question(**late(action="Escalate")), "onDeadline.to: is required for action Escalate"),
        (question(**late(action="Escalate", to={})), "onDeadline.to: names nobody"),
        (
            question(**late(action="Fail", task="t")),
            "onDeadline.task: is for action Goto, and this",
        ),
        (question(**late(action="Fail", seconds=5)), "onDeadline.seconds: is for action Escalate"),
        (
            question("selection", **late(action="Default", default={"selected": "green"})),
            "onDeadline.default.selected: 'green' is none of the options",
        ),
        (question(**late(action="Goto", task="x")), "onDeadline.task: 'x' is not in the workflow"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_told_with_field_value_and_way_out(asked, told):
    with pytest.raises(InvalidQuestionError) as caught:
        check_question({k: v for k, v in asked.items() if v is not None}, tasks=["later"])
    assert told in str(caught.value)


def test_who_may_not_answer_does_not_count_among_those_who_are_asked():
    asked = question(assignees={"users": ["ann"]}, submitterMayAnswer=False)
    with pytest.raises(InvalidQuestionError, match="0 of these may answer, and it takes 1"):
        check_question(asked, submitter="ann")


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "array"}, "schema.type: is 'array', and an answer is an object"),
        ({"type": "objekt"}, "schema.type"),
        (
            {"properties": {"a": {"minimum": "x"}}},
            "schema.properties.a.minimum: 'x' is not of type",
        ),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            "is not known; it is https://json",
        ),
        (
            {"$ref": "https://example.com/x.json"},
            "schema.$ref: 'https://example.com/x.json' cannot",
        ),
        ({"$ref": "#/$defs/a"}, "schema.$ref: '#/$defs/a' is not there; add it to $defs"),
        ({"$ref": "#/properties/a"}, "cannot be used: references are to the document itself"),
        ({"items": {"$dynamicRef": "#x"}}, "schema.items.$dynamicRef: cannot be used"),
        ({"$defs": [1]}, "schema.$defs: [1] is not of type 'object'"),
        ({"$dynamicAnchor": "x"}, "schema.$dynamicAnchor: cannot be used"),
        ({"allOf": [{"$id": "x"}]}, "schema.allOf[0].$id: cannot be used"),
        (
            {"properties": {"a": {"pattern": "(a+)+$"}}},
            "schema.properties.a.pattern: cannot be used",
        ),
        ({"patternProperties": {"a": {}}}, "schema.patternProperties: cannot be used"),
        (
            {"not": {"unevaluatedProperties": False}},
            "schema.not.unevaluatedProperties: cannot be used",
        ),
        ({"definitions": {"a": {}}}, "schema.definitions: cannot be used: it is $defs"),
        ({"allOf": [{}] * 400}, "schema: has 401 schemas in it and may have 400"),
        ({"items": {"$schema": "x"}}, "schema.items.$schema: belongs at the top alone"),
        ({"title": "x" * 17_000}, "bytes as JSON and may have 16384"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_when_it_is_asked(schema, told):
    with pytest.raises(InvalidQuestionError) as caught:
        check_question(question("custom", schema=schema))
    assert told in str(caught.value)


def test_what_pydantic_makes_of_a_model_can_be_used():
    schema = {
        "$defs": {"Item": {"properties": {"pattern": {"type": "string"}}, "required": ["pattern"]}},
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/Item"}}},
    }
    assert schema_problems(schema, "schema") == ()
    assert objection(schema, {"items": [{"pattern": "x"}]}, "custom") is None
    wrong = objection(schema, {"items": [{"pattern": "x"}, {}]}, "custom")
    assert wrong is not None
    assert (wrong.field, wrong.message) == ("custom.items[1]", "'pattern' is a required property")


A_CIRCLE = {
    "a": {"anyOf": [{"type": "object"}, {"$ref": "#/$defs/b"}]},
    "b": {"dependentSchemas": {"x": {"not": {"$ref": "#/$defs/a"}}}},
}


@pytest.mark.parametrize(
    ("schema", "circle"),
    [
        ({"$ref": "#"}, "#"),
        ({"allOf": [{"if": {"$ref": "#"}}]}, "#"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "#/$defs/a"),
        ({"properties": {"p": {"$ref": "#/$defs/b"}}, "$defs": A_CIRCLE}, "#/$defs/a"),
    ],
    ids=["itself", "itself inside", "one", "two"],
)
def test_a_reference_that_leads_back_to_itself_is_refused_when_it_is_asked(schema, circle):
    with pytest.raises(InvalidQuestionError) as caught:
        check_question(question("custom", schema=schema))
    assert f"schema.$ref: '{circle}' leads back to itself" in str(caught.value)


def test_a_tree_may_refer_to_itself_for_what_is_inside_the_value():
    tree = {"properties": {"left": {"$ref": "#"}, "rest": {"items": {"$ref": "#"}}}}
    tree |= {"required": ["n"]}
    assert schema_problems(tree, "schema") == ()
    assert objection(tree, {"n": 1, "left": {"n": 2, "rest": [{"n": 3}]}}, "custom") is None
    wrong = objection(tree, {"n": 1, "left": {"n": 2, "rest": [{}]}}, "custom")
    assert wrong is not None
    assert wrong.field == "custom.left.rest[0]"


def doubling(levels):
    """Return a schema whose check doubles with each level."""
    defs = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**defs, f"a{levels}": {}}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(60), {}),
        ({**doubling(60), "$schema": "https://json-schema.org/draft/2020-12/schema"}, {}),
        (
            {"properties": {"a": {"uniqueItems": True}}},
            {"a": [{"x": n} for n in range(MOST_STEPS // 20)]},
        ),
        (
            {"properties": {"a": {"uniqueItems": True}}},
            {"a": [["x" * (15 * MOST_STEPS)], ["y" * (15 * MOST_STEPS)]]},
        ),
        ({"allOf": [{"type": "null"}] * 100}, {"a": "x" * (2 * MOST_STEPS)}),
        (
            {"$defs": {"a": {"const": {"a": ["x"] * 3000}}}, "allOf": [{"$ref": "#/$defs/a"}] * 99},
            {"a": ["x"] * 3000},
        ),
        ({"properties": {"a": {"items": {}}}}, {"a": [1] * MOST_STEPS}),
        ({"additionalProperties": {}}, {f"x{n}": 1 for n in range(MOST_STEPS)}),
    ],
    ids=[
        *("doubling", "with its draft", "each with each"),
        *("large with large", "errors that show it all", "equal", "items", "properties"),
    ],
)
def test_no_schema_keeps_whoever_checks_busy(schema, value):
    assert schema_problems(schema, "schema") == ()
    refused = objection(schema, value, "custom")
    assert refused is not None
    assert "takes too long to check" in refused.message
