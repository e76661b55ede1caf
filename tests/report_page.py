"""The HTML report of an experiment, read back."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Remembers the sortable tables of a page, by their headings, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.tables, self.loads, self._texts, self._row = [], [], None, None
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag, attributes):
        """Open a table, a row or a cell."""
        told = dict(attributes)
        self.loads += [value for key, value in told.items() if key in ("src", "href", "xlink:href", "action")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self._texts = []
            self.tables[-1][-1].append([self._texts, told.get("data-value")])

    def handle_data(self, data):
        """Keep what is in a cell."""
        if self._texts is not None:
            self._texts.append(data)

    def handle_endtag(self, tag):
        """Close a cell."""
        if tag in ("th", "td"):
            self._texts = None

    def values(self, *headings):
        """The sort keys of the first table with such headings, by the first cell of each row."""
        for head, *rows in self.tables:
            if [cell[0][0] for cell in head][: len(headings)] == list(headings):
                return {row[0][1]: [cell[1] for cell in row] for row in rows}
        raise AssertionError(headings)
