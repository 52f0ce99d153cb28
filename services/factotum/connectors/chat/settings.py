"""Of one tenant's workspace."""

from __future__ import annotations

from pydantic import Field

from factotum.connectors.protocols.egress import EgressSettings

MOST_PAGES = 50


class ChatSettings(EgressSettings):
    """A Slack app's bot in one workspace.

    It needs the scopes `chat:write` to post, and `channels:history`, `groups:history`, `im:history` to ask whether
    it posted; `users:read` and `users:read.email` to find people, `channels:read` and `groups:read` to find
    channels, `channels:manage`, `groups:write` and `im:write` to invite and to open direct messages.
    """

    token: str = Field(description="Reference of the bot's token, e.g. secret://slack-token.")
    base_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://.+/$")
    timeout: float = Field(default=20.0, gt=0, description="Seconds, of each exchange.")
    page: int = Field(default=200, gt=0, le=999, description="Messages, or channels, that are asked for at a time.")
