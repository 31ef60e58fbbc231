"""From books and labelled rows to trained weights."""
