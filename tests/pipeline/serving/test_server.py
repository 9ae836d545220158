"""`holdfast serve`: a real process, a real model, a real browser, and requests that mean harm."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from holdfast.pipeline.conversion.predict import Predictor
from holdfast.pipeline.conversion.predict_files import as_row
from holdfast.pipeline.data.documents import Document
from tests.pipeline.serving.chromium import run_in
from tests.pipeline.serving.served import JSON, Served

HEAD = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#: The model was not trained, and finds something in everything.
TEXT = "\U0001f600 Ada Lovelace walked to London, \U0001d49c and New York"


@pytest.fixture(scope="module")
def served(converted_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of this module: none of them harms the next."""
    made = Served(converted_once, tmp_path_factory.mktemp("served"))
    try:
        yield made
    finally:
        code = made.end()
    assert (code, made.log.read_text()) == (0, ""), "it ends without a word at Ctrl-C, and nothing was worth one before"


@pytest.fixture(scope="module")
def predictor(converted_once: Path) -> Predictor:
    return Predictor(converted_once)


def rows(predictor: Predictor, text: str) -> list[dict[str, Any]]:
    return [as_row(e) for e in predictor.entities(text)]


def test_it_says_once_where_it_answers(served: Served, converted_once: Path) -> None:
    assert served.said == f"{converted_once} answers at http://127.0.0.1:{served.port}/  (Ctrl-C ends it)\n"


def test_a_text_has_the_entities_that_predict_finds_and_so_have_several(
    served: Served, predictor: Predictor, documents: Sequence[Document]
) -> None:
    assert rows(predictor, TEXT), "else this shows nothing"
    assert served.predict({"text": TEXT}).json == {"entities": rows(predictor, TEXT)}
    texts = [d.text for d in documents]
    assert served.predict({"texts": texts}).json == {"documents": [{"entities": rows(predictor, t)} for t in texts]}


def test_half_a_character_and_an_empty_text_are_texts(served: Served, predictor: Predictor) -> None:
    for text in ("Ada \ud800 walked", ""):
        assert served.predict({"text": text}).json == {"entities": rows(predictor, text)}


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b'{"text": ', JSON, 400, 'that is no JSON in UTF-8; send {"text": "..."}'),
        (b'{"text": "\xff"}', JSON, 400, "no JSON in UTF-8"),
        (b"[" * 100_000, JSON, 400, "no JSON"),
        (b'{"text": "x"}', {}, 415, "Content-Type: application/json"),
        (b"text=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "Content-Type: application/json"),
        (b'"x"', JSON, 422, 'send {"text": "..."}, or {"texts": ["...", "..."]}, and nothing else'),
        (b'{"text": 1}', JSON, 422, "and nothing else"),
        (b'{"texts": []}', JSON, 422, "and nothing else"),
        (b'{"text": "x", "texts": ["x"]}', JSON, 422, "and nothing else"),
        (json.dumps({"texts": ["x"] * 65}).encode(), JSON, 422, "65 texts; send at most 64 at a time"),
        (b" " * 200_001, JSON, 413, "more than 200,000 bytes; send less at a time"),
    ],
)
def test_what_it_cannot_read_is_one_line_that_says_what_to_send(
    served: Served, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    answer = served.ask("POST", "/predict", body, headers)
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert said in answer.json["error"]


def test_other_paths_and_methods_are_led_to_the_right_one(served: Served) -> None:
    for method, path, status in (("GET", "/predict", 405), ("POST", "/health", 405), ("GET", "/nothing", 404)):
        answer = served.ask(method, path)
        assert (answer.status, "POST to /predict, or see /openapi.json" in answer.json["error"]) == (status, True)


def test_more_than_is_taken_is_not_read_to_its_end_whether_its_size_is_told_or_not(served: Served) -> None:
    for told in ("Content-Length: 1000000000", "Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as line:
            line.sendall(f"{HEAD}{told}\r\n\r\n".encode())
            with contextlib.suppress(ConnectionError):  # it may be closed while this still sends
                for _ in range(10):
                    line.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n" if "chunked" in told else b"a" * 65536)
            assert b" 413 " in line.recv(1000).partition(b"\r\n")[0]


def test_a_page_of_somebody_elses_that_was_led_here_by_its_name_is_not_answered(served: Served) -> None:
    assert served.ask("GET", "/health", headers={"Host": "elsewhere.example"}).status == 400
    assert served.ask("GET", "/health", headers={"Host": f"localhost:{served.port}"}).status == 200


def test_connections_that_say_nothing_or_nonsense_or_leave_cost_nobody_an_answer(served: Served, predictor: Predictor) -> None:
    lines = [socket.create_connection(("127.0.0.1", served.port), timeout=60) for _ in range(200)]
    try:
        for number, line in enumerate(lines):
            begin = f"{HEAD}Content-Length: 1{number:02}\r\n\r\n".encode()
            line.sendall((b"", b"no HTTP at all\r\n\r\n", begin, begin + b'{"text"')[number % 4])
        for line in lines[::2]:
            line.close()
        assert served.predict({"text": TEXT}).json == {"entities": rows(predictor, TEXT)}
    finally:
        for line in lines:
            line.close()
    assert served.ask("GET", "/health").json["waiting"] == 0


def test_what_it_answers_is_what_its_description_says(served: Served) -> None:
    described = served.ask("GET", "/openapi.json").json
    paths = described["paths"]
    assert {(path, method) for path, of in paths.items() for method in of} == {("/predict", "post"), ("/health", "get")}

    def check(call: Any, status: int, content: Any) -> None:
        schema = call["responses"][str(status)]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": described["components"]}).validate(content)

    predict = paths["/predict"]["post"]
    asked = predict["requestBody"]["content"]["application/json"]["schema"]
    for content, status in (({"text": TEXT}, 200), ({"texts": [TEXT, ""]}, 200), ({"texts": []}, 422)):
        answer = served.predict(content)
        assert answer.status == status
        check(predict, status, answer.json)
        assert Draft202012Validator({**asked, "components": described["components"]}).is_valid(content) == (status == 200)
    check(paths["/health"]["get"], 200, served.ask("GET", "/health").json)


def test_the_page_marks_what_was_found_in_the_text_that_was_pasted_and_asks_nobody_else(
    served: Served, predictor: Predictor
) -> None:
    address = f"http://127.0.0.1:{served.port}/"
    hostile = TEXT + " <img src=x onerror=document.title='caught'>"
    shown = run_in(
        address,
        f"""(async () => {{
          document.getElementById("text").value = {json.dumps(hostile)};
          document.getElementById("find").click();
          while (!/entit/.test(document.getElementById("said").textContent)) await new Promise(r => setTimeout(r, 20));
          return {{
            marked: [...document.querySelectorAll("mark")].map(m => [m.firstChild.data, m.querySelector("small").textContent]),
            rows: [...document.querySelectorAll("#rows tr")].map(r => [...r.cells].map(c => c.textContent)),
            text: document.getElementById("marked").textContent, title: document.title, images: document.images.length,
            wide: document.documentElement.scrollWidth <= innerWidth}};
        }})()""",
    )
    wanted = rows(predictor, hostile)
    assert wanted
    assert shown.value["marked"] == [[e["text"], e["label"]] for e in wanted]
    assert shown.value["rows"] == [[e["label"], e["text"], str(e["start"]), str(e["end"]), f"{e['score']:.3f}"] for e in wanted]
    assert shown.value["title"].startswith("Entities by ")
    assert (shown.value["images"], shown.value["wide"]) == (0, True)
    assert shown.console == []
    assert {request.removeprefix(address) for request in shown.requests} <= {"", "health", "predict", "data:,"}


def test_a_port_that_is_taken_is_one_line_and_another_one_serves(served: Served, converted_once: Path) -> None:
    code, errors = _refused("-m", "holdfast", "serve", str(converted_once), "--port", str(served.port))
    assert code == 2
    assert errors.startswith(f"holdfast: nothing can listen at 127.0.0.1 port {served.port} (")
    assert errors.count("\n") == 1
    assert served.ask("GET", "/health").status == 200, "which took --port 0"


WITHOUT = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "uvicorn" else find(name, *more)
from holdfast.cli import main
main()
"""


def test_without_its_libraries_it_is_one_line_with_the_command(served: Served, converted_once: Path) -> None:
    code, errors = _refused("-c", WITHOUT, "serve", str(converted_once), "--port", "0")
    assert (code, errors) == (2, "holdfast: serve needs uvicorn, which is not installed; pip install 'holdfast[serve]'\n")
    assert served.ask("GET", "/health").status == 200, "where they are installed"


def _refused(*words: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr
