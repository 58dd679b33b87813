"""The forms before anybody is signed in: plain HTML without a script, so that nothing of the app
is sent before it.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from string import Template
from typing import Final

from starlette.responses import HTMLResponse

from pages.web.headers import plain_page_policy
from study.passphrases import ADVICE, MAXIMUM_CHARACTERS, MINIMUM_CHARACTERS

_STYLE: Final = """
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #0b0d10;
         color: #c9ced6; font: 1rem/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
  main { width: min(26rem, 92vw); padding: 2rem; background: #12161b; border: 1px solid #2a3038;
         border-radius: 8px; }
  h1 { margin: 0 0 .25rem; font-size: 1.35rem; font-weight: 600; letter-spacing: .01em; }
  p { margin: 0 0 1.25rem; color: #a3abb6; font-size: .95rem; }
  strong { color: #dfe3e8; }
  label { display: block; margin: 1rem 0 .35rem; font-size: .95rem; }
  input { width: 100%; padding: .6rem .75rem; font: inherit; color: #dfe3e8; background: #0b0d10;
          border: 1px solid #6b7683; border-radius: 6px; }
  input[readonly] { color: #a3abb6; border-style: dashed; }
  .hint { margin: .35rem 0 0; font-size: .88rem; }
  button { width: 100%; margin-top: 1.25rem; padding: .6rem .75rem; font: inherit;
           font-weight: 600; color: #0b0d10; background: #7fb2e0; border: 0; border-radius: 6px;
           cursor: pointer; }
  button:hover { background: #99c3ea; }
  input:focus-visible, button:focus-visible, a:focus-visible
    { outline: 2px solid #7fb2e0; outline-offset: 2px; }
  .problem { margin: 1rem 0 0; padding: .55rem .75rem; color: #f0c9a8; background: #2a1d12;
             border-left: 3px solid #d98a4b; }
  a { color: #8ab4de; }
  @media (min-width: 2400px) and (min-height: 1300px) { html { font-size: 150%; } }
"""
_POLICY: Final = plain_page_policy(_STYLE)
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body><main>
<h1>$heading</h1>
$body
</main></body>
</html>
""")


class PlainPage(HTMLResponse):
    """An answer of one page that loads nothing, runs nothing and is kept nowhere.

    Parameters
    ----------
    heading
        What the page is about.
    body
        HTML below the heading.
    status
        HTTP status.
    """

    def __init__(self, heading: str, body: str, status: int = 200) -> None:
        title = "Counterlight" if heading == "Counterlight" else f"{heading} · Counterlight"
        page = _PAGE.substitute(
            title=escape(title), style=_STYLE, heading=escape(heading), body=body
        )
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY}
        super().__init__(page, status, headers)


def sign_in_page(problem: str = "", name: str = "", status: int = 200) -> PlainPage:
    """Return the sign-in form.

    Parameters
    ----------
    problem
        One sentence that says why the last attempt was refused; empty on a first visit.
    name
        Name to start with, as typed before.
    status
        HTTP status of the answer.
    """
    named, first = escape(name[:100], quote=True), not name
    body = (
        "<p>Your name in the study and your passphrase open your own part of it. No passphrase "
        "yet? Open the link of your invitation.</p>"
        '<form method="post" action="/sign-in">'
        '<label for="name">Name in the study</label>'
        f'<input id="name" name="name" type="text" required maxlength="100" value="{named}" '
        'autocapitalize="none" autocomplete="username" spellcheck="false"'
        f"{_focus(first)}{_invalid(problem)}>"
        '<label for="passphrase">Passphrase</label>'
        '<input id="passphrase" name="passphrase" type="password" required '
        f'maxlength="{MAXIMUM_CHARACTERS}" autocomplete="current-password"'
        f"{_focus(not first)}{_invalid(problem)}>"
        f"{_notice(problem)}"
        '<button type="submit">Sign in</button></form>'
    )
    return PlainPage("Counterlight", body, status)


def invitation_page(
    token: str, name: str, expires_at: datetime | None, problem: str = "", status: int = 200
) -> PlainPage:
    """Return the form by which an invited person sets a passphrase.

    Parameters
    ----------
    token
        Of the invitation.
    name
        The name to sign in with from then on.
    expires_at
        When the link stops working.
    problem
        One sentence that says why the last attempt was refused.
    status
        HTTP status of the answer.
    """
    until = (
        f" This link works once, until {expires_at.day} {expires_at:%B %Y}." if expires_at else ""
    )
    field = (
        '<input id="{id}" name="{id}" type="password" required autocomplete="new-password" '
        f'minlength="{MINIMUM_CHARACTERS}" maxlength="{MAXIMUM_CHARACTERS}" '
        'aria-describedby="{about}"{more}>'
    )
    about = "advice problem" if problem else "advice"
    more = _focus(True) + (' aria-invalid="true"' if problem else "")
    body = (
        f"<p>You are invited to this study as <strong>{escape(name)}</strong>. Set the passphrase "
        f"that you will sign in with.{until}</p>"
        f'<form method="post" action="/invite/{escape(token, quote=True)}">'
        '<label for="name">Name in the study</label>'
        f'<input id="name" name="name" type="text" readonly value="{escape(name, quote=True)}" '
        'autocomplete="username">'
        '<label for="passphrase">Passphrase</label>'
        f"{field.format(id='passphrase', about=about, more=more)}"
        f'<p class="hint" id="advice">{escape(ADVICE)}</p>'
        '<label for="repeat">The same passphrase again</label>'
        f"{field.format(id='repeat', about='advice', more='')}"
        f"{_notice(problem)}"
        '<button type="submit">Set passphrase and sign in</button></form>'
    )
    return PlainPage("Your invitation", body, status)


def sign_out_page(csrf: str) -> PlainPage:
    """Return the question asked before signing out of a request that did not come from a page."""
    body = (
        "<p>Everything you submitted is saved.</p>"
        '<form method="post" action="/sign-out">'
        f'<input type="hidden" name="csrf" value="{escape(csrf, quote=True)}">'
        '<button type="submit">Sign out</button></form>'
    )
    return PlainPage("Sign out", body)


def notice_page(
    title: str, sentence: str, status: int = 200, link: tuple[str, str] = ("/", "Go to the start")
) -> PlainPage:
    """Return a page that says one thing and offers a way on.

    Parameters
    ----------
    title, sentence
        What is to be said.
    status
        HTTP status of the answer.
    link
        Address and words of the way on.
    """
    way = f'<p><a href="{escape(link[0], quote=True)}">{escape(link[1])}</a></p>'
    return PlainPage(title, f"<p>{escape(sentence)}</p>{way}", status)


def _notice(problem: str) -> str:
    if not problem:
        return ""
    return f'<div class="problem" id="problem" role="alert">{escape(problem)}</div>'


def _invalid(problem: str) -> str:
    return ' aria-invalid="true" aria-describedby="problem"' if problem else ""


def _focus(wanted: bool) -> str:
    return " autofocus" if wanted else ""
