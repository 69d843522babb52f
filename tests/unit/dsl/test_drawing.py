"""Pictures as text: the outline, Mermaid and Graphviz."""

import itertools

from graflow.drawing import Picture, dot, mermaid, outline

PICTURE = Picture(
    nodes=("a", "b", "c", "after_b", 'e "x"', "off", "later", "G"),
    edges=(("a", "G"), ("b", "after_b"), ("G", 'e "x"'), ('e "x"', "a"), ("off", "later")),
    start=("a",),
    members={"G": ("b", "c")},
)


def test_an_outline_shows_groups_branches_loops_and_what_only_jumps_reach():
    assert outline(PICTURE).splitlines() == [
        "a",
        "-> G (parallel)",
        "|| b",
        "|  -> after_b",
        "|| c",
        '-> e "x"',
        "   -> a (above)",
        "",
        "only reached by jumps:",
        "  off",
        "  -> later",
    ]


def test_mermaid_draws_a_group_around_its_members():
    lines = mermaid(PICTURE).splitlines()
    start = lines.index('  subgraph n7["G"]')
    assert lines[start + 1 : start + 4] == ['    n1["b"]', '    n2["c"]', "  end"]
    assert '  n4["e #quot;x#quot;"]' in lines
    assert "  n0 --> n7" in lines


def test_mermaid_takes_a_title_colours_and_lines_of_few_words():
    picture = Picture(("load the raw data", "b"), (), ("b",))
    lines = mermaid(picture, title='the "raw" flow', colors={"b": "#fcc"}, wrap_words=2)
    assert lines.splitlines() == [
        "---",
        'title: "the \\"raw\\" flow"',
        "---",
        "flowchart TD",
        '  n0["load the<br/>raw data"]',
        '  n1["b"]',
        "  style n1 fill:#fcc",
    ]


def test_dot_quotes_names():
    assert '  "G" -> "e \\"x\\""' in dot(PICTURE).splitlines()


def test_dot_takes_labels_and_colours():
    lines = dot(PICTURE, labels={"a": "begin", "G": "both"}, colors={"a": "red"}).splitlines()
    assert '  "a" [label="begin", style=filled, fillcolor="red"]' in lines
    assert '    label="both"' in lines


def test_a_chain_of_ten_thousand_is_drawn_without_recursion():
    names = [f"t{n}" for n in range(10_000)]
    chain = Picture(names, list(itertools.pairwise(names)), names[:1])
    assert len(outline(chain).splitlines()) == 10_000
