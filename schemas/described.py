"""JSON Schemas that say of each field what the text below it says, for producers and for editors.

Rules:
1. The texts are read from the source only when a schema is to be published: who starts to judge needs none of them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class DescribedJsonSchema(GenerateJsonSchema):
    """JSON Schemas whose properties carry as description the text below their field in the source."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The schema of one model, its properties described."""
        model, found = schema["cls"], super().model_schema(schema)
        for holder in reversed(model.__mro__):
            texts = _texts(holder.__module__).get(holder.__qualname__, {}) if issubclass(holder, BaseModel) else {}
            for name, text in texts.items():
                if (field := model.model_fields.get(name)) is not None:
                    found["properties"][field.alias or name]["description"] = text
        return found


@cache
def _texts(module: str) -> dict[str, dict[str, str]]:
    """By each class at the top of a module the text below each field that it has of its own, where there is one."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {each.name: dict(_described(each)) for each in tree.body if isinstance(each, ast.ClassDef)}


def _described(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(definition.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        match below:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield field.target.id, inspect.cleandoc(text)
