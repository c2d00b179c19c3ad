"""Billing's tables. What guards them (triggers, rights, partial indexes) is in the migrations."""

from .base import Base
from .calls import ProviderIntent, StripeEvent
from .delivery import Delivery, IdempotencyKey, Inbox, Outbox
from .finance import ClearingItem, ExportBatch, ExportRow
from .ledger import Document, DocumentLine, JournalEntry, JournalLine
from .money import Charge, Payment, Refund
from .sellers import NumberSeries, Seller, TaxRuleRow

__all__ = [
    "Base",
    "Charge",
    "ClearingItem",
    "Delivery",
    "Document",
    "DocumentLine",
    "ExportBatch",
    "ExportRow",
    "IdempotencyKey",
    "Inbox",
    "JournalEntry",
    "JournalLine",
    "NumberSeries",
    "Outbox",
    "Payment",
    "ProviderIntent",
    "Refund",
    "Seller",
    "StripeEvent",
    "TaxRuleRow",
]
