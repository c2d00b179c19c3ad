"""Who sells, how it is taxed, and the numbers that were given."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from regiohub_billing.tables.base import UTC_TIME, Base


class Seller(Base, table=True):
    """The operator of hubs that is paid and issues documents. Its row is also the lock of its ledger."""

    __tablename__ = "seller"

    operator: str = Field(primary_key=True, sa_type=Text)
    version: int = 1
    name: str = Field(sa_type=Text)
    street: str = Field(sa_type=Text)
    postcode: str = Field(sa_type=Text)
    city: str = Field(sa_type=Text)
    country: str = Field(sa_type=Text)
    tax_number: str = Field(sa_type=Text)
    vat_id: str = Field(sa_type=Text)
    accounts: dict[str, Any] = Field(sa_type=JSONB)
    hkr_profile: str = Field(sa_type=Text)
    updated_at: datetime = Field(sa_type=UTC_TIME)


class TaxRuleRow(Base, table=True):
    """How a seller taxes a code from a day on."""

    __tablename__ = "tax_rule"

    operator: str = Field(sa_column_args=(ForeignKey("seller.operator"),), primary_key=True, sa_type=Text)
    tax_code: str = Field(primary_key=True, sa_type=Text)
    valid_from: date = Field(primary_key=True, sa_type=Date)
    rate_percent: Decimal = Field(sa_type=Numeric(5, 2))
    category: str = Field(sa_type=Text)
    note: str = Field(sa_type=Text)
    revenue_account: str = Field(sa_type=Text)


class NumberSeries(Base, table=True):
    """Gapless counters: taken by ``UPDATE … RETURNING`` in the issuing transaction, so a rollback gives it back."""

    __tablename__ = "number_series"

    operator: str = Field(primary_key=True, sa_type=Text)
    series: str = Field(primary_key=True, sa_type=Text)
    last_number: int = Field(default=0, sa_type=BigInteger)
    last_hash: str = Field(sa_type=Text)


class NumberGap(Base, table=True):
    """Numbers that are left out for good, and why: a restore lost the documents that may bear them outside."""

    __tablename__ = "number_gap"
    __table_args__ = (CheckConstraint("0 < first_number AND first_number <= last_number", name="order"),)

    operator: str = Field(primary_key=True, sa_type=Text)
    series: str = Field(primary_key=True, sa_type=Text)
    first_number: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    last_number: int = Field(sa_type=BigInteger)
    epoch: int = Field(sa_column_args=(ForeignKey("epoch.number"),))
    reason: str = Field(sa_type=Text)
    noted_at: datetime = Field(sa_type=UTC_TIME)
