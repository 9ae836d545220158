"""What the server takes and gives, as OpenAPI 3.1 has it. Pure."""

from __future__ import annotations

from typing import Any

from holdfast._version import __version__
from holdfast.pipeline.serving.limits import Limits


def description(model: str, limits: Limits) -> dict[str, Any]:
    """The OpenAPI document of a server."""
    text = {"type": "string", "description": "Any text. Places in it are counted in characters (Unicode code points), from 0."}
    entity = _object(
        start={"type": "integer", "minimum": 0, "description": "First character."},
        end={"type": "integer", "minimum": 0, "description": "The character after its last."},
        label={"type": "string"},
        text={"type": "string"},
        score={"type": "number", "minimum": 0, "maximum": 1, "description": "Mean probability of the tags of its words."},
    )
    entities = _object(entities={"type": "array", "items": {"$ref": "#/components/schemas/Entity"}})
    answered = {
        "200": _answer("The entities, in order.", {"oneOf": [_ref("Entities"), _ref("Documents")]}),
        "400": _refused("No JSON, or it ended too early."),
        "408": _refused("The body did not come within the time."),
        "413": _refused(f"More than {limits.size:,} bytes."),
        "415": _refused("Something else than application/json."),
        "422": _refused("Neither a text nor a list of texts."),
        "500": _refused("The model failed on it."),
        "503": _refused("Too many texts wait; Retry-After says when to come again."),
        "504": _refused("No answer within the time."),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Entities by {model}", "version": __version__},
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Find the entities of a text, or of several",
                    "operationId": "predict",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"oneOf": [_ref("Text"), _ref("Texts")]}}},
                    },
                    "responses": answered,
                }
            },
            "/health": {
                "get": {
                    "summary": "Whether it works, with what, and how many texts wait",
                    "operationId": "health",
                    "responses": {"200": _answer("It works.", _ref("Health"))},
                }
            },
        },
        "components": {
            "schemas": {
                "Text": _object(text=text),
                "Texts": _object(texts={"type": "array", "items": text, "minItems": 1, "maxItems": limits.texts}),
                "Entity": entity,
                "Entities": entities,
                "Documents": _object(documents={"type": "array", "items": _ref("Entities")}),
                "Health": _object(
                    model={"type": "string"},
                    labels={"type": "array", "items": {"type": "string"}},
                    waiting={"type": "integer", "minimum": 0},
                ),
                "Error": _object(error={"type": "string", "description": "What is wrong, and what to do."}),
            }
        },
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _refused(what: str) -> dict[str, Any]:
    return _answer(what, _ref("Error"))
