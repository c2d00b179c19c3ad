"""Words that several shapes use. Requests are strict; responses have no defaults."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def printable(text: str) -> str:
    """Return the text; raises ``ValueError`` for line breaks and control characters."""
    if not all(char.isprintable() for char in text):
        raise ValueError("line breaks and control characters are not allowed")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), AfterValidator(printable)]
MaybeText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120), AfterValidator(printable)]
Postcode = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9 -]{3,10}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
TaxCode = Literal["S19", "S07", "E12", "K19", "O2B"]
Account = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,20}$")]


class Strict(BaseModel):
    """Unknown fields are an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid")
