"""The server behind the page, and the room it takes."""
