"""The instrument tests itself: what it measures of servers whose truth is known."""
