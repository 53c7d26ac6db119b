"""Reads a report as a browser would: its elements, its policy and its data."""

import base64
import hashlib
import json
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """Elements with their attributes, the text of scripts and styles, and all other text in ``plain``.

    Args:
        text: The HTML.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.plain: list[str] = []
        self._open: tuple[str, dict[str, str | None]] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs)) if tag in ("script", "style", "title") else None

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.plain.append(f"{data} ")
        else:
            tag, attributes = self._open
            if self.texts and self.texts[-1][:2] == (tag, attributes) and attributes is self.texts[-1][1]:
                data = self.texts.pop()[2] + data
            self.texts.append((tag, attributes, data))

    @property
    def scripts(self) -> list[str]:
        """The scripts that run."""
        return [text for tag, attributes, text in self.texts if tag == "script" and "type" not in attributes]

    @property
    def styles(self) -> list[str]:
        """The style sheets."""
        return [text for tag, _, text in self.texts if tag == "style"]

    @property
    def content(self) -> dict[str, Any]:
        """What the page draws."""
        (text,) = [text for tag, attributes, text in self.texts if attributes.get("id") == "content"]
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def policy(self) -> dict[str, list[str]]:
        """The Content-Security-Policy, by directive."""
        (policy,) = [a["content"] for tag, a in self.elements if a.get("http-equiv") == "Content-Security-Policy"]
        parts = [part.split() for part in (policy or "").split(";")]
        return {name: allowed for name, *allowed in parts}


def digest(text: str) -> str:
    """How a policy names a script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
