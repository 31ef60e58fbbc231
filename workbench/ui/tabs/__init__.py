"""The tabs of the page: each file ends in TAB; web.py lists their order."""
