"""The Streamlit script: the pages of the role that is signed in.

It lies in ``pages/`` and not beside it: with a main script next to a ``pages`` folder, Streamlit
serves every file in there as a page of its own, past this list.
"""

from __future__ import annotations

import streamlit as st

from pages.parts.chrome import notice, style
from pages.parts.context import signed_in
from pages.web.access import pages_of
from study.errors import StudyError

st.set_page_config(page_title="Counterlight", layout="wide")


def _run() -> None:
    try:
        visit = signed_in()
    except StudyError as error:
        style()
        notice("Not available", str(error))
        return
    if visit is None:
        style()
        notice("You are signed out", "Sign in to go on.", link=("/sign-in", "Sign in"))
        return
    pages = [
        st.Page(f"{link.path}.py", title=link.title, url_path=link.path, default=number == 0)
        for number, link in enumerate(pages_of(visit.account.role))
    ]
    st.navigation(pages, position="hidden").run()


_run()
