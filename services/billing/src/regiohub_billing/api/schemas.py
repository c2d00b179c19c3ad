"""JSON shapes. Requests are strict; responses have no defaults."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.render.hkr import PROFILES
from regiohub_billing.tables import ClearingItem, ExportBatch, Payment, Refund
from regiohub_billing.usecases.exports import Draft
from regiohub_billing.usecases.reading import DocumentView


def _printable(text: str) -> str:
    if not all(char.isprintable() for char in text):
        raise ValueError("line breaks and control characters are not allowed")
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), AfterValidator(_printable)
]
MaybeText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120), AfterValidator(_printable)]
Postcode = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9 -]{3,10}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
TaxCode = Literal["S19", "S07", "E12", "K19", "O2B"]
Account = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,20}$")]


class Strict(BaseModel):
    """Unknown fields are an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class Buyer(Strict):
    """Who the document is made out to."""

    name: Text = Field(examples=["Erika Beispiel"])
    street: Text = Field(examples=["Hauptstraße 1"])
    postcode: Postcode = Field(examples=["56170"])
    city: Text = Field(examples=["Bendorf"])
    country: Country = "DE"


class PaymentCreate(Strict):
    """Pay for a held booking."""

    booking_id: UUID
    buyer: Buyer
    locale: Literal["de", "en"] = "de"


class PaymentOpened(BaseModel):
    """A payment page to go to."""

    id: UUID
    booking_id: UUID
    status: str
    checkout_url: str | None
    amount_cents: int
    currency: str
    expires_at: datetime | None


class RefundPublic(BaseModel):
    """Money on its way back."""

    id: UUID
    reason: str
    status: str
    amount_cents: int
    created_at: datetime
    settled_at: datetime | None


class PaymentPublic(PaymentOpened):
    """A payment with what became of it."""

    paid_cents: int
    refunded_cents: int
    paid_at: datetime | None
    created_at: datetime
    refunds: list[RefundPublic]

    @classmethod
    def of(cls, payment: Payment, refunds: list[Refund]) -> "PaymentPublic":
        """Leave out what is the provider's or the buyer's."""
        own = payment.model_dump(include=set(cls.model_fields)) | {"checkout_url": payment.checkout_url or None}
        return cls(**own, refunds=[RefundPublic(**refund.model_dump()) for refund in refunds])


class LinePublic(BaseModel):
    """One line of a document."""

    position: int
    text: str
    supply_from: datetime
    supply_to: datetime
    net_cents: int
    tax_cents: int
    gross_cents: int
    tax_code: str
    rate_percent: Decimal


class DocumentPublic(BaseModel):
    """An issued invoice or cancellation; amounts are positive in both."""

    id: UUID
    kind: Literal["invoice", "cancellation"]
    number: str
    refers_number: str
    test: bool
    booking_id: UUID
    payment_id: UUID
    issue_date: date
    net_cents: int
    tax_cents: int
    gross_cents: int
    currency: str
    hash: str
    lines: list[LinePublic]

    @classmethod
    def of(cls, view: DocumentView) -> "DocumentPublic":
        """Add the lines."""
        lines = [LinePublic(**{name: getattr(line, name) for name in LinePublic.model_fields}) for line in view.lines]
        return cls(**view.document.model_dump(include=set(cls.model_fields)), lines=lines)


class PaymentList(BaseModel):
    """All payments of a booking, oldest first."""

    items: list[PaymentPublic]
    next: str | None


class DocumentList(BaseModel):
    """All documents of a booking, in the order of issue."""

    items: list[DocumentPublic]
    next: str | None


class WebhookReceipt(BaseModel):
    """The webhook is stored; ``new`` is false for a repeat."""

    received: Literal[True]
    new: bool


class TaxRuleBody(Strict):
    """How a tax code is taxed from a day on."""

    tax_code: TaxCode
    valid_from: date
    rate_percent: Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2)]
    category: Literal["S", "E", "O"]
    note: MaybeText = ""
    revenue_account: Account = "44110000"

    @model_validator(mode="after")
    def _fits(self) -> "TaxRuleBody":
        if (self.category == "S") != (self.rate_percent > 0):
            raise ValueError("category S goes with a rate above 0, E and O with 0")
        if self.category != "S" and not self.note:
            raise ValueError("without tax, the document must say why (note)")
        return self

    def rule(self) -> TaxRule:
        """Return the domain's value; the rate has two decimals, as the database keeps it."""
        return TaxRule(**self.model_dump() | {"rate_percent": self.rate_percent.quantize(Decimal("0.01"))})


class AccountsBody(Strict):
    """Accounts and codes of the finance office. The defaults are examples."""

    mandant: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")] = "00137"
    debtor: Account = "10001"
    clearing: Account = "1361"
    prepayment: Account = "1593"
    finance: Account = "64110000"
    product: Account = "57110"
    cost_centre: Account = "8010"
    other_tax: Account = "1770"
    tax: dict[TaxCode, Account] = {"S19": "1776", "S07": "1771"}


class SellerPut(Strict):
    """The operator as seller: whole object."""

    name: Text
    street: Text
    postcode: Postcode
    city: Text
    country: Country = "DE"
    tax_number: MaybeText = ""
    vat_id: MaybeText = ""
    accounts: AccountsBody = AccountsBody()
    hkr_profile: str = "default"
    tax_rules: Annotated[list[TaxRuleBody], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _complete(self) -> "SellerPut":
        if not self.tax_number and not self.vat_id:
            raise ValueError("an invoice needs tax_number or vat_id")
        if self.hkr_profile not in PROFILES:
            raise ValueError(f"hkr_profile is one of {sorted(PROFILES)}")
        keys = [(rule.tax_code, rule.valid_from) for rule in self.tax_rules]
        if len(set(keys)) != len(keys):
            raise ValueError("two rules for one tax code begin on the same day")
        return self


class SellerPublic(BaseModel):
    """The operator as seller."""

    operator: str
    version: int
    name: str
    street: str
    postcode: str
    city: str
    country: str
    tax_number: str
    vat_id: str
    accounts: dict[str, Any]
    hkr_profile: str
    tax_rules: list[TaxRuleBody]


class ReplacedText(BaseModel):
    """A text that the target encoding cannot write."""

    position: int
    column: str
    original: str
    written: str


class ExportPreview(BaseModel):
    """What an export made now would hold."""

    operator: str
    productive: bool
    profile: str
    count: int
    sum_cents: int
    columns: list[str]
    rows: list[list[str]]
    replaced: list[ReplacedText]
    blocking: list[str]

    @classmethod
    def of(
        cls, draft: Draft, rows: list[list[str]], replaced: list[ReplacedText], *, productive: bool
    ) -> "ExportPreview":
        """Show the cells as the file will hold them."""
        return cls(
            operator=draft.seller.operator, productive=productive, profile=draft.profile.name, count=len(draft.parts),
            sum_cents=draft.sum_cents, columns=[column.title for column in draft.profile.columns], rows=rows,
            replaced=replaced, blocking=list(draft.blocking),
        )  # fmt: skip


class ExportCreate(Strict):
    """Make a batch; a productive one refuses sandbox documents."""

    operator: Slug
    productive: bool


class ExportPublic(BaseModel):
    """An immutable batch."""

    id: UUID
    operator: str
    number: int
    productive: bool
    profile: str
    file_name: str
    sha256: str
    row_count: int
    sum_cents: int
    replaced: list[ReplacedText]
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, batch: ExportBatch) -> "ExportPublic":
        """Everything but the bytes."""
        return cls(**batch.model_dump(include=set(cls.model_fields)))


class ExportList(BaseModel):
    """Batches, newest first."""

    items: list[ExportPublic]
    next: str | None


class ClearingPublic(BaseModel):
    """Money that people must look at."""

    id: UUID
    kind: str
    source: str
    operator: str
    payment_id: UUID | None
    amount_cents: int
    currency: str
    detail: str
    created_at: datetime

    @classmethod
    def of(cls, item: ClearingItem) -> "ClearingPublic":
        """One open case."""
        return cls(**item.model_dump(include=set(cls.model_fields)))


class ClearingList(BaseModel):
    """Open cases, newest first."""

    items: list[ClearingPublic]
    next: str | None


class SubjectData(BaseModel):
    """Everything that names a member."""

    charges: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    documents: list[dict[str, Any]]
