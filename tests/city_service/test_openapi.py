"""The OpenAPI description says what the routes are, no more and no less. DESIGN §7."""

import json
import re
from importlib.resources import files
from typing import Any

from starlette.routing import Route

from offline_ledger.city.http import build_app
from offline_ledger.city.service import Service
from tests.city_service.desk import City

DESCRIPTION: dict[str, Any] = json.loads(files("offline_ledger.city").joinpath("openapi.json").read_text("utf-8"))


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(path, method.upper()): op for path, item in DESCRIPTION["paths"].items() for method, op in item.items()}


def test_paths_and_methods_are_the_routes() -> None:
    app = build_app(object.__new__(Service))
    routes = {
        (route.path, method)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set())
        if method != "HEAD"
    }
    assert routes == set(operations())


def test_structure() -> None:
    assert re.fullmatch(r"3\.1\.\d", DESCRIPTION["openapi"]) and DESCRIPTION["info"].keys() >= {"title", "version"}
    ids = [op["operationId"] for op in operations().values()]
    assert len(set(ids)) == len(ids)
    for (path, method), op in operations().items():
        assert op["summary"], path
        assert "200" in op["responses"]
        assert all(response["description"] for response in op["responses"].values())
        assert ("requestBody" in op) == (method == "POST")
        for parameter in op.get("parameters", []):
            assert parameter["in"] in ("query", "header") and "schema" in parameter
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DESCRIPTION)):
        found: Any = DESCRIPTION
        for part in reference.split("/"):
            found = found[part]


def test_it_is_served(city: City) -> None:
    answer = city.ask("GET", "/openapi.json")
    assert answer.content_type == "application/json" and json.loads(answer.body) == DESCRIPTION


def test_described_query_names_are_the_ones_read(city: City) -> None:
    for (path, method), op in operations().items():
        if method == "GET" and op.get("parameters"):
            name = op["parameters"][0]["name"]
            assert city.ask("GET", f"{path}?{name}=x.y").status == 400, path
