"""Who may reach whom, by the rules of NetworkPolicy, from the policies that are shipped.

    python -m tests.project.reach

prints the table of docs/deploy.md. A connection is allowed where the one end may send it and the
other may take it; a pod that no policy selects for a direction may do all in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.resources import ROOT, read

POLICIES = ROOT / "kustomize/components/network-policies"
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Party:
    """A kind of pod: its own labels, and those of its namespace."""

    name: str
    labels: Labels = field(default_factory=dict)
    namespace: Labels = field(default_factory=lambda: {"kubernetes.io/metadata.name": "rampart"})
    ports: tuple[tuple[str, int], ...] = ()

    @property
    def own(self) -> bool:
        """Whether the policies' namespace is its own."""
        return self.namespace["kubernetes.io/metadata.name"] == "rampart"


def _served(component: str, *ports: int) -> Party:
    labels = {"serving.kserve.io/inferenceservice": "rampart", "component": component}
    return Party(component, labels, ports=tuple(("TCP", port) for port in ports))


def _of(name: str, *ports: int) -> Party:
    labels = {"app.kubernetes.io/name": f"rampart-{name}"}
    return Party(name, labels, ports=tuple(("TCP", port) for port in ports))


def _elsewhere(name: str, namespace: str, labels: Labels | None = None, **more: str) -> Party:
    return Party(name, labels or {}, {"kubernetes.io/metadata.name": namespace, **more})


PARTIES = (
    Party("client", {"rampart.io/client": "true"}),
    _elsewhere("gateway", "istio-system", **{"rampart.io/gateway": "true"}),
    Party("graph", {"serving.kserve.io/inferencegraph": "x"}, ports=(("TCP", 8080),)),
    _served("transformer", 8080, 8081),
    _served("predictor", 8080, 8081),
    _served("explainer", 8080, 8081),
    _of("alibi-explainer", 8080),
    _of("aggregator", 8080),
    Party(
        "pipeline step",
        {"pipelines.kubeflow.org/v2_component": "true"},
    ),
    _of("training", 23456),
    _of("control", 8100),
    _of("mlflow", 5000),
    _of("postgres", 5432),
    _of("store", 8333),
    _of("stream", 8110),
    _of("stream-sink", 8110),
    _of("analytics", 8111),
    _of("smtp", 8025),
    Party("kafka", {"strimzi.io/cluster": "rampart"}, ports=(("TCP", 9093),)),
    _elsewhere("Knative", "knative-eventing"),
    _elsewhere("KEDA", "keda"),
    _elsewhere("mail server", "mail", **{"rampart.io/mail": "true"}),
    _elsewhere("Prometheus", "monitoring"),
    Party("any other pod"),
    _elsewhere("another namespace", "other"),
)


def policies() -> list[dict[str, Any]]:
    """All that are shipped."""
    return [
        document
        for path in sorted(POLICIES.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in read(path)
    ]


def matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether a label selector selects these; an empty one selects all."""
    selector = selector or {}
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", ()):
        value, wanted = labels.get(one["key"]), one.get("values", ())
        holds = {
            "Exists": value is not None,
            "DoesNotExist": value is None,
            "In": value in wanted,
            "NotIn": value not in wanted,
        }
        if not holds[one["operator"]]:
            return False
    return True


def allowed(given: Sequence[Mapping[str, Any]], source: Party, target: Party, port: Any) -> bool:
    """Whether a connection from one pod to a port of another is let through."""
    return _lets(given, "Egress", source, target, port) and _lets(
        given, "Ingress", target, source, port
    )


def _lets(
    given: Sequence[Mapping[str, Any]], way: str, subject: Party, peer: Party, port: Any
) -> bool:
    if not subject.own:
        return True
    about = [
        policy["spec"]
        for policy in given
        if way in policy["spec"]["policyTypes"]
        and matches(policy["spec"]["podSelector"], subject.labels)
    ]
    if not about:
        return True
    end = "to" if way == "Egress" else "from"
    return any(
        _peer(rule.get(end), peer) and _port(rule.get("ports"), port)
        for spec in about
        for rule in spec.get(way.lower(), ())
    )


def _peer(peers: Sequence[Mapping[str, Any]] | None, party: Party) -> bool:
    if peers is None:
        return True
    for one in peers:
        if "ipBlock" in one:
            if one["ipBlock"]["cidr"] == "0.0.0.0/0":
                return True
            continue
        there = (
            matches(one["namespaceSelector"], party.namespace)
            if "namespaceSelector" in one
            else party.own
        )
        if there and matches(one.get("podSelector"), party.labels):
            return True
    return False


def _port(ports: Sequence[Mapping[str, Any]] | None, port: Any) -> bool:
    if ports is None:
        return True
    return any((one["protocol"], one["port"]) == port for one in ports)


def reached() -> Iterator[tuple[str, dict[str, str]]]:
    """Each party, and the ports that it reaches of each other that listens."""
    given = policies()
    for source in PARTIES:
        found = {}
        for target in PARTIES:
            open_ = [str(port[1]) for port in target.ports if allowed(given, source, target, port)]
            if target.ports:
                found[target.name] = ", ".join(open_)
        yield source.name, found


def table() -> str:
    """As docs/deploy.md has it."""
    rows = list(reached())
    head = list(rows[0][1])
    lines = ["| from \\ to | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for name, found in rows:
        lines.append(f"| {name} | " + " | ".join(found[to] for to in head) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
