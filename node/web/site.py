"""The site: every page, static file and guard put together from what is handed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles

from node.web.accounts import Accounts
from node.web.api import v1
from node.web.attempts import AddressBudget
from node.web.faults import add_handlers
from node.web.guard import Guard
from node.web.house import House
from node.web.monitor import add_routes
from node.web.pages import account, audit, case, login, node_state, pictures, reads, statistics, tokens, users, worklist
from node.web.rendering import FOLDER, make_templates
from node.web.services import Services
from node.web_settings import WebSettings

ROUTERS: Final[tuple[APIRouter, ...]] = (
    login.router,
    account.router,
    worklist.router,
    case.router,
    pictures.router,
    reads.router,
    statistics.router,
    v1.router,
    node_state.router,
    users.router,
    tokens.router,
    audit.router,
)
"""Every page. A new one is added here, and to the navigation in ``node.web.rendering`` if it belongs there."""


def make_site(services: Services, settings: WebSettings, clock: Callable[[], datetime]) -> FastAPI:
    """The site over some services; nothing is opened or listened on yet."""
    site = FastAPI(title=settings.title, docs_url=None, redoc_url=None, openapi_url=None)
    site.state.house = House(
        services=services,
        settings=settings,
        clock=clock,
        accounts=Accounts(services.storage.ledger, settings, clock),
        tries=AddressBudget(),
        templates=make_templates(),
        served=frozenset(route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)),
    )
    add_handlers(site)
    site.add_middleware(Guard)
    site.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for router in ROUTERS:
        site.include_router(router)
    add_routes(site)
    return site
