"""The series that there are to ask for: what our metrics make, and what comes beside them."""

from __future__ import annotations

from services.runtime.metrics import TABLE

#: What a target's series carry beside a metric's own labels.
OF_TARGETS = {"namespace", "job", "instance", "pod"}
_SUFFIXES: dict[str, dict[str, tuple[str, ...]]] = {
    "counter": {"": ()},
    "gauge": {"": ()},
    "histogram": {"_bucket": ("le",), "_count": (), "_sum": ()},
}
#: Our own by name, with the labels that they have of themselves.
OURS: dict[str, set[str]] = {
    f"{metric.name}{suffix}": {*metric.labels, *more}
    for metric in TABLE
    for suffix, more in _SUFFIXES[metric.kind].items()
}
#: Of kube-state-metrics, with the labels that we ask by.
OF_KUBERNETES: dict[str, set[str]] = {
    "kube_horizontalpodautoscaler_status_current_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"horizontalpodautoscaler"},
    "kube_job_failed": {"job_name", "condition"},
}
