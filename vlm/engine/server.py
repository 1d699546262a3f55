"""One model server over HTTP: the OpenAI chat API through the `openai` client, and plain JSON beside it.

Everything here runs in one event loop, so that any call can be given up at any moment, which closes its
connection and so ends the server's work. Whatever goes wrong becomes a `ServerError` of one line.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import AssistantError, ServerError
from ..extras import require
from .address import Address
from .patience import TIMEOUT, Patience, TransientServerError, persistently

KEY = "ASSISTANT_API_KEY"
_OPENAI_HOST = "api.openai.com"
_TRANSIENT = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
# A model that never ends would fill the memory: no token has this many letters on average.
_LETTERS_A_TOKEN = 32
_LONGEST_REASON = 200
# Arguments that some servers refuse; the answer is the same without, or nearly so.
_DISPENSABLE = ("logprobs", "response_format", "skip_special_tokens", "temperature")


@dataclass
class Said:
    """What a server has said so far; `complete` is False where it was cut at its longest.

    `tokens` are the bytes and log-probabilities of the text's tokens, None where the server gives none.
    """

    text: str = ""
    tokens: list[tuple[bytes, float]] | None = None
    complete: bool = False
    pieces: int = field(default=0, compare=False)


class Server:
    """A server at an address; to be used from one event loop only."""

    def __init__(self, address: Address, patience: Patience) -> None:
        self._address = address
        self._patience = patience
        self._key, self._key_name = _key(address)
        self._client = _client(address, patience, self._key)
        self._refused: set[str] = set()
        self._streams = True

    async def models(self) -> list[str]:
        """Return the names of the models that are served."""

        async def attempt() -> list[str]:
            with self._errors_told():
                page = await self._client.models.list()
                names = [getattr(model, "id", None) for model in getattr(page, "data", None) or ()]
                return [name for name in names if isinstance(name, str) and name]

        return await persistently(self._patience, attempt)

    async def chat(self, body: Mapping[str, Any], hear: Callable[[Said], None]) -> Said:
        """Return the answer to a request of the chat API; `hear` is given what has been said so far.

        An attempt that breaks off is begun anew.
        """

        async def attempt() -> Said:
            with self._errors_told():
                async with asyncio.timeout(self._patience.answer):
                    return await self._chat(dict(body), hear)

        return await persistently(self._patience, attempt)

    async def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the JSON object that a path answers to JSON."""

        async def attempt() -> Mapping[str, Any]:
            headers = {"X-Moondream-Auth": self._key} if self._key else {}
            with self._errors_told():
                async with asyncio.timeout(self._patience.answer):
                    answer = await self._client.post(
                        path, cast_to=object, body=dict(body), options={"headers": headers}
                    )
            if isinstance(answer, str):
                try:
                    answer = json.loads(answer)
                except ValueError:
                    answer = None
            if not isinstance(answer, dict):
                raise ServerError(f"{self._address.url}{path} answered what is no JSON object")
            return answer

        return await persistently(self._patience, attempt)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    # --- one attempt -------------------------------------------------------------------------------------

    async def _chat(self, body: dict[str, Any], hear: Callable[[Said], None]) -> Said:
        """Ask, leaving out whatever arguments the server has refused, in this request or an earlier one."""
        import openai

        while True:
            try:
                return await self._chat_once(self._acceptable(body), hear)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = self._refused_now(error, body)
                if refused is None:
                    raise
                self._refused.add(refused)

    def _acceptable(self, body: Mapping[str, Any]) -> dict[str, Any]:
        accepted = {name: value for name, value in body.items() if name not in self._refused}
        if "max_tokens" in self._refused:  # OpenAI's newer models know it by another name
            accepted["max_completion_tokens"] = body["max_tokens"]
        known = ("model", "messages", "max_tokens", "max_completion_tokens", "temperature")
        standard = {
            name: accepted.pop(name) for name in (*known, "logprobs", "response_format") if name in accepted
        }
        return {**standard, "extra_body": accepted} if accepted else standard

    def _refused_now(self, error: Any, body: Mapping[str, Any]) -> str | None:
        """Return which argument a complaint is about, if the request can do without it."""
        complaint = f"{getattr(error, 'param', None)} {error}".lower()
        candidates = [name for name in _DISPENSABLE if name in body and name not in self._refused]
        if "max_completion_tokens" in complaint and "max_tokens" not in self._refused:
            return "max_tokens"
        named = [name for name in candidates if name in complaint]
        if "json_schema" in complaint and "response_format" in candidates:
            named.append("response_format")
        return next(iter(named), None)

    async def _chat_once(self, body: dict[str, Any], hear: Callable[[Said], None]) -> Said:
        limit = (body.get("max_tokens") or body.get("max_completion_tokens") or 1024) * _LETTERS_A_TOKEN
        said = Said()
        if self._streams:
            stream = await self._client.chat.completions.create(**body, stream=True)
            try:
                async for chunk in _chunks(stream):
                    _take(said, chunk, "delta")
                    hear(said)
                    if len(said.text) > limit:
                        said.complete = False
                        return said
            finally:
                await stream.close()
            if said.pieces:
                return said
            # Some servers know no streams, and answer whole, or with nothing.
        said = Said()
        answer = await self._client.chat.completions.create(**body, stream=False)
        _take(said, answer, "message")
        if not said.pieces:
            raise ServerError(
                f"what answers at {self._address.url} does not speak the OpenAI chat API: check the address"
            )
        self._streams = False
        said.text = said.text[:limit]
        hear(said)
        return said

    # --- what goes wrong ---------------------------------------------------------------------------------

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Turn whatever the client raises into one line that says what to do."""
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
                f"{url} was silent for {self._patience.silence:g} s, or took more than "
                f"{self._patience.answer:g} s: ask for less, or wait longer with {TIMEOUT}=SECONDS"
            ) from error
        except openai.APIStatusError as error:
            raise self._status_told(error) from error
        except openai.APIConnectionError as error:
            raise TransientServerError(_connection_told(url, error)) from error
        except openai.APIError as error:  # told in the middle of a stream
            raise TransientServerError(f"{url} broke off: {_reason(error)}") from error
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise ServerError(
                f"what answers at {url} does not speak the OpenAI chat API ({_reason(error)}): check the "
                "address"
            ) from error

    def _status_told(self, error: Any) -> ServerError:
        url, status, reason = self._address.url, error.status_code, _reason(error)
        if status in (401, 403):
            wanted = f"refuses the key in {self._key_name}" if self._key else f"wants a key: set {KEY}"
            return ServerError(f"{url} {wanted} ({status}: {reason})")
        if status == 404:
            named = f" or model {self._address.model!r}" if self._address.model else ""
            return ServerError(f"{url} knows no such path{named}: check the address ({reason})")
        if status == 413:
            return ServerError(f"{url} takes no picture of this size: send a smaller one ({reason})")
        if status == 429 and "quota" in reason.lower():
            return ServerError(f"{url} refuses: {reason}")
        if status in _TRANSIENT or status >= 500:
            what = "is asked too much" if status == 429 else "failed"
            return TransientServerError(f"{url} {what} ({status}: {reason})", _retry_after(error))
        return ServerError(f"{url} refuses the request ({status}: {reason})")


def _client(address: Address, patience: Patience, key: str | None) -> Any:
    require("remote", "a model behind an address")
    import openai

    client = openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=address.url,
        max_retries=0,  # see `persistently`, which can be stopped
        timeout=openai.Timeout(patience.silence, connect=patience.connect),
    )
    if address.host != _OPENAI_HOST:  # these are read from the environment, and nobody else's business
        client.organization = client.project = None
    return client


def _key(address: Address) -> tuple[str | None, str]:
    """Return the key for a server, and the variable that it is in; OpenAI's own key goes to OpenAI alone."""
    names = (KEY, "OPENAI_API_KEY") if address.host == _OPENAI_HOST else (KEY,)
    return next(((os.environ[name], name) for name in names if os.environ.get(name)), (None, KEY))


async def _chunks(stream: Any) -> AsyncIterator[Any]:
    async for chunk in stream:
        yield chunk


def _take(said: Said, answer: Any, part: str) -> None:
    """Add what a chunk of a stream, or a whole answer, says; what it lacks is not missed."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices:
        return
    choice = choices[0]
    message = getattr(choice, part, None)
    content = getattr(message, "content", None)
    if message is None and getattr(choice, "finish_reason", None) is None:
        return
    if content is not None and not isinstance(content, str):
        raise TypeError("the content of an answer is no text")
    said.pieces += 1
    said.text += content or ""
    for token in getattr(getattr(choice, "logprobs", None), "content", None) or ():
        spelt = bytes(token.bytes) if token.bytes is not None else str(token.token).encode(errors="replace")
        said.tokens = [*(said.tokens or ()), (spelt, float(token.logprob))]
    reason = getattr(choice, "finish_reason", None)
    if reason is not None:
        said.complete = reason != "length"


def _connection_told(url: str, error: BaseException) -> str:
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
    """Return what an error says, in one short line."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    if isinstance(body, str) and "<" in body:  # a page for people
        said = getattr(getattr(error, "response", None), "reason_phrase", None)
    text = " ".join(str(said or error or type(error).__name__).split())
    text = "".join(sign if sign.isprintable() else " " for sign in text) or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _retry_after(error: Any) -> float | None:
    """Return the wait in seconds that a server asks for, by a number or a date."""
    from email.utils import parsedate_to_datetime
    from time import time

    said = error.response.headers.get("retry-after")
    if said is None:
        return None
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time()
        except (TypeError, ValueError):
            return None
    return seconds if 0 <= seconds < float("inf") else None


__all__ = ["KEY", "Said", "Server"]
