"""The judges of the paper's examples, one of them against a loopback server that speaks OpenAI's protocol."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import shed_hf
from shed_hf.utils.naming import stable_name

_SPEC = importlib.util.spec_from_file_location("judges", Path(__file__).parents[2] / "examples" / "paper" / "judges.py")
assert _SPEC is not None and _SPEC.loader is not None
judges: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(judges)


class Endpoint:
    """A chat-completions endpoint: gives its replies in turn, and keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append((self.path, self.headers.get("Authorization"), body))
                status, content = endpoint.replies.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nothing is logged."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def will_say(self, *contents: str) -> None:
        said = [{"choices": [{"message": {"role": "assistant", "content": content}}]} for content in contents]
        self.replies += [(200, json.dumps(one).encode()) for one in said]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def judge(endpoint: Endpoint, **changes: Any) -> Any:
    return judges.EndpointJudge(endpoint.url, "a-judge", **({"wait": 0.0, "attempts": 3} | changes))


def test_a_rating_is_asked_for_and_read(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    endpoint.will_say("Short, but [[3]] would be harsh. Rating: [[7.5]]", "Rating: [[ 10 ]]")
    asks = judge(endpoint)
    assert asks("What is salt?", "A mineral.", None) == 7.5
    assert asks("1 + 1?", "3", "2") == 10
    (path, key, first), (_, _, second) = endpoint.asked
    assert (path, key, first["model"], first["temperature"]) == (
        "/v1/chat/completions",
        "Bearer sk-secret",
        "a-judge",
        0,
    )
    (message,) = first["messages"]
    assert "What is salt?" in message["content"] and "A mineral." in message["content"]
    assert "Reference" not in message["content"]
    assert "[The Start of Reference Answer]\n2\n[The End of Reference Answer]" in second["messages"][0]["content"]
    assert "secret" not in stable_name(asks) + repr(asks)


def test_a_busy_endpoint_is_asked_again(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    endpoint.replies += [(503, b"busy"), (429, b"slow down")]
    endpoint.will_say("[[4]]")
    assert judge(endpoint)("?", "!", None) == 4
    assert [key for _, key, _ in endpoint.asked] == [None] * 3


@pytest.mark.parametrize(
    ("status", "content", "told", "n_asked"),
    [
        (401, b"no", "HTTP 401", 1),
        (500, b"no", "HTTP 500", 3),
        (200, b"<html>", "no chat completion", 1),
        (200, b'{"choices": []}', "no chat completion", 1),
        (200, b'{"choices": [{"message": {"content": "I like it."}}]}', "without a rating", 1),
        (200, b'{"choices": [{"message": {"content": "[[11]]"}}]}', "without a rating", 1),
    ],
)
def test_an_endpoint_that_gives_no_rating_is_an_error(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int, content: bytes, told: str, n_asked: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    endpoint.replies += [(status, content)] * 3
    with pytest.raises(shed_hf.ShedError, match=told) as error:
        judge(endpoint)("?", "!", None)
    assert len(endpoint.asked) == n_asked
    assert "secret" not in str(error.value)


def test_a_likelihood_is_a_score_from_1_to_10(tiny_model: Path) -> None:
    likely = judges.LikelihoodJudge(str(tiny_model))
    before = stable_name(likely)
    scores = [likely("Say something.", answer) for answer in ("The dog and the cat.", "The dog", " ")]
    assert all(1 < score < 10 for score in scores[:2])
    assert scores[2] == 1
    assert stable_name(likely) == before  # so a ledger of its scores can be gone on with
    assert shed_hf.Judged(likely).judge is likely
