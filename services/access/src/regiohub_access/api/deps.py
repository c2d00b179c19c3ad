"""What routes need beside the session: settings, the vault, booking's client."""

from datetime import timedelta
from typing import Annotated

import httpx
from fastapi import Depends, Request

from regiohub_access.repo.sealing import Vault
from regiohub_access.settings import Settings
from regiohub_access.usecases.passes import Issuer
from regiohub_access.usecases.sync import Rules
from regiohub_shared.auth.deps import require
from regiohub_shared.auth.principal import COUNTY_ADMIN, HUB_OPERATOR, LOCK_DEVICE, MEMBER, Principal
from regiohub_shared.db.database import Database

Member = Annotated[Principal, Depends(require(MEMBER))]
Operator = Annotated[Principal, Depends(require(HUB_OPERATOR, COUNTY_ADMIN))]
CountyAdmin = Annotated[Principal, Depends(require(COUNTY_ADMIN))]
Device = Annotated[Principal, Depends(require(LOCK_DEVICE))]


def _database(request: Request) -> Database:
    found: Database = request.app.state.db
    return found


def _vault(request: Request) -> Vault:
    found: Vault = request.app.state.vault
    return found


def _booking(request: Request) -> httpx.AsyncClient:
    found: httpx.AsyncClient = request.app.state.booking
    return found


def _settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found


DatabaseDep = Annotated[Database, Depends(_database)]
"""For the two routes that may not keep a transaction open: they wait, or call booking."""
VaultDep = Annotated[Vault, Depends(_vault)]
BookingDep = Annotated[httpx.AsyncClient, Depends(_booking)]
SettingsDep = Annotated[Settings, Depends(_settings)]


def _issuer(settings: SettingsDep, vault: VaultDep) -> Issuer:
    return Issuer(settings.pass_issuer, vault)


def _rules(settings: SettingsDep, vault: VaultDep) -> Rules:
    return Rules(vault, timedelta(hours=settings.pin_ahead_hours))


IssuerDep = Annotated[Issuer, Depends(_issuer)]
RulesDep = Annotated[Rules, Depends(_rules)]
