"""What surrounds the pages: style, top bar, notices."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from study.protocol import StudyHeader

_STYLE: Final = """
<style>
  /* A screen of 4K that is not scaled: letters of the size that they have on a smaller one. */
  @media (min-width: 2400px) and (min-height: 1300px) { html { font-size: 24px !important; } }
  header[data-testid="stHeader"] { display: none; }
  [data-testid="stMainBlockContainer"], .stMainBlockContainer
    { padding: .6rem 1rem .4rem; max-width: none; }
  [data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"] { gap: .5rem; }
  button[data-variant][aria-checked="true"],
  button[data-variant][aria-pressed="true"]
    { background: #2c68a8 !important; border-color: #5b9bd5; }
  button[data-variant][aria-checked="true"] p,
  button[data-variant][aria-pressed="true"] p
    { color: #f0f3f7; font-weight: 600; }
  .bar { display: flex; align-items: center; gap: 1rem; min-height: 2rem; font-size: .95rem;
         color: #98a1ad; white-space: nowrap; overflow: hidden; }
  .bar .title { color: #c9ced6; font-weight: 600; overflow: hidden; text-overflow: ellipsis; }
  progress { appearance: none; height: .45rem; border: 0; border-radius: .25rem; overflow: hidden;
             background: #2a3038; }
  progress::-webkit-progress-bar { background: #2a3038; }
  progress::-webkit-progress-value { background: #5b9bd5; }
  progress::-moz-progress-bar { background: #5b9bd5; }
  .bar progress { width: 11rem; }
  .bar .right { margin-left: auto; }
  .bar a, .bar button, .notice a { color: #8ab4de; }
  .bar button { padding: 0; font: inherit; background: none; border: 0; cursor: pointer;
                text-decoration: underline; }
  .bar :is(a, button):focus-visible, .notice a:focus-visible { outline: 2px solid #5b9bd5; }
  .notice { max-width: 42rem; margin: 12vh auto 0; padding: 1.5rem 1.75rem; background: #12161b;
            border: 1px solid #2a3038; border-radius: 8px; }
  .notice h2 { margin: 0 0 .4rem; padding: 0; font-size: 1.25rem; font-weight: 600;
               color: #dfe3e8; }
  .notice p { margin: 0 0 .6rem; color: #aeb6c1; }
  .simulated { display: inline-block; padding: 0 .5rem; border: 1px solid #b08a4a;
               border-radius: 4px; color: #e0c088; font-size: .85rem; }
</style>
"""


def style(extra: str = "") -> None:
    """Apply the reading room's style to the page.

    Parameters
    ----------
    extra
        Further CSS rules of the page, without the ``<style>`` tag.
    """
    st.html(_STYLE + (f"<style>{extra}</style>" if extra else ""))


def local_time(moment: datetime) -> datetime:
    """Return a moment in the time zone that the browser names; in UTC if that is not known."""
    try:
        return moment.astimezone(ZoneInfo(st.context.timezone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return moment.astimezone(UTC)


def notice(title: str, sentence: str, link: tuple[str, str] | None = None) -> None:
    """Show one message in the middle of the page.

    Parameters
    ----------
    title, sentence
        What is to be said.
    link
        Address and words of a way on.
    """
    way = ""
    if link is not None:
        way = f'<p><a href="{escape(link[0])}" target="_self">{escape(link[1])}</a></p>'
    st.html(
        f'<div class="notice" role="status"><h2>{escape(title)}</h2>'
        f"<p>{escape(sentence)}</p>{way}</div>"
    )


def menu(*links: tuple[str, str]) -> str:
    """Return links for the right end of a bar, with the way out last."""
    anchors = [
        f'<a href="{escape(address)}" target="_self">{escape(words)}</a>'
        for address, words in (*links, ("/sign-out", "Sign out"))
    ]
    return f'<span class="right">{" &nbsp;·&nbsp; ".join(anchors)}</span>'


def reading_menu(*links: tuple[str, str]) -> str:
    """Return what stands at the right end of the bar while a case is read.

    The buttons do nothing by themselves: the form component hears them by their ``data-do``.

    Parameters
    ----------
    *links
        Addresses and words that come first.
    """
    ways = [
        f'<a href="{escape(address)}" target="_self">{escape(words)}</a>'
        for address, words in links
    ]
    ways.append('<button type="button" data-do="problem">Report a problem</button>')
    ways.append('<button type="button" data-do="help" aria-label="Keys and help">?</button>')
    return f'<span class="right">{" &nbsp;·&nbsp; ".join(ways)}</span>'


def bar(study: StudyHeader, middle: str = "", right: str = "") -> None:
    """Show the bar at the top of a page: the study's title, and that its films are simulated.

    Parameters
    ----------
    study
        Gives the title.
    middle, right
        HTML made by this package; anything from outside in it is escaped by the caller.
    """
    tag = '<span class="simulated">simulated films</span>' if study.simulated else ""
    st.html(
        '<div class="bar" role="group" aria-label="Study">'
        f'<span class="title">{escape(study.title)}</span>{middle}{tag}{right}</div>'
    )
