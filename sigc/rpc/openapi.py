"""The OpenAPI document, built from the verbs. Deterministic: the same verbs give the same bytes."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin

from sigc.errors import Diagnostic
from sigc.rpc.schema import Bounds, Match, encode, hints, required
from sigc.rpc.verb import KEY_PATTERN, Verb

_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    Any: {},
    object: {},
}
_REFUSALS = {
    "400": "Malformed JSON or query.",
    "401": "No token, or a wrong one.",
    "403": "The role, the Host or the Origin does not allow it.",
    "405": "The route has other methods.",
    "409": "The daemon refuses: the diagnostics say why.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "Unknown fields, wrong types, or invalid values; nothing was changed.",
    "429": "Too many wrong tokens.",
    "500": "Internal error of the daemon; its log has more under the request's id.",
    "503": "Starting, stopping, or not able to audit.",
    "504": "It takes longer than the time limit; a repeat with the same key waits for the same work.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorReply:
    """The body of every reply with a status from 400 on."""

    message: str
    diagnostics: tuple[Diagnostic, ...] = ()


def document(verbs: Iterable[Verb[Any]], version: str) -> dict[str, Any]:
    """Return the document: one operation a verb, one schema a dataclass."""
    schemas: dict[str, Any] = {}
    schema(ErrorReply, schemas)
    paths: dict[str, Any] = {}
    for verb in verbs:
        paths.setdefault(verb.path, {})[verb.method.lower()] = _operation(verb, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "sigc", "version": version},
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a type; schemas of dataclasses are put into `schemas` and referred to.

    >>> schema(tuple[int, ...], {})
    {'type': 'array', 'items': {'type': 'integer'}}
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    if origin is Annotated:
        return schema(arguments[0], schemas) | {k: v for rule in arguments[1:] for k, v in _ruled(rule).items()}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema(inner, schemas) for inner in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": schema(arguments[0], schemas)}
    if origin is not None:
        return {"type": "object", "additionalProperties": schema(arguments[1], schemas)}
    if not dataclasses.is_dataclass(kind):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return {"enum": [member.value for member in kind]}
        return {"type": "object"}
    return _record(kind, schemas)


def _record(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in schemas:
        schemas[name] = {}  # entered first: a type may contain itself
        fields = dataclasses.fields(kind)
        properties: dict[str, Any] = {}
        for field in fields:
            properties[field.name] = schema(hints(kind)[field.name], schemas)
            if field.default is not dataclasses.MISSING:
                properties[field.name]["default"] = encode(field.default)
        schemas[name] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip().partition("\n")[0],
            "properties": properties,
            "required": [field.name for field in fields if required(field)],
            "additionalProperties": False,
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _ruled(rule: object) -> dict[str, Any]:
    match rule:
        case Match(pattern):
            return {"pattern": f"^(?:{pattern})$"}
        case Bounds(minimum, maximum):
            bounds = {"minimum": encode(minimum), "maximum": encode(maximum)}
            return {name: bound for name, bound in bounds.items() if bound is not None}
    return {}


def _operation(verb: Verb[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    media = "text/event-stream" if verb.is_stream else "application/json"
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorReply"}}}
    operation: dict[str, Any] = {
        "operationId": verb.name.replace("/", "_"),
        "summary": verb.summary,
        "x-role": verb.role.value,
        "responses": {
            "200": {"description": "Done.", "content": {media: {"schema": schema(verb.reply, schemas)}}},
            **{status: {"description": text, "content": error} for status, text in _REFUSALS.items()},
        },
    }
    if verb.method == "POST":
        key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": KEY_PATTERN}}
        operation["parameters"] = [key | {"description": "Idempotent: under one key the work is done once."}]
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema(verb.request, schemas)}},
        }
    else:
        own: dict[str, Any] = {}
        schema(verb.request, own)
        record = own.pop(verb.request.__name__)  # spelled out as parameters instead
        schemas.update(own)
        operation["parameters"] = [
            {"name": name, "in": "query", "required": name in record["required"], "schema": inner}
            for name, inner in record["properties"].items()
        ]
    return operation
