"""Causes, as rules over recordings: each looks at figures alone, never at the name of a server."""
