"""Entry point for people: the ASGI application, its gate and its routes.

Start it with ``counterlight serve STUDY_DIR`` or ``streamlit run app.py`` with the study's
directory in ``COUNTERLIGHT_STUDY``. Streamlit finds the application by reading this source, so
``app`` stays a literal ``st.App(...)``.
"""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from pages.web.gate import Gate
from pages.web.readings import ReadingRoutes
from pages.web.routes import PictureRoutes
from pages.web.scratch import scratch
from pages.web.site import site_of

_SITE = site_of(os.environ)

app = st.App(
    "pages/navigation.py",
    routes=[*PictureRoutes(_SITE, scratch()).routes, *ReadingRoutes(_SITE).routes],
    middleware=[
        Middleware(
            Gate,
            accounts=_SITE.accounts,
            streamlit_index=Path(st.__file__).parent / "static" / "index.html",
        )
    ],
)
