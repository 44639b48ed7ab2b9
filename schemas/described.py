"""JSON Schemas that say of each field what the text below it says, for producers and for editors.

Rules:
1. The texts are read from the source only when a schema is to be published: who starts to judge needs none of them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class DescribedJsonSchema(GenerateJsonSchema):
    """JSON Schemas whose properties carry as description the text below their field in the source."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The schema of one model, its properties described."""
        model, found = schema["cls"], super().model_schema(schema)
        for holder in reversed(model.__mro__):
            for name, text in _texts(holder).items() if issubclass(holder, BaseModel) else ():
                if (field := model.model_fields.get(name)) is not None:
                    found["properties"][field.alias or name]["description"] = text
        return found


def _texts(model: type[Any]) -> dict[str, str]:
    """The text below each field that a model has of its own, where there is one."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }
