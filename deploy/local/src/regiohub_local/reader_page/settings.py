"""Settings of the page: ``READER_PAGE_PORT``, ``READER_URL`` and ``HUB``."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One page serves one reader."""

    model_config = SettingsConfigDict(populate_by_name=True)

    port: int = Field(validation_alias="READER_PAGE_PORT")
    reader_url: str = Field(validation_alias="READER_URL")
    hub: str = Field(validation_alias="HUB")
