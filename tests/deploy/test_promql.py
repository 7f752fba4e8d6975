"""What is read out of PromQL for the tests of rules and panels."""

import pytest

from tests.deploy.promql import answered, metrics, selectors, tokens


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", ["up"]),
        ('up{job=~"bulk-lookup-.+"}', ['up{job=~"bulk-lookup-.+"}']),
        ('sum by (job) (rate(a_total{code=~"5.."}[5m])) / b > 0.01', ['a_total{code=~"5.."}', "b"]),
        ("sum without(pod) (a)", ["a"]),
        ("sum(rate(a[5m])) by (namespace, topic) > 5", ["a"]),
        ("a * on (namespace) group_left (version) b", ["a", "b"]),
        ("a * on (namespace) group_left b{x='}'}", ["a", "b{x='}'}"]),
        ("a offset 1h or b and c unless d", ["a", "b", "c", "d"]),
        ("job:errors:ratio_rate5m > (14.4 * 0.001)", ["job:errors:ratio_rate5m"]),
        ('label_replace(a, "to", "$1", "from", "(.*)")', ["a"]),
        ('{__name__=~"twilio_.+"}', ['{__name__=~"twilio_.+"}']),
        ("time() - a > 1e3 # b", ["a"]),
        ("histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m]))) > +Inf", ["a_bucket"]),
        ("max_over_time((a > bool 2)[1h:1m])", ["a"]),
        ("count by (version) (a) > 1 and on () vector(1) == 1", ["a"]),
    ],
)
def test_selectors_are_what_is_read(expression: str, found: list[str]) -> None:
    """Functions, keywords, label names, texts and durations are none."""
    assert selectors(expression) == found
    assert "".join(token.text for token in tokens(expression)) == expression


def test_metrics_are_named_without_their_labels() -> None:
    """Each once; what stands only inside braces has no name here."""
    assert metrics('a{x="1"} / a{x="2"} + on () b + {y="3"}') == {"a", "b"}


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("a > 5", "a > bool 5"),
        ("a > bool 5", "a > bool 5"),
        ('a{x!="y",z=~">"} != 0', 'a{x!="y",z=~">"} != bool 0'),
        ("(a >= 1 and b <= 2)", "(a >= bool 1 and b <= bool 2)"),
        ("a unless on (x) b == 1", "a and on (x) b == bool 1"),
        ('absent(up{job="x"} == 1)', 'count(up{job="x"} == bool 1)'),
        ("absent_over_time(a[5m])", "count_over_time(a[5m])"),
        ("absent_total > 1", "absent_total > bool 1"),
    ],
)
def test_an_alert_is_asked_while_nothing_is_wrong(expression: str, asked: str) -> None:
    """What would leave a series out for its value keeps it; what its labels choose stays."""
    assert answered(expression) == asked
