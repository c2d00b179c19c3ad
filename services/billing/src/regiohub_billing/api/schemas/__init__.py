"""JSON shapes. Requests are strict; responses have no defaults."""

from regiohub_billing.api.schemas.common import Slug
from regiohub_billing.api.schemas.finance import (
    ClearingList,
    ClearingPublic,
    ClearingResolve,
    ExportCreate,
    ExportList,
    ExportPreview,
    ExportPublic,
    ReplacedText,
)
from regiohub_billing.api.schemas.payments import (
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
from regiohub_billing.api.schemas.sellers import AccountsBody, SellerPublic, SellerPut, TaxRuleBody

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
