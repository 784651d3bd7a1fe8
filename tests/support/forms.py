"""Forms with files, as clients write them."""

BOUNDARY = "xYz-0123456789"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: str | bytes, *, file: str | None = None, media: str | None = None, more: str = "") -> bytes:
    """Return a part, between two boundaries."""
    shown = f'form-data; name="{name}"' + ("" if file is None else f'; filename="{file}"')
    head = f"Content-Disposition: {shown}\r\n" + (f"Content-Type: {media}\r\n" if media else "") + more
    return head.encode() + b"\r\n" + (value.encode() if isinstance(value, str) else value)


def form(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    """Return a body."""
    dashed = b"--" + boundary.encode()
    return b"".join(dashed + b"\r\n" + one + b"\r\n" for one in parts) + dashed + b"--\r\n"


def recording(model: str = "rehearsal-1", sound: bytes = b"\xff\xfb\x90\x00" * 64, **fields: str) -> bytes:
    """Return the form of a transcription."""
    said = [part(name, value) for name, value in {"model": model, **fields}.items()]
    return form(*said, part("file", sound, file="a.mp3", media="audio/mpeg"))
