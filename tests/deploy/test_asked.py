"""What the real run asks, on rules made up for it."""

from tests.deploy.asked import of_panels, of_rules

RULES = {
    "a.yaml": {
        "groups": [
            {
                "name": "group",
                "rules": [
                    {"record": "made:up", "expr": 'sum(a{x="1"}) / sum(b)'},
                    {"alert": "Bad", "expr": "made:up > 1 or absent(c)"},
                    {"alert": "Bad", "expr": "made:up > 0.5"},
                ],
            }
        ]
    }
}


def test_a_rule_is_asked_as_a_whole_and_by_each_of_its_selectors() -> None:
    """Two alerts of one name are told apart, and each asks whether it could fire at all."""
    assert of_rules(RULES) == {
        "group: made:up": 'sum(a{x="1"}) / sum(b)',
        "group: Bad": "made:up > bool 1 or count(c)",
        "group: Bad #2": "made:up > bool 0.5",
        'a{x="1"}': 'a{x="1"}',
        "b": "b",
        "made:up": "made:up",
        "c": "c",
    }


def test_panels_are_asked_without_variables() -> None:
    """Grafana's variables are filled in, and both languages are there."""
    for language in ("promql", "sql"):
        queries = of_panels(language)
        assert queries
        assert [query for query in queries.values() if "$" in query] == []
