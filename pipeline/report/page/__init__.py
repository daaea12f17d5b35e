"""HTML pages of reports: cards, charts, tables, and the templates that hold them."""
