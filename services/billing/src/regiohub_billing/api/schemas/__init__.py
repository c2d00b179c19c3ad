"""JSON shapes. Requests are strict; responses have no defaults."""

from .common import Slug
from .finance import (
    ClearingList,
    ClearingPublic,
    ClearingResolve,
    ExportCreate,
    ExportList,
    ExportPreview,
    ExportPublic,
    ReplacedText,
)
from .payments import (
    Buyer,
    DocumentList,
    DocumentPublic,
    LinePublic,
    PaymentCreate,
    PaymentList,
    PaymentOpened,
    PaymentPublic,
    RefundPublic,
    SubjectData,
    WebhookReceipt,
)
from .sellers import AccountsBody, SellerPublic, SellerPut, TaxRuleBody

__all__ = [
    "AccountsBody",
    "Buyer",
    "ClearingList",
    "ClearingPublic",
    "ClearingResolve",
    "DocumentList",
    "DocumentPublic",
    "ExportCreate",
    "ExportList",
    "ExportPreview",
    "ExportPublic",
    "LinePublic",
    "PaymentCreate",
    "PaymentList",
    "PaymentOpened",
    "PaymentPublic",
    "RefundPublic",
    "ReplacedText",
    "SellerPublic",
    "SellerPut",
    "Slug",
    "SubjectData",
    "TaxRuleBody",
    "WebhookReceipt",
]
