"""Mistakes that people make, planted into the rendered production overlay, each with the check that must find it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.deploy.manifests import Manifests

Plant = Callable[[Manifests], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """`found_by` names the one check that finds it; no other may."""

    name: str
    found_by: str
    plant: Plant


def _spec(manifests: Manifests, kind: str, name: str) -> dict[str, Any]:
    return next(doc for doc in manifests.kind(kind) if doc["metadata"]["name"] == name)["spec"]


def _container(manifests: Manifests, name: str) -> dict[str, Any]:
    return _spec(manifests, "Deployment", name)["template"]["spec"]["containers"][0]


def _settings(manifests: Manifests, member: str) -> dict[str, str]:
    return next(
        doc["data"] for doc in manifests.kind("ConfigMap") if doc["metadata"]["name"].startswith(f"{member}-settings-")
    )


def _set(value: Any, *path: Any, at: Callable[[Manifests], Any]) -> Plant:
    def plant(manifests: Manifests) -> None:
        target = at(manifests)
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return plant


def _rename(old: str, new: str, *, at: Callable[[Manifests], Any]) -> Plant:
    def plant(manifests: Manifests) -> None:
        target = at(manifests)
        target[new] = target.pop(old)

    return plant


def _drop(key: str, *, at: Callable[[Manifests], Any]) -> Plant:
    return lambda manifests: at(manifests).pop(key)


def _old_autoscaler(manifests: Manifests) -> None:
    next(manifests.kind("HorizontalPodAutoscaler"))["apiVersion"] = "autoscaling/v2beta2"


def _open_to_all(manifests: Manifests) -> None:
    _spec(manifests, "NetworkPolicy", "billing-api")["ingress"][0]["from"].append({"podSelector": {}})


def _rule(way: str, policy: str, rule: dict[str, Any]) -> Plant:
    return lambda manifests: _spec(manifests, "NetworkPolicy", policy)[way].append(rule)


def _remove(kind: str, name: str) -> Plant:
    return lambda manifests: manifests.docs.remove(manifests.find(kind, name))


def _told(old: str, new: str | None, deployment: str) -> Plant:
    """Another argument instead of this one, or none."""

    def plant(manifests: Manifests) -> None:
        args = _container(manifests, deployment)["args"]
        args[args.index(old) : args.index(old) + 1] = [new] if new else []

    return plant


_ANYWHERE = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"protocol": "TCP", "port": 5432}]}
_NEIGHBOURS = {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}]}


FAULTS = (
    Fault("a misspelt field", "schemas", _rename("imagePullPolicy", "imagePulPolicy", at=lambda m: _container(m, "booking-api"))),
    Fault("an API version that Kubernetes has dropped", "schemas", _old_autoscaler),
    Fault("a wrong type in an operator's kind", "schemas", _set("443", "listeners", 0, "port", at=lambda m: _spec(m, "Gateway", "edge"))),
    Fault("a Service whose selector fits no pod", "selectors", _set("bokking", "selector", "app.kubernetes.io/name", at=lambda m: _spec(m, "Service", "booking-api"))),
    Fault("a Service whose targetPort is named otherwise", "ports", _set("htpp", "ports", 0, "targetPort", at=lambda m: _spec(m, "Service", "access-api"))),
    Fault("a key that no Secret has", "references", _set("url", "env", -1, "valueFrom", "secretKeyRef", "key", at=lambda m: _container(m, "billing-api"))),
    Fault("a worker whose module is named otherwise", "references", _set("regiohub_booking.works", "command", 2, at=lambda m: _container(m, "booking-worker"))),
    Fault("a setting that no program reads", "settings", _rename("BOOKING_MAIL_HOST", "BOOKING_SMTP_HOST", at=lambda m: _settings(m, "booking"))),
    Fault("a required setting that is missing", "settings", _drop("ACCESS_ISSUER", at=lambda m: _settings(m, "access"))),
    Fault("an issuer that one program spells otherwise", "origins", _set("https://id.example.org/realms/regiohub", "BILLING_ISSUER", at=lambda m: _settings(m, "billing"))),
    Fault("a name that the gateway does not know as its own", "origins", _drop("GATEWAY_INTERNAL_HOSTS", at=lambda m: _settings(m, "gateway"))),
    Fault("a value that the realm does not read", "origins", _set("localhost", "RH_MAIL_HOST", at=lambda m: _settings(m, "keycloak"))),
    Fault("a probe that asks a path nobody serves", "probes", _set("/ready", "readinessProbe", "httpGet", "path", at=lambda m: _container(m, "gateway-api"))),
    Fault("a worker whose loops nobody looks at", "probes", _drop("livenessProbe", at=lambda m: _container(m, "billing-worker"))),
    Fault("a worker that may not deliver its facts", "network", _drop("egress", at=lambda m: _spec(m, "NetworkPolicy", "access-worker"))),
    Fault("a service that is open to everyone inside", "network", _open_to_all),
    Fault("a rule that names nobody and so lets in everybody", "network", _rule("ingress", "access-api", {})),
    Fault("a service that is open to another namespace", "network", _rule("ingress", "booking-api", _NEIGHBOURS)),
    Fault("a worker that may reach databases anywhere", "network", _rule("egress", "booking-worker", _ANYWHERE)),
    Fault("an address with a wrong port", "network", _set("http://booking-api:8080", "GATEWAY_BOOKING_URL", at=lambda m: _settings(m, "gateway"))),
    Fault("a logout that Keycloak sends to a wrong port", "network", _set("http://gateway-api:80", "RH_GATEWAY_URL", at=lambda m: _settings(m, "keycloak"))),
    Fault("a container that may write to its image", "security", _set(False, "securityContext", "readOnlyRootFilesystem", at=lambda m: _container(m, "booking-worker"))),
    Fault("a container that runs as root although its pod may not", "security", _set(0, "securityContext", "runAsUser", at=lambda m: _container(m, "gateway-api"))),
    Fault("a container without a memory limit", "security", _drop("memory", at=lambda m: _container(m, "access-api")["resources"]["limits"])),
    Fault("a budget that lets no node be drained", "scaling", _set(0, "maxUnavailable", at=lambda m: _spec(m, "PodDisruptionBudget", "gateway-api"))),
    Fault("a grace shorter than the longest request", "scaling", _set(20, "template", "spec", "terminationGracePeriodSeconds", at=lambda m: _spec(m, "Deployment", "gateway-api"))),
    Fault("a worker whose probe asks another port", "ports", _set(8001, "livenessProbe", "httpGet", "port", at=lambda m: _container(m, "billing-worker"))),
    Fault("metrics that nobody fetches", "probes", _remove("PodMonitor", "regiohub")),
    Fault("a worker that listens where no probe asks", "programs", _told("--port=8000", "--port=9000", "booking-worker")),
    Fault("an API that only its own pod hears", "programs", _told("--host=0.0.0.0", "--host=127.0.0.1", "access-api")),
    Fault("an API that waits for ever for a head", "programs", _told("--http=regiohub_shared.web.server:BoundedHttp", None, "gateway-api")),
    Fault("an API that closes connections before its callers do", "programs", _told("--timeout-keep-alive=5", "--timeout-keep-alive=1", "booking-api")),
    Fault("an API that waits for ever for its last answer", "programs", _told("--timeout-graceful-shutdown=30", None, "billing-api")),
    Fault("a worker in another program's image", "programs", _set("regiohub/booking:0.1.0", "image", at=lambda m: _container(m, "access-worker"))),
    Fault("an API that works as its database's owner", "programs", _set("access-database-owner", "env", -1, "valueFrom", "secretKeyRef", "name", at=lambda m: _container(m, "access-api"))),
    Fault("a worker that reads another program's database", "programs", _set("booking-database", "env", -1, "valueFrom", "secretKeyRef", "name", at=lambda m: _container(m, "billing-worker"))),
    Fault("a worker that may not call Stripe while its API may", "network", lambda m: _spec(m, "NetworkPolicy", "billing-worker")["egress"].pop()),
    Fault("no rule that denies what no other names", "network", _remove("NetworkPolicy", "default-deny")),
    Fault("pods that may not look up a name", "network", _remove("NetworkPolicy", "dns")),
    Fault("a route from outside to a service", "network", _set("booking-api", "rules", 0, "backendRefs", 0, "name", at=lambda m: _spec(m, "HTTPRoute", "gateway"))),
    Fault("two addresses that were swapped", "network", _set("http://access-api:8000", "GATEWAY_BOOKING_URL", at=lambda m: _settings(m, "gateway"))),
    Fault("a pod that ends while proxies still send", "scaling", _drop("lifecycle", at=lambda m: _container(m, "booking-api"))),
    Fault("more connections than the database takes", "connections", _set("20", "BOOKING_POOL_SIZE", at=lambda m: _settings(m, "booking"))),
)  # fmt: skip
