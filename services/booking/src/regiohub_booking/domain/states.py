"""The life of a booking: which event leads from which status to which."""

from enum import StrEnum

from regiohub_shared.problem import Conflict


class Status(StrEnum):
    """Statuses of a booking; the slot is occupied from ``requested`` to ``checked_in``, and after use too."""

    REQUESTED = "requested"
    """An operator has to approve it; occupies like a hold."""
    HELD = "held"
    """Waits for the payment until ``hold_until``."""
    CONFIRMED = "confirmed"
    """Paid, or free of charge."""
    CHECKED_IN = "checked_in"
    """The member is here: a door opened, or an operator said so."""
    COMPLETED = "completed"
    """The slot is over."""
    REJECTED = "rejected"
    """An operator declined the request."""
    EXPIRED = "expired"
    """Nobody paid in time; a late payment may still confirm it while the slot is free."""
    CANCELLED = "cancelled"
    """Called off before its end; the slot is free again."""
    NO_SHOW = "no_show"
    """The slot passed and nobody came."""


class Event(StrEnum):
    """What can happen to a booking."""

    APPROVE = "approve"
    REJECT = "reject"
    CONFIRM = "confirm"
    """The payment arrived, or there is nothing to pay."""
    CONFIRM_LATE = "confirm_late"
    """The payment arrived after the end of the hold and the slot was free."""
    EXPIRE = "expire"
    MOVE = "move"
    """Another slot or resource at the same price."""
    CANCEL = "cancel"
    REVOKE = "revoke"
    """The operator calls off what counts as begun: nobody came after all (a check-in by mistake), or had to leave."""
    CHECK_IN = "check_in"
    COMPLETE = "complete"


FREES_SLOT = frozenset({Status.REJECTED, Status.EXPIRED, Status.CANCELLED})
"""Ends without use: their occupancy rows are deleted."""


class IllegalTransition(Conflict):
    """The booking's status does not allow this; ``booking_status`` says which it has."""

    type, title = "illegal-transition", "The booking's status does not allow this"


_NEXT = {
    (Status.REQUESTED, Event.APPROVE): Status.HELD,
    (Status.REQUESTED, Event.REJECT): Status.REJECTED,
    (Status.REQUESTED, Event.EXPIRE): Status.EXPIRED,
    (Status.REQUESTED, Event.CANCEL): Status.CANCELLED,
    (Status.HELD, Event.CONFIRM): Status.CONFIRMED,
    (Status.HELD, Event.EXPIRE): Status.EXPIRED,
    (Status.HELD, Event.CANCEL): Status.CANCELLED,
    (Status.EXPIRED, Event.CONFIRM_LATE): Status.CONFIRMED,
    (Status.CONFIRMED, Event.MOVE): Status.CONFIRMED,
    (Status.CONFIRMED, Event.CANCEL): Status.CANCELLED,
    (Status.CHECKED_IN, Event.REVOKE): Status.CANCELLED,
    (Status.CONFIRMED, Event.CHECK_IN): Status.CHECKED_IN,
    (Status.CONFIRMED, Event.COMPLETE): Status.COMPLETED,
    (Status.CHECKED_IN, Event.COMPLETE): Status.COMPLETED,
}
"""All that is allowed; what is not here is refused."""


def next_status(status: Status, event: Event) -> Status:
    """Return the status after ``event`` or raise :class:`IllegalTransition`."""
    if (status, event) not in _NEXT:
        raise IllegalTransition(
            f"A booking that is {status.value} cannot {event.value.replace('_', ' ')}.", booking_status=status.value
        )
    return _NEXT[status, event]


def can(status: Status, event: Event) -> bool:
    """Whether ``event`` is allowed in ``status``."""
    return (status, event) in _NEXT
