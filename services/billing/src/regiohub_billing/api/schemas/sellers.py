"""Operators as sellers, with accounts and tax rules."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from regiohub_billing.api.schemas.common import Account, Country, MaybeText, Postcode, Strict, TaxCode, Text
from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.render.hkr import PROFILES


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
    tax: dict[TaxCode, Account] = Field(default={"S19": "1776", "S07": "1771"})


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
