"""One model server over HTTP: the OpenAI chat API through the `openai` client, and plain JSON.

Everything here runs in one event loop, so that a call can be cancelled at any moment, which closes its
connection and so ends the server's work. Every failure becomes a `ServerError` of one line.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import AssistantError, ServerError
from ..extras import require
from .address import Address
from .retries import TIMEOUT, RetryPolicy, TransientServerError, with_retries

KEY = "ASSISTANT_API_KEY"
_OPENAI_HOST = "api.openai.com"
_TRANSIENT = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
# Bounds the memory of an endless answer: no token has this many characters on average.
_CHARACTERS_PER_TOKEN = 32
_LONGEST_REASON = 200
# Arguments that some servers refuse, and that change the answer little or not at all.
_OPTIONAL_ARGUMENTS = ("logprobs", "response_format", "skip_special_tokens", "temperature")


@dataclass
class ServerReply:
    """A server's answer so far; `complete` is False if it was cut at the token limit.

    `tokens` are the bytes and log-probabilities of the text's tokens, None if the server sends none.
    """

    text: str = ""
    tokens: list[tuple[bytes, float]] | None = None
    complete: bool = False
    pieces: int = field(default=0, compare=False)


class Server:
    """A server at an address; use it from one event loop only."""

    def __init__(self, address: Address, policy: RetryPolicy) -> None:
        self._address = address
        self._policy = policy
        self._key, self._key_name = _key(address)
        self._client = _client(address, policy, self._key)
        self._refused: set[str] = set()
        self._streams = True

    async def models(self) -> list[str]:
        """Return the names of the models that the server offers."""

        async def attempt() -> list[str]:
            with self._readable_errors():
                page = await self._client.models.list()
                names = [getattr(model, "id", None) for model in getattr(page, "data", None) or ()]
                return [name for name in names if isinstance(name, str) and name]

        return await with_retries(self._policy, attempt)

    async def chat(self, body: Mapping[str, Any], on_update: Callable[[ServerReply], None]) -> ServerReply:
        """Return the reply to a chat API request; `on_update` gets the reply so far.

        After an interrupted attempt the reply starts over.
        """

        async def attempt() -> ServerReply:
            with self._readable_errors():
                async with asyncio.timeout(self._policy.answer):
                    return await self._chat(dict(body), on_update)

        return await with_retries(self._policy, attempt)

    async def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Post JSON to a path and return the JSON object that it answers."""

        async def attempt() -> Mapping[str, Any]:
            headers = {"X-Moondream-Auth": self._key} if self._key else {}
            with self._readable_errors():
                async with asyncio.timeout(self._policy.answer):
                    answer = await self._client.post(
                        path, cast_to=object, body=dict(body), options={"headers": headers}
                    )
            if isinstance(answer, str):
                try:
                    answer = json.loads(answer)
                except ValueError:
                    answer = None
            if not isinstance(answer, dict):
                raise ServerError(f"{self._address.url}{path} did not answer with a JSON object")
            return answer

        return await with_retries(self._policy, attempt)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    # --- one attempt -------------------------------------------------------------------------------------

    async def _chat(self, body: dict[str, Any], on_update: Callable[[ServerReply], None]) -> ServerReply:
        """Send a request without the arguments that the server refuses, now or in an earlier one."""
        import openai

        while True:
            try:
                return await self._chat_once(self._accepted_arguments(body), on_update)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = self._refused_argument(error, body)
                if refused is None:
                    raise
                self._refused.add(refused)

    def _accepted_arguments(self, body: Mapping[str, Any]) -> dict[str, Any]:
        refused = {name for name in self._refused if not _asked_for(name, body)}
        accepted = {name: value for name, value in body.items() if name not in refused}
        if "max_tokens" in self._refused:  # OpenAI's newer models use another name
            accepted["max_completion_tokens"] = body["max_tokens"]
        known = ("model", "messages", "max_tokens", "max_completion_tokens", "temperature")
        standard = {
            name: accepted.pop(name) for name in (*known, "logprobs", "response_format") if name in accepted
        }
        return {**standard, "extra_body": accepted} if accepted else standard

    def _refused_argument(self, error: Any, body: Mapping[str, Any]) -> str | None:
        """Return the argument that an error complains about, if the request can omit it."""
        complaint = f"{getattr(error, 'param', None)} {error}".lower()
        optional = [name for name in _OPTIONAL_ARGUMENTS if not _asked_for(name, body)]
        candidates = [name for name in optional if name in body and name not in self._refused]
        if "max_completion_tokens" in complaint and "max_tokens" not in self._refused:
            return "max_tokens"
        named = [name for name in candidates if name in complaint]
        if "json_schema" in complaint and "response_format" in candidates:
            named.append("response_format")
        return next(iter(named), None)

    async def _chat_once(self, body: dict[str, Any], on_update: Callable[[ServerReply], None]) -> ServerReply:
        limit = (body.get("max_tokens") or body.get("max_completion_tokens") or 1024) * _CHARACTERS_PER_TOKEN
        reply = ServerReply()
        if self._streams:
            stream = await self._client.chat.completions.create(**body, stream=True)
            try:
                async for chunk in stream:
                    _append(reply, chunk, "delta")
                    on_update(reply)
                    if len(reply.text) > limit:
                        reply.complete = False
                        return reply
            finally:
                await stream.close()
            if reply.pieces:
                return reply
            # Some servers cannot stream: they answer at once, or send nothing.
        reply = ServerReply()
        answer = await self._client.chat.completions.create(**body, stream=False)
        _append(reply, answer, "message")
        if not reply.pieces:
            raise ServerError(
                f"what answers at {self._address.url} does not speak the OpenAI chat API: check the address"
            )
        self._streams = False
        reply.text = reply.text[:limit]
        on_update(reply)
        return reply

    # --- errors ------------------------------------------------------------------------------------------

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Turn the client's exceptions into one line that says what to do."""
        import openai

        url = self._address.url
        try:
            yield
        except AssistantError:
            raise
        except (openai.APITimeoutError, TimeoutError) as error:
            if "Connect" in type(error.__cause__).__name__:
                raise TransientServerError(f"{url} cannot be reached: check the address") from error
            raise ServerError(
                f"{url} was silent for {self._policy.silence:g} s, or took more than "
                f"{self._policy.answer:g} s: ask for less, or wait longer with {TIMEOUT}=SECONDS"
            ) from error
        except openai.APIStatusError as error:
            raise self._status_error(error) from error
        except openai.APIConnectionError as error:
            raise TransientServerError(_connection_message(url, error)) from error
        except openai.APIError as error:  # in the middle of a stream
            raise TransientServerError(f"{url} broke off: {_reason(error)}") from error
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise ServerError(
                f"what answers at {url} does not speak the OpenAI chat API ({_reason(error)}): check the "
                "address"
            ) from error

    def _status_error(self, error: Any) -> ServerError:
        url, status, reason = self._address.url, error.status_code, _reason(error)
        if status in (401, 403):
            wanted = f"refuses the key in {self._key_name}" if self._key else f"wants a key: set {KEY}"
            return ServerError(f"{url} {wanted} ({status}: {reason})")
        if status == 404:
            named = f" or model {self._address.model!r}" if self._address.model else ""
            return ServerError(f"{url} knows no such path{named}: check the address ({reason})")
        if status == 413:
            return ServerError(f"{url} takes no image of this size: send a smaller one ({reason})")
        if status == 429 and "quota" in reason.lower():
            return ServerError(f"{url} refuses: {reason}")
        if status in _TRANSIENT or status >= 500:
            what = "is asked too much" if status == 429 else "failed"
            return TransientServerError(f"{url} {what} ({status}: {reason})", _retry_after(error))
        return ServerError(f"{url} refuses the request ({status}: {reason})")


def _asked_for(name: str, body: Mapping[str, Any]) -> bool:
    """Return whether a user chose an argument: every other request has a temperature of 0."""
    return name == "temperature" and bool(body.get(name))


def _client(address: Address, policy: RetryPolicy, key: str | None) -> Any:
    require("remote", "a model behind an address")
    import openai

    client = openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=address.url,
        max_retries=0,  # `with_retries` retries, and can be cancelled
        timeout=openai.Timeout(policy.silence, connect=policy.connect),
    )
    if address.host != _OPENAI_HOST:  # the client reads these from the environment; only OpenAI may see them
        client.organization = client.project = None
    return client


def _key(address: Address) -> tuple[str | None, str]:
    """Return a server's key and the variable that holds it; OpenAI's own key goes to OpenAI only."""
    names = (KEY, "OPENAI_API_KEY") if address.host == _OPENAI_HOST else (KEY,)
    return next(((os.environ[name], name) for name in names if os.environ.get(name)), (None, KEY))


def _append(reply: ServerReply, answer: Any, part: str) -> None:
    """Add a chunk of a stream, or a whole answer, to a reply; fields may be missing."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices:
        return
    choice = choices[0]
    message = getattr(choice, part, None)
    content = getattr(message, "content", None)
    if message is None and getattr(choice, "finish_reason", None) is None:
        return
    if content is not None and not isinstance(content, str):
        raise TypeError("the content of an answer is not text")
    reply.pieces += 1
    reply.text += content or ""
    for token in getattr(getattr(choice, "logprobs", None), "content", None) or ():
        token_bytes = (
            bytes(token.bytes) if token.bytes is not None else str(token.token).encode(errors="replace")
        )
        reply.tokens = [*(reply.tokens or ()), (token_bytes, float(token.logprob))]
    reason = getattr(choice, "finish_reason", None)
    if reason is not None:
        reply.complete = reason != "length"


def _connection_message(url: str, error: BaseException) -> str:
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < 8:
        causes.append(cause)
    names = {type(cause).__name__ for cause in causes}
    if names & {"ReadError", "RemoteProtocolError", "WriteError", "LocalProtocolError"}:
        return f"{url} broke the connection off"
    if any("certificate" in str(cause).lower() for cause in causes):
        return f"{url} shows a certificate that is not trusted: check the address"
    reason = _reason(causes[min(1, len(causes) - 1)])
    return f"nothing answers at {url}: start the server, or check the address ({reason})"


def _reason(error: BaseException) -> str:
    """Return an error's message as one short line."""
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    if isinstance(body, str) and "<" in body:  # an HTML page
        message = getattr(getattr(error, "response", None), "reason_phrase", None)
    text = " ".join(str(message or error or type(error).__name__).split())
    text = "".join(char if char.isprintable() else " " for char in text) or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _retry_after(error: Any) -> float | None:
    """Return the wait in seconds that a server asks for, as a number or a date."""
    from email.utils import parsedate_to_datetime
    from time import time

    value = error.response.headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except (TypeError, ValueError):
            return None
    return seconds if 0 <= seconds < float("inf") else None
