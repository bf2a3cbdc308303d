"""The page on which a user lets an application in, and where it sends them back to."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template
from urllib.parse import urlencode, urlsplit, urlunsplit

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Allow access · Outreach sandbox</title>
<link rel="stylesheet" href="/static/base.css">
<link rel="stylesheet" href="/static/page.css">
</head>
<body class="consent">
<main>
<h1>Allow access?</h1>
$content
</main>
</body>
</html>
""")

_FORM = Template("""<p><strong>$client</strong> asks to use Outreach as you, with</p>
<ul>$scopes</ul>
<form method="post">
<label>Outreach user <input name="user" value="$user" list="users" required autofocus></label>
<datalist id="users">$users</datalist>
<p class="actions">
<button name="decision" value="allow" class="primary">Allow</button>
<button name="decision" value="deny" formnovalidate>Deny</button>
</p>
</form>
<p class="hint">You then go back to <code>$host</code>.</p>""")


def consent_page(query: Mapping[str, str], users: list[str]) -> str:
    """The page that asks; ``query`` is that of an authorize request found good."""
    content = _FORM.substitute(
        client=escape(query["client_id"]),
        scopes="".join(f"<li><code>{escape(s)}</code></li>" for s in query["scope"].split()),
        user=escape(users[0] if users else "ops"),
        users="".join(f'<option value="{escape(user)}">' for user in users),
        host=escape(urlsplit(query["redirect_uri"]).netloc),
    )
    return _PAGE.substitute(content=content)


def refusal_page(problem: str) -> str:
    """The page for an authorize request that cannot be granted."""
    content = f'<p role="alert">This request cannot be granted: {escape(problem)}.</p>'
    return _PAGE.substitute(content=content)


def way_back(query: Mapping[str, str], **result: str) -> str:
    """Where the user is sent with a code or an error, the state as it came."""
    if "state" in query:
        result["state"] = query["state"]
    parts = urlsplit(query["redirect_uri"])
    joined = "&".join(part for part in (parts.query, urlencode(result)) if part)
    return urlunsplit(parts._replace(query=joined))
