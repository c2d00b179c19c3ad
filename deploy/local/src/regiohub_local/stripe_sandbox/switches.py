"""Switches with which a test or a demo makes the sandbox behave like a bad day at Stripe."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from regiohub_local.stripe_sandbox.store import Rows


class Switches(BaseModel):
    """All switches; times in seconds. They are kept with the books."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refund: Literal["succeeded", "pending", "failed"] = Field(
        default="succeeded",
        description="succeeded: at once. pending: succeeds after the delay. failed: succeeded first, failed after it",
    )
    refund_delay_s: float = Field(default=2.0, ge=0)
    webhooks: Literal["send", "hold", "duplicate", "shuffle", "drop"] = Field(
        default="send",
        description="hold: keep back until switched to send. duplicate: twice. shuffle: each after another pause, so that "
        "none keeps its place. drop: lost for good",
    )
    webhook_delay_s: float = Field(default=0.0, ge=0)
    response_delay_s: float = Field(default=0.0, ge=0, description="each POST waits while its key is in flight")


def read(rows: Rows) -> Switches:
    """Return the switches as they stand."""
    stored = rows.sql.execute("SELECT name, value FROM switch").fetchall()
    return Switches.model_validate({name: json.loads(value) for name, value in stored})


def write(rows: Rows, changes: dict[str, object]) -> Switches:
    """Change the named switches; raises pydantic's ValidationError for unknown names or values."""
    wanted = Switches.model_validate(read(rows).model_dump() | changes)
    for name in changes:
        value = json.dumps(getattr(wanted, name))
        rows.sql.execute("INSERT OR REPLACE INTO switch (name, value) VALUES (?, ?)", (name, value))
    return wanted
