"""What every request finds in the running site: services, settings, clock, accounts, templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from jinja2 import Environment
from starlette.requests import Request

from node.storage.ledger import Ledger
from node.web.accounts import Accounts
from node.web.attempts import AddressBudget
from node.web.services import Services
from node.web_settings import WebSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Made once by :func:`node.web.site.make_site`, found by :func:`house_of`."""

    services: Services
    settings: WebSettings
    clock: Callable[[], datetime]
    accounts: Accounts
    tries: AddressBudget
    templates: Environment
    served: frozenset[str]  # paths of the pages there are

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.services.storage.ledger


def house_of(request: Request) -> House:
    """The site that the request came to."""
    return cast("House", request.app.state.house)
