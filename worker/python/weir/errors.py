"""What is told a person: the place, the cause and the way out, and nothing of this package."""


class SqlError(Exception):
    """A statement, or what was asked of a magic, that cannot be answered."""

    def _render_traceback_(self):
        # IPython shows these lines instead of a traceback; the cell counts as failed all the same.
        return str(self).splitlines()
