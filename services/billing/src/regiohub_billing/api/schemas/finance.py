"""Exports and the clearing list."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from regiohub_billing.api.schemas.common import Slug, Strict, printable
from regiohub_billing.domain.hkr import Booked, Sides, sides, total_sides
from regiohub_billing.tables import ExportBatch
from regiohub_billing.usecases.clearing import Case
from regiohub_billing.usecases.exports import Preview


def _one_line(text: str) -> str:
    """Form fields send line breaks; a note is one line."""
    return printable(" ".join(text.split()))


Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_one_line)]


class ReplacedText(BaseModel):
    """A text that stands in the file otherwise: the encoding cannot write it, or its column is too narrow."""

    position: int
    column: str
    original: str
    written: str
    reason: Literal["encoding", "length"]


class ExportSides(BaseModel):
    """Claimed (Soll, less what was taken back), received (Ist) and paid back."""

    claim_cents: int
    receipt_cents: int
    pay_back_cents: int

    @classmethod
    def of(cls, found: Sides) -> "ExportSides":
        """The domain's three numbers."""
        return cls(claim_cents=found.claim, receipt_cents=found.receipt, pay_back_cents=found.pay_back)


class ExportEntry(BaseModel):
    """One journal entry as people read it; the file may need several lines for it."""

    document: str
    """Its own number, or that of the invoice it is about; empty for money that has no invoice."""
    posted_on: date
    booking_code: str
    kind: Literal["payment", "invoice", "cancellation", "refund", "refund_failed"]
    sides: ExportSides

    @classmethod
    def of(cls, entry: Booked) -> "ExportEntry":
        """One entry."""
        return cls(
            document=entry.document_number or entry.invoice_number, posted_on=entry.posted_on,
            booking_code=entry.booking_code, kind=entry.kind.value, sides=ExportSides.of(sides(entry)),
        )  # fmt: skip


class ExportPreview(BaseModel):
    """What an export made now would hold; long lists are cut off, ``count`` and ``sum_cents`` are of all."""

    operator: str
    productive: bool
    profile: str
    count: int
    sum_cents: int
    """The file's check sum: all amounts, whatever their direction."""
    totals: ExportSides
    entries: list[ExportEntry]
    columns: list[str]
    rows: list[list[str]]
    """The file's first rows, the head among them."""
    replaced: list[ReplacedText]
    blocking: list[str]
    truncated: bool
    preview: str = Field(description="Names what is shown; sent with the order, it is that or nothing")

    @classmethod
    def of(cls, found: Preview, *, productive: bool, limit: int) -> "ExportPreview":
        """Show the cells as the file will hold them."""
        made = found.made
        return cls(
            operator=found.operator, productive=productive, profile=made.profile, count=made.row_count,
            sum_cents=made.sum_cents, totals=ExportSides.of(total_sides(found.booked)),
            entries=[ExportEntry.of(entry) for entry in found.booked[:limit]], columns=list(made.columns), rows=made.rows,
            replaced=[ReplacedText.model_validate(item, from_attributes=True) for item in made.replaced[:limit]],
            blocking=list(found.blocking), truncated=max(made.row_count + 2, len(made.replaced)) > limit,
            preview=found.mark,
        )  # fmt: skip


class ExportCreate(Strict):
    """Make a batch; a productive one refuses sandbox documents."""

    operator: Slug
    productive: bool
    preview: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="`preview` of the preview that was looked at: if anything else waits by now, 409"
    )


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
        return cls(**{name: getattr(batch, name) for name in cls.model_fields})


class ExportList(BaseModel):
    """Batches, newest first."""

    items: list[ExportPublic]
    next: str | None


class ClearingResolve(Strict):
    """Close a case: what was done about it."""

    note: Note
    retry_refund: bool = False
    """Make a failed refund again, as a new one and at most over what is left of the payment."""


class ClearingPublic(BaseModel):
    """Money that people must look at, or have looked at; booking and documents as far as its payment is known."""

    id: UUID
    kind: str
    source: str
    operator: str
    payment_id: UUID | None
    booking_code: str
    documents: list[str]
    amount_cents: int
    currency: str
    detail: str
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    note: str

    @classmethod
    def of(cls, case: Case) -> "ClearingPublic":
        """One case."""
        fields = case.item.model_dump(include=set(cls.model_fields))
        return cls(**fields, booking_code=case.booking_code, documents=list(case.documents))


class ClearingList(BaseModel):
    """Cases, newest first."""

    items: list[ClearingPublic]
    next: str | None
