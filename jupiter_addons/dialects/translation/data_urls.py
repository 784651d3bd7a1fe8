"""`data:` URLs (RFC 2397), as OpenAI's dialects carry files by value."""

from jupiter_addons.dialects.translation.reading import unsupported


def parse(url: str, path: str = "url") -> tuple[str | None, str | None, str | None]:
    """Return media type, base64 data and URL: the first two for a `data:` URL, the last for any other."""
    if not url.startswith("data:"):
        return None, None, url
    head, comma, data = url[5:].partition(",")
    media_type, semicolon, coding = head.rpartition(";")
    if not (comma and semicolon and coding == "base64" and media_type):
        unsupported(path, "is a `data:` URL without a media type or not in base64")
    return media_type, data, None


def render(media_type: str | None, data: str | None, url: str | None) -> str:
    """Return the URL of a file by value or by its own URL."""
    return url if url is not None else f"data:{media_type or 'application/octet-stream'};base64,{data or ''}"
