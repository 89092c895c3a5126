"""The floor: uvicorn and an application that answers what it read from a file, whatever it is asked."""

from pathlib import Path
from typing import Any

ANSWERS = {f"/{path.stem.removeprefix('answer-')}": path.read_bytes() for path in Path().glob("answer-*.json")}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read the body to its end, as every server has to, and send the bytes that psm sent for as many rows."""
    while (await receive()).get("more_body"):
        pass
    answer = ANSWERS[scope["path"]]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
