"""The columns of booking's database. Constraints that SQLModel cannot say stand in the migrations."""

from regiohub_booking.tables.base import Base
from regiohub_booking.tables.bookings import Booking, Line, MailJob, Occupancy, PaymentVerdict
from regiohub_booking.tables.delivery import Delivery, Epoch, IdempotencyKey, Inbox, Outbox
from regiohub_booking.tables.members import CalendarFeed, Member
from regiohub_booking.tables.places import Closure, Hub, OpeningHours, Operator, Resource, ResourcePart

__all__ = [
    "Base",
    "Booking",
    "CalendarFeed",
    "Closure",
    "Delivery",
    "Epoch",
    "Hub",
    "IdempotencyKey",
    "Inbox",
    "Line",
    "MailJob",
    "Member",
    "Occupancy",
    "OpeningHours",
    "Operator",
    "Outbox",
    "PaymentVerdict",
    "Resource",
    "ResourcePart",
]
