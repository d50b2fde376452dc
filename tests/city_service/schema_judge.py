"""As much of JSON Schema 2020-12 as the OpenAPI description uses; a keyword that it does not know is an error.

CBOR as the description writes it: map keys as text, byte strings as lower-case hex.
"""

import re
from collections.abc import Callable
from typing import Any

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
}
NOTES = {"description", "contentEncoding", "contentMediaType", "default"}


def as_described(value: Any) -> Any:
    """A decoded CBOR value in the description's spelling."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): as_described(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [as_described(member) for member in value]
    return value


class Judge:
    """Judges values by the schemas of one description."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._description = description

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What a reference stands for."""
        while "$ref" in schema:
            found: Any = self._description
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def faults(self, value: Any, schema: dict[str, Any], where: str = "") -> list[str]:
        """Everything that does not fit; empty: it fits."""
        schema = self.resolved(schema)
        found: list[str] = []
        for keyword, said in schema.items():
            if keyword not in NOTES:
                found += getattr(self, f"_{keyword}")(value, said, schema, where)
        return found

    def _type(self, value: Any, said: str, _schema: Any, where: str) -> list[str]:
        return [] if TYPES[said](value) else [f"{where}: {type(value).__name__} is no {said}"]

    def _properties(self, value: Any, said: dict[str, Any], _schema: Any, where: str) -> list[str]:
        present = [name for name in said if isinstance(value, dict) and name in value]
        return [fault for name in present for fault in self.faults(value[name], said[name], f"{where}/{name}")]

    def _required(self, value: Any, said: list[str], _schema: Any, where: str) -> list[str]:
        return [f"{where}: {name} is missing" for name in said if isinstance(value, dict) and name not in value]

    def _additionalProperties(self, value: Any, said: Any, schema: Any, where: str) -> list[str]:
        assert said is False
        return [f"{where}: {name} is unknown" for name in value if name not in schema["properties"]]

    def _items(self, value: Any, said: dict[str, Any], _schema: Any, where: str) -> list[str]:
        return [fault for at, one in enumerate(value) for fault in self.faults(one, said, f"{where}/{at}")]

    def _prefixItems(self, value: Any, said: list[Any], _schema: Any, where: str) -> list[str]:
        pairs = enumerate(zip(value, said, strict=False))
        return [fault for at, (one, rule) in pairs for fault in self.faults(one, rule, f"{where}/{at}")]

    def _oneOf(self, value: Any, said: list[Any], _schema: Any, where: str) -> list[str]:
        fitting = [rule for rule in said if not self.faults(value, rule)]
        return [] if len(fitting) == 1 else [f"{where}: fits {len(fitting)} of {len(said)}"]

    def _pattern(self, value: Any, said: str, _schema: Any, where: str) -> list[str]:
        return [] if isinstance(value, str) and re.search(said, value) else [f"{where}: not like {said}"]

    def _minimum(self, value: Any, said: int, _schema: Any, where: str) -> list[str]:
        return [] if type(value) is int and value >= said else [f"{where}: below {said}"]

    def _maximum(self, value: Any, said: int, _schema: Any, where: str) -> list[str]:
        return [] if type(value) is int and value <= said else [f"{where}: above {said}"]

    def _minLength(self, value: Any, said: int, _schema: Any, where: str) -> list[str]:
        return [] if len(value) >= said else [f"{where}: shorter than {said}"]

    def _maxLength(self, value: Any, said: int, _schema: Any, where: str) -> list[str]:
        return [] if len(value) <= said else [f"{where}: longer than {said}"]

    def _minItems(self, value: Any, said: int, _schema: Any, where: str) -> list[str]:
        return [] if len(value) >= said else [f"{where}: fewer than {said}"]

    def _maxItems(self, value: Any, said: int, _schema: Any, where: str) -> list[str]:
        return [] if len(value) <= said else [f"{where}: more than {said}"]
