"""How much of a model one request may take, asked where a text is begun."""

from workbench.errors import BadRequest, TooLong
from workbench.profiles import RequestLimits
from workbench.text.requests import Generate


def check_allowed(request: Generate, limits: RequestLimits) -> None:
    """Raises BadRequest where a text asks for more than its profile gives to one."""
    if isinstance(request.prompt, str) and len(request.prompt) > limits.prompt_characters:
        raise TooLong(
            f"The prompt has {len(request.prompt):,} characters; at most {limits.prompt_characters:,} are taken here."
        )
    if request.max_new_tokens > limits.new_tokens:
        raise BadRequest(
            f"{request.max_new_tokens:,} new tokens are asked for. Others use this model too: at most "
            f"{limits.new_tokens:,} are written at a time. Ask for fewer, and go on from there."
        )
