"""The sign-in form: plain HTML without a script, so that nothing of the app is sent before it."""

from __future__ import annotations

from html import escape
from string import Template

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark">
<link rel="icon" href="data:,">
<title>$title · Counterlight</title>
<style>
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #0b0d10;
         color: #c9ced6; font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
  main { width: min(23rem, 92vw); padding: 2rem; background: #12161b; border: 1px solid #2a3038;
         border-radius: 8px; }
  h1 { margin: 0 0 .25rem; font-size: 1.35rem; font-weight: 600; letter-spacing: .01em; }
  p { margin: 0 0 1.25rem; color: #98a1ad; font-size: .95rem; }
  label { display: block; margin-bottom: .35rem; font-size: .95rem; }
  input { width: 100%; padding: .6rem .75rem; font: inherit; letter-spacing: .06em;
          color: #dfe3e8; background: #0b0d10; border: 1px solid #4a535f; border-radius: 6px; }
  button { width: 100%; margin-top: 1rem; padding: .6rem .75rem; font: inherit; font-weight: 600;
           color: #0b0d10; background: #7fb2e0; border: 0; border-radius: 6px; cursor: pointer; }
  button:hover { background: #99c3ea; }
  input:focus-visible, button:focus-visible, a:focus-visible
    { outline: 2px solid #7fb2e0; outline-offset: 2px; }
  .problem { margin: 1rem 0 0; padding: .55rem .75rem; color: #f0c9a8; background: #2a1d12;
             border-left: 3px solid #d98a4b; }
  a { color: #8ab4de; }
</style>
</head>
<body><main>
<h1>$title</h1>
$body
</main></body>
</html>
""")


def sign_in_page(problem: str = "") -> str:
    """Return the sign-in form as HTML.

    Parameters
    ----------
    problem
        One sentence that says why the last attempt was refused; empty on a first visit.
    """
    notice = f'<div class="problem" role="alert">{escape(problem)}</div>' if problem else ""
    described = ' aria-invalid="true"' if problem else ""
    body = (
        "<p>Enter the code you were given. It opens your own part of the study.</p>"
        '<form method="post" action="/sign-in" autocomplete="off">'
        '<label for="code">Sign-in code</label>'
        '<input id="code" name="code" type="text" required autofocus maxlength="128" '
        f'autocapitalize="none" autocomplete="off" spellcheck="false"{described}>'
        f"{notice}"
        '<button type="submit">Sign in</button></form>'
    )
    return _PAGE.substitute(title="Counterlight", body=body)


def sign_out_page() -> str:
    """Return the question asked before signing out of a request that did not come from a page."""
    body = (
        "<p>Everything you submitted is saved.</p>"
        '<form method="post" action="/sign-out"><button type="submit">Sign out</button></form>'
    )
    return _PAGE.substitute(title="Sign out", body=body)


def notice_page(title: str, sentence: str) -> str:
    """Return a page that says one thing and offers the way back."""
    body = f'<p>{escape(sentence)}</p><p><a href="/">Back to the start page</a></p>'
    return _PAGE.substitute(title=escape(title), body=body)
