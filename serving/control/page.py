"""The documentation as one page that needs no other site and no script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.6rem;"
    "overflow:auto}h2{margin-top:2.2rem;border-bottom:1px solid #ccc}summary{cursor:pointer}"
    "table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;vertical-align:top}"
)


def documentation(openapi: Mapping[str, Any]) -> str:
    """HTML of an OpenAPI document: operations by tag, their parameters, bodies and answers."""
    groups: dict[str, list[str]] = {}
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_operation(openapi, method, path, operation))
    info = openapi["info"]
    body = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in groups.items()
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])}</p>{body}</html>"
    )


def _operation(openapi: Mapping[str, Any], method: str, path: str, what: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}"
        f"<td>{escape(one.get('description', ''))}"
        for one in what.get("parameters", ())
    )
    content = what.get("requestBody", {}).get("content", {}).get("application/json")
    body = ""
    if content:
        schema = _resolved(openapi, content["schema"])
        fields = "".join(
            f"<tr><td><code>{escape(name)}</code>"
            f"<td>{'required' if name in schema.get('required', ()) else ''}"
            f"<td>{escape(field.get('description', ''))}"
            for name, field in schema.get("properties", {}).items()
        )
        examples = "".join(
            f"<pre>{escape(json.dumps(example, indent=2))}</pre>"
            for example in schema.get("examples", ())
        )
        body = f"<h4>Body</h4><table>{fields}</table>{examples}"
    answers = "".join(
        f"<tr><td>{escape(status)}<td>{escape(answer.get('description', ''))}"
        for status, answer in what["responses"].items()
    )
    return (
        f"<details><summary><code>{escape(method.upper())} {escape(path)}</code> "
        f"{escape(what.get('summary', ''))}</summary><p>{escape(what.get('description', ''))}</p>"
        f"<table>{rows}</table>{body}<h4>Answers</h4><table>{answers}</table></details>"
    )


def _resolved(openapi: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = openapi["components"]["schemas"][name] if name else schema
    return found
