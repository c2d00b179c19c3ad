"""Stripe's form encoding: ``line_items[0][price_data][currency]=eur`` becomes nested lists and dicts."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from regiohub_local.stripe_sandbox.errors import StripeRefusal

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEPTH = 8


def decode(encoded: str) -> dict[str, Any]:
    """Return the nested parameters of a form body or query string; raises a refusal for a broken one."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded), max_num_fields=2000)
    except ValueError as error:
        raise StripeRefusal("Invalid request body: not form-encoded.") from error
    return nest(pairs)


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the pairs as a tree; runs of numbers 0..n become lists, ``a[]`` appends."""
    root: dict[str, Any] = {}
    for key, value in pairs:
        path = _path(key)
        node = root
        for part in path[:-1]:
            node = _child(node, part, key)
        last = str(len(node)) if path[-1] == "" else path[-1]
        if last in node:
            raise StripeRefusal(f"Invalid request: '{key}' is given twice.", param=key)
        node[last] = value
    return {key: _listed(value) for key, value in root.items()}


def _path(key: str) -> list[str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise StripeRefusal(f"Invalid parameter name: {key}", param=key)
    path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(path) > _DEPTH:
        raise StripeRefusal(f"Parameter nested too deeply: {key}", param=key)
    return path


def _child(node: dict[str, Any], part: str, key: str) -> dict[str, Any]:
    child = node.setdefault(part, {})
    if not isinstance(child, dict):
        raise StripeRefusal(f"Invalid request: '{key}' is both a value and an object.", param=key)
    return child


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    children = {key: _listed(child) for key, child in value.items()}
    if set(children) == {str(index) for index in range(len(children))}:
        return [children[str(index)] for index in range(len(children))]
    return children
