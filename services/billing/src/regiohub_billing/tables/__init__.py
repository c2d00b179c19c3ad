"""Billing's tables. What guards them (triggers, rights, partial indexes) is in the migrations."""

from regiohub_billing.tables.base import Base
from regiohub_billing.tables.calls import ProviderIntent, StripeEvent
from regiohub_billing.tables.delivery import Delivery, Epoch, IdempotencyKey, Inbox, Outbox
from regiohub_billing.tables.finance import ClearingItem, ExportBatch, ExportRow
from regiohub_billing.tables.ledger import Document, DocumentLine, JournalEntry, JournalLine
from regiohub_billing.tables.money import Charge, Payment, Refund
from regiohub_billing.tables.sellers import NumberGap, NumberSeries, Seller, TaxRuleRow

__all__ = [
    "Base",
    "Charge",
    "ClearingItem",
    "Delivery",
    "Document",
    "DocumentLine",
    "Epoch",
    "ExportBatch",
    "ExportRow",
    "IdempotencyKey",
    "Inbox",
    "JournalEntry",
    "JournalLine",
    "NumberGap",
    "NumberSeries",
    "Outbox",
    "Payment",
    "ProviderIntent",
    "Refund",
    "Seller",
    "StripeEvent",
    "TaxRuleRow",
]
