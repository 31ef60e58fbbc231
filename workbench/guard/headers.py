"""Headers that every answer carries: what a browser must not do with it."""

from collections.abc import Iterable

Pairs = list[tuple[bytes, bytes]]

_EMBEDDERS = "https://huggingface.co https://*.huggingface.co https://*.hf.space"
"""Who shows a Space in a frame."""


def content_policy(embedded: bool) -> str:
    """The Content-Security-Policy: everything from here, nothing into or out of other websites.

    Gradio begins its page by scripts within it and makes functions of texts, which the policy has to allow; what a
    model or a visitor writes reaches the page as text alone.

    Args:
        embedded: whether Hugging Face may show the page in a frame.
    """
    rules = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": f"'self' {_EMBEDDERS}" if embedded else "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def security_headers(embedded: bool) -> Pairs:
    """The headers by their names in small letters."""
    named = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "content-security-policy": content_policy(embedded),
    }
    if not embedded:
        named["cross-origin-resource-policy"] = "same-origin"
    return [(name.encode(), value.encode()) for name, value in named.items()]


def with_headers(headers: Iterable[tuple[bytes, bytes]], added: Pairs, retry_seconds: int | None) -> Pairs:
    """An answer's headers with ours in place of others of their names; Retry-After only where it is missing."""
    ours = {name for name, _ in added}
    kept = [(name, value) for name, value in headers if name.lower() not in ours]
    if retry_seconds is not None and not any(name.lower() == b"retry-after" for name, _ in kept):
        kept.append((b"retry-after", str(retry_seconds).encode()))
    return [*kept, *added]
