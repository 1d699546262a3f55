"""The remote engine, against a real HTTP server that answers well, slowly, or not at all."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from PIL import Image

from assistant import VisionLanguageModel
from assistant.vlm.answers import Completion, Request
from assistant.vlm.engine import remote
from assistant.vlm.engine.address import Address, read_address, with_dialect
from assistant.vlm.engine.remote import RemoteEngine
from assistant.vlm.engine.retries import RetryPolicy, TransientServerError
from assistant.vlm.errors import AssistantError, ServerError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import ABSENT_ANSWER, Task, Turn

from .model_server import (
    Answer,
    ModelServer,
    drops,
    fails,
    goes_on_and_on,
    is_silent,
    picture,
    question,
    says,
    sends,
    streams,
)

QUICK = RetryPolicy(connect=5, silence=20, answer=40, first_wait=0.01, longest_wait=0.02)
HASTY = RetryPolicy(connect=0.5, silence=0.5, answer=2, first_wait=0.01, longest_wait=0.02)
IMAGE = Image.new("RGB", (640, 480), "white")
REFER = Request(Task.REFER, "the dog", image=IMAGE)
CAPTION = Request(Task.CAPTION, image=IMAGE)
CHAT = Request(None, "hello")
BOX = '[{"bbox_2d": [100, 200, 500, 900], "label": "the dog"}]'


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASSISTANT_API_KEY", "OPENAI_API_KEY", "ASSISTANT_TIMEOUT", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as served:
        yield served


def connect(server: ModelServer, policy: RetryPolicy = QUICK, more: str = "") -> RemoteEngine:
    return RemoteEngine.connect(server.address + more, policy)


class Listener:
    """Records an answer, and stops it at a length."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.texts: list[str] = []
        self.stop_at = stop_at

    def on_text(self, request: int, raw: str) -> None:  # noqa: ARG002
        self.texts.append(raw)

    def should_stop(self) -> bool:
        return self.stop_at is not None and max(map(len, self.texts), default=0) >= self.stop_at


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("http://host:8000/v1", Address("http://host:8000/v1")),
            ("http://host:8000", Address("http://host:8000/v1")),
            ("HTTPS://host/api/v1/#a/b:7b", Address("https://host/api/v1", "a/b:7b")),
            ("http://host/v1?dialect=plain#m", Address("http://host/v1", "m", "plain")),
            ("http://localhost:2020/v1", Address("http://localhost:2020/v1", None, "moondream")),
            ("http://[::1]:8000/v1", Address("http://[::1]:8000/v1")),
        ],
    )
    def test_it_gives_url_model_and_dialect(self, text: str, address: Address) -> None:
        assert read_address(text) == address
        assert read_address(str(address)) == address

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("http://", "is not an address"),
            ("http://host:port/v1", "is not an address"),
            ("http://me:secret@host/v1", "takes no password: set ASSISTANT_API_KEY"),
            ("http://host/v1?temperature=2", "not temperature"),
        ],
    )
    def test_an_invalid_address_is_refused_without_showing_secrets(self, text: str, complaint: str) -> None:
        with pytest.raises(AssistantError, match=complaint) as caught:
            read_address(text)
        assert "secret" not in str(caught.value)

    def test_a_dialect_can_be_added(self) -> None:
        assert with_dialect("http://h/v1#m", "plain") == "http://h/v1?dialect=plain#m"
        assert with_dialect("nano", None) == "nano"
        with pytest.raises(ValueError, match="for a model behind an address"):
            with_dialect("nano", "plain")
        with pytest.raises(ValueError, match="conflicts with the address"):
            with_dialect("http://h/v1?dialect=gemma", "plain")


class TestAsking:
    def test_the_only_model_of_a_server_is_chosen(self, server: ModelServer) -> None:
        engine = connect(server)
        assert engine.name == f"{server.address}#qwen3-vl-4b"
        assert engine.dialect.name == "qwen3-vl"
        (answer,) = engine.generate([CAPTION])
        assert (answer.raw, answer.complete) == ("a dog", True)
        (body,) = server.chats
        assert (body["model"], body["temperature"], body["stream"]) == ("qwen3-vl-4b", 0, True)
        assert "logprobs" not in body

    def test_a_server_with_several_models_needs_a_name(self) -> None:
        with ModelServer("a", "b") as served:
            with pytest.raises(AssistantError, match=r"serves several models: name one of a, b, as .*#NAME"):
                connect(served)
            assert connect(served, more="#b").generate([CHAT])[0].raw == "a dog"
            assert served.chats[0]["model"] == "b"

    def test_boxes_come_out_in_our_format(self, server: ModelServer) -> None:
        server.usually = says(BOX)
        (answer,) = connect(server).generate([REFER])
        assert answer.raw == "{<10><20><50><90>}"
        assert answer.grounded.boxes == (Box(10, 20, 50, 90),)
        assert answer.grounded.boxes[0].score is None

    def test_the_score_of_a_box_is_that_of_its_digits(self, server: ModelServer) -> None:
        server.usually = says(f"Surely, here it is: {BOX}", probability=0.81)
        (answer,) = connect(server).generate([REFER])
        assert answer.grounded.boxes[0].score == pytest.approx(0.81)

    @pytest.mark.parametrize(
        ("text", "log"),
        [pytest.param("x", -0.1, id="another text"), pytest.param(BOX, float("nan"), id="no number")],
    )
    def test_tokens_without_the_boxs_probability_give_no_score(
        self, server: ModelServer, text: str, log: float
    ) -> None:
        token = {"token": text, "logprob": log, "bytes": None, "top_logprobs": []}
        choice = {"index": 0, "delta": {"content": BOX}, "logprobs": {"content": [token]}}
        server.usually = streams({"choices": [choice | {"finish_reason": "stop"}]}, "[DONE]")
        (answer,) = connect(server).generate([REFER])
        assert answer.grounded.boxes == (Box(10, 20, 50, 90),)
        assert answer.grounded.boxes[0].score is None

    def test_an_absent_thing_is_denied_as_our_model_does(self, server: ModelServer) -> None:
        server.usually = says("[]")
        (answer,) = connect(server).generate([REFER])
        assert (answer.raw, answer.grounded.phrases) == (ABSENT_ANSWER, ())

    def test_the_image_is_sent_in_the_dialects_size(self, server: ModelServer) -> None:
        wide = Image.new("RGB", (4096, 512), "red")
        connect(server).generate([Request(Task.CAPTION, image=wide)])
        seen = picture(server.chats[0])
        assert (seen.format, seen.size) == ("JPEG", (1536, 192))
        red, green, blue = seen.convert("RGB").getpixel((700, 90))  # type: ignore[misc]
        assert red > 200
        assert green < 40
        assert blue < 40

    def test_earlier_turns_are_sent_with_the_image_in_the_first(self, server: ModelServer) -> None:
        history = (Turn("what is it?", "A dog."),)
        connect(server).generate([Request(None, "really?", image=IMAGE, history=history)])
        first, second, third = server.chats[0]["messages"]
        assert [part["type"] for part in first["content"]] == ["image_url", "text"]
        assert (second["role"], second["content"], third["content"]) == ("assistant", "A dog.", "really?")

    def test_a_batch_is_answered_in_order_several_at_a_time(
        self, server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(remote, "_MAX_CONCURRENT", 3)
        server.usually = says(lambda body: question(body).split()[-1], delay=0.02)
        answers = connect(server).generate([Request(None, f"number {number}") for number in range(9)])
        assert [answer.raw for answer in answers] == [str(number) for number in range(9)]
        assert 1 < server.most_at_once <= 3

    def test_several_threads_ask_at_once(self, server: ModelServer) -> None:
        server.usually = says(lambda body: question(body), delay=0.01)
        engine, got = connect(server), {}

        def ask(number: int) -> None:
            got[number] = engine.generate([Request(None, str(number))])[0].raw

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert got == {number: str(number) for number in range(6)}

    def test_our_own_model_gets_our_prompts_and_zooms_in(self) -> None:
        with ModelServer("nano", usually=says("{<40><40><50><50>}")) as served:
            engine = connect(served)
            (answer,) = engine.generate([REFER])
            assert engine.dialect.name == "ours"
            assert [question(body) for body in served.chats] == [
                "[refer] give me the location of the dog"
            ] * 3
            assert len(answer.grounded.boxes) == 1

    def test_other_models_are_asked_once(self, server: ModelServer) -> None:
        server.usually = says('[{"bbox_2d": [400, 400, 500, 500]}]')
        connect(server).generate([REFER])
        assert len(server.chats) == 1

    def test_the_plain_dialect_sends_a_schema(self) -> None:
        with ModelServer("some-model", usually=says('{"objects": []}')) as served:
            connect(served).generate([REFER, CAPTION])
            by_task = {question(body)[:8]: body for body in served.chats}
            form = by_task["Locate t"]["response_format"]
            assert form["json_schema"]["schema"]["required"] == ["objects"]
            assert "response_format" not in by_task["Describe"]

    def test_the_facade_uses_it(self, server: ModelServer) -> None:
        model = VisionLanguageModel.load(server.address)
        server.usually = says(BOX)
        found = model.refer(IMAGE, "the dog")
        assert (found.box, found.confidence) == (Box(10, 20, 50, 90), None)
        server.usually = says(BOX, probability=0.5)
        assert model.refer(IMAGE, "the dog").confidence == pytest.approx(0.5)
        server.usually = says("none")
        assert (model.refer(IMAGE, "the cat").box, model.refer(IMAGE, "the cat").confidence) == (None, 0.0)

    def test_it_cannot_plan(self, server: ModelServer) -> None:
        engine = connect(server)
        assert not engine.plans
        with pytest.raises(ServerError, match="only answers questions"):
            engine.complete([Completion("Plan:")])

    def test_what_people_and_models_say_is_logged_for_debugging_alone(
        self, server: ModelServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine = connect(server)
        for level, count in ((logging.INFO, 0), (logging.DEBUG, 1)):
            caplog.set_level(level, "assistant")
            caplog.clear()
            engine.generate([Request(None, "a secret")])
            logged = [record.getMessage() for record in caplog.records if record.name.startswith("assistant")]
            assert sum("a secret" in line and "a dog" in line for line in logged) == count

    def test_an_invalid_request_fails_before_anything_is_sent(self, server: ModelServer) -> None:
        engine = connect(server)
        with pytest.raises(ValueError, match=r"\[refer\] needs"):
            engine.generate([Request(Task.REFER, "", image=IMAGE)])
        assert server.chats == []

    def test_moondream_is_called_by_its_own_api(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ASSISTANT_API_KEY", "moon")
        box = {"x_min": 0.1, "y_min": 0.2, "x_max": 0.5, "y_max": 0.9}
        with ModelServer(
            usually=sends(json.dumps({"objects": [box]}).encode(), "application/json")
        ) as served:
            engine = connect(served, more="?dialect=moondream")
            (answer,) = engine.generate([REFER])
            assert (answer.raw, answer.complete) == ("{<10><20><50><90>}", True)
            ((path, headers, body),) = served.seen
            assert (path, body["object"]) == ("/v1/detect", "the dog")
            assert {name.lower(): value for name, value in headers.items()}["x-moondream-auth"] == "moon"


class TestListeners:
    def test_a_listener_gets_the_growing_answer_in_our_format(self, server: ModelServer) -> None:
        text = (
            '[{"bbox_2d": [0, 0, 100, 100], "label": "dog"}, {"bbox_2d": [200, 0, 300, 100], "label": "dog"}]'
        )
        server.usually = says(text, delay=0.005)
        listener = Listener()
        (answer,) = connect(server).generate([Request(Task.DETECTION, "dogs", image=IMAGE)], listener)
        assert listener.texts[-1] == answer.raw == "<p>dog</p> {<0><0><10><10>}<delim>{<20><0><30><10>}"
        assert any(raw.count("{") == 1 for raw in listener.texts)

    def test_a_stopped_answer_keeps_its_text_and_closes_the_connection(self, server: ModelServer) -> None:
        server.usually = goes_on_and_on()
        (answer,) = connect(server).generate([CHAT], Listener(stop_at=10))
        assert not answer.complete
        assert answer.raw.startswith("dog dog")
        assert server.left.wait(10)

    def test_a_request_to_a_silent_server_can_be_stopped_at_once(
        self, server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.usually = is_silent()
        listener = Listener()
        monkeypatch.setattr(listener, "should_stop", lambda: bool(server.chats))
        (answer,) = connect(server).generate([CHAT], listener)
        assert (answer.raw, answer.complete) == ("", False)
        assert server.left.wait(10)

    @pytest.mark.parametrize(
        ("request_", "text", "pieces"),
        [(CHAT, "one two three", 3), (REFER, BOX, 1)],
        ids=["words", "boxes"],
    )
    def test_a_stream_is_the_answer_in_pieces(
        self, server: ModelServer, request_: Request, text: str, pieces: int
    ) -> None:
        server.usually = says(text, delay=0.1 if pieces > 1 else 0)
        engine = connect(server)
        received = list(engine.stream(request_))
        assert "".join(received) == engine.generate([request_])[0].raw
        assert len(received) == pieces

    def test_closing_a_stream_closes_the_connection(self, server: ModelServer) -> None:
        server.usually = goes_on_and_on()
        stream = connect(server).stream(CHAT)
        assert next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert server.left.wait(10)

    def test_an_answer_cut_at_the_token_limit_is_not_complete(self, server: ModelServer) -> None:
        server.usually = says("a dog and", finish="length")
        assert not connect(server).generate([CAPTION])[0].complete

    def test_a_server_that_ignores_the_limit_is_stopped(self, server: ModelServer) -> None:
        server.usually = goes_on_and_on("dog " * 4000)
        (answer,) = connect(server).generate([CAPTION])
        assert not answer.complete
        assert server.left.wait(10)

    def test_a_server_without_streaming_works(self, server: ModelServer) -> None:
        server.usually = says(BOX, streams=False, probability=0.9)
        engine = connect(server)
        (answer,) = engine.generate([REFER])
        assert answer.grounded.boxes[0].score == pytest.approx(0.9)


class TestRetries:
    @pytest.mark.parametrize(
        "trouble",
        [
            fails(500), fails(502), fails(503, "loading the model"), fails(529), fails(408),
            fails(429, "slow down"), fails(429, "slow down", Retry_After="0"),
            drops(), drops('[{"bbox_2d": [1'), streams({"error": {"message": "CUDA out of memory"}}),
        ],
    )  # fmt: skip
    def test_a_transient_failure_is_retried(self, server: ModelServer, trouble: Answer) -> None:
        server.usually = says(BOX)
        engine = connect(server)
        server.script.extend([trouble] * 3)
        listener = Listener()
        assert engine.generate([REFER], listener)[0].raw == "{<10><20><50><90>}"
        assert len(server.chats) == 4

    @pytest.mark.parametrize(
        ("trouble", "message"),
        [
            (fails(500, "oops"), r"failed \(500: oops\) \(tried 4 times\)"),
            (fails(429, "slow down"), r"is asked too much \(429: slow down\) \(tried 4 times\)"),
            (drops(), r"broke the connection off \(tried 4 times\)"),
            (drops("[1"), r"broke the connection off \(tried 4 times\)"),
            (streams({"error": {"message": "OOM"}}), r"broke off: OOM \(tried 4 times\)"),
        ],
        ids=["500", "429", "dropped", "dropped in the middle", "error in a stream"],
    )
    def test_a_lasting_failure_ends_in_one_line(
        self, server: ModelServer, trouble: Answer, message: str
    ) -> None:
        server.usually = trouble
        assert_one_line(server, message)
        assert len(server.chats) == 4

    @pytest.mark.parametrize(
        ("trouble", "message"),
        [
            (fails(401, "who?"), r"wants a key: set ASSISTANT_API_KEY \(401: who\?\)"),
            (fails(404, "no such model"), r"knows no such path: check the address \(no such model\)"),
            (fails(413, "too large"), "takes no image of this size"),
            (
                fails(400, "this model takes no pictures"),
                r"refuses the request \(400: this model takes no pic",
            ),
            (fails(429, "you exceeded your quota"), "refuses: you exceeded your quota"),
            (fails(429, "later", Retry_After="3600"), r"try again in 3600 s"),
            (sends(b"<html>\nWelcome to the router\n</html>"), "does not speak the OpenAI chat API"),
            (sends(b'{"choices": 5}', "application/json"), "does not speak the OpenAI chat API"),
            (sends(b"[" * 200_000, "application/json"), "does not speak the OpenAI chat API"),
            (streams("not JSON"), "does not speak the OpenAI chat API"),
            (streams("[" * 200_000), "does not speak the OpenAI chat API"),
            (streams({"choices": []}), "does not speak the OpenAI chat API"),
            (streams({"choices": [{"delta": {"content": [1]}}]}), "does not speak the OpenAI chat API"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_permanent_failure_is_not_retried(
        self, server: ModelServer, trouble: Answer, message: str
    ) -> None:
        server.usually = trouble
        assert_one_line(server, message)
        assert len(server.chats) <= 2  # one with a stream, one without

    def test_a_silent_server_times_out_and_a_slow_one_does_not(self, server: ModelServer) -> None:
        engine = connect(server, HASTY)
        server.script.append(says("a dog", delay=0.2))
        assert engine.generate([CHAT])[0].raw == "a dog"
        server.usually = is_silent()
        with pytest.raises(ServerError, match=r"was silent for 0.5 s.*ASSISTANT_TIMEOUT=SECONDS"):
            engine.generate([CHAT])

    def test_an_endless_slow_answer_times_out(self, server: ModelServer) -> None:
        server.usually = says("word " * 1000, delay=0.2)
        with pytest.raises(ServerError, match="or took more than 2 s"):
            connect(server, HASTY).generate([CHAT])

    def test_a_dead_server_is_an_error_and_works_again_once_it_is_up(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        engine = RemoteEngine.connect(f"http://127.0.0.1:{port}/v1", QUICK)
        assert engine.name == f"http://127.0.0.1:{port}/v1"
        with pytest.raises(
            ServerError, match=r"nothing answers at .*: start the server, or check the addr"
        ) as it:
            engine.generate([CHAT])
        assert "\n" not in str(it.value)

    def test_the_model_is_looked_up_again_once_the_server_is_ready(self, server: ModelServer) -> None:
        server.at_models = fails(503, "loading")
        engine = connect(server)
        assert engine.name == server.address
        server.at_models = None
        assert engine.generate([CHAT])[0].raw == "a dog"
        assert engine.name == f"{server.address}#qwen3-vl-4b"

    def test_an_untrusted_certificate_is_refused(self, server: ModelServer) -> None:
        engine = RemoteEngine.connect(server.address.replace("http:", "https:") + "#m", HASTY)
        with pytest.raises(ServerError, match="https://127"):
            engine.generate([CHAT])

    def test_one_failure_cancels_the_batch(self, server: ModelServer) -> None:
        server.usually = is_silent()
        server.script.append(fails(400, "no"))
        with pytest.raises(ServerError, match="refuses the request"):
            connect(server).generate([Request(None, str(number)) for number in range(3)])
        assert server.left.wait(10)

    @pytest.mark.parametrize("name", ["logprobs", "response_format", "temperature"])
    def test_a_refused_argument_is_omitted_from_then_on(self, name: str) -> None:
        def picky(handler: Any, body: dict[str, Any]) -> None:
            refusal = fails(400, f"{name} is not supported", param=name)
            (refusal if name in body else says('{"objects": []}'))(handler, body)

        with ModelServer("some-model", usually=picky) as served:
            engine = connect(served)
            assert engine.generate([REFER])[0].raw == ABSENT_ANSWER
            assert engine.generate([REFER])[0].raw == ABSENT_ANSWER
            assert [name in body for body in served.chats] == [True, False, False]

    def test_the_newer_name_of_the_token_limit_is_used(self, server: ModelServer) -> None:
        def picky(handler: Any, body: dict[str, Any]) -> None:
            refusal = fails(400, "Unsupported parameter: use 'max_completion_tokens' instead", "max_tokens")
            (refusal if "max_tokens" in body else says("a dog"))(handler, body)

        server.usually = picky
        connect(server).generate([CAPTION])
        assert server.chats[-1]["max_completion_tokens"] == server.chats[0]["max_tokens"]


def assert_one_line(server: ModelServer, message: str) -> None:
    with pytest.raises(ServerError, match=message) as caught:
        connect(server).generate([REFER])
    text = str(caught.value)
    assert server.address in text
    assert "\n" not in text
    assert "Traceback" not in text


class TestRetryPolicy:
    def test_waits_double_with_jitter(self) -> None:
        policy, error = RetryPolicy(), TransientServerError("no")
        waits = [policy.wait(attempt, error, 1.0) for attempt in range(1, 4)]
        assert waits == [0.5, 1.0, 2.0]
        assert policy.wait(1, error, 0.0) == 0.25
        assert policy.wait(4, error, 0.0) is None
        assert RetryPolicy(attempts=99).wait(50, error, 1.0) == 8.0

    def test_retry_after_is_followed_up_to_a_limit(self) -> None:
        policy = RetryPolicy()
        assert policy.wait(1, TransientServerError("no", 7.5), 0.0) == 7.5
        assert policy.wait(1, TransientServerError("no", 61.0), 0.0) is None

    def test_retry_after_may_be_a_date(self, server: ModelServer) -> None:
        then = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
        server.usually = fails(429, "later", Retry_After=then)
        assert_one_line(server, r"try again in 7\d\d\d s")

    @pytest.mark.parametrize("value", ["soon", "-5", "0", "inf", "nan"])
    def test_an_invalid_timeout_is_refused(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ASSISTANT_TIMEOUT", value)
        with pytest.raises(AssistantError, match=r"ASSISTANT_TIMEOUT is '.*': give a number of seconds"):
            RetryPolicy.from_environment()

    def test_the_timeout_variable_sets_the_silence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ASSISTANT_TIMEOUT", "600")
        assert RetryPolicy.from_environment() == RetryPolicy(silence=600, answer=3000)


class TestKeys:
    def sent(self, server: ModelServer) -> str | None:
        connect(server).generate([CHAT])
        return {name.lower(): value for name, value in server.seen[-1][1].items()}.get("authorization")

    def test_the_key_comes_from_the_environment(
        self, server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ASSISTANT_API_KEY", "secret")
        assert self.sent(server) == "Bearer secret"
        server.usually = fails(401, "wrong")
        with pytest.raises(ServerError, match="refuses the key in ASSISTANT_API_KEY") as caught:
            connect(server).generate([CHAT])
        assert "secret" not in str(caught.value)

    def test_openais_key_goes_to_openai_only(
        self, server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "private")
        monkeypatch.setenv("OPENAI_ORG_ID", "my-company")
        self.sent(server)
        assert "private" not in str(server.seen)
        assert "my-company" not in str(server.seen)

    def test_a_proxy_is_used(self, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", server.address.removesuffix("/v1"))
        monkeypatch.setenv("NO_PROXY", "")
        engine = RemoteEngine.connect("http://model.invalid/v1#m", QUICK)
        assert engine.generate([CHAT])[0].raw == "a dog"
        assert server.seen[-1][0] == "http://model.invalid/v1/chat/completions"
