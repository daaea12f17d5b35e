"""Reports of packed archives, and comparisons of several.

``archive_report`` writes a report, ``comparison`` puts several side by side, ``document`` is what
programs read. ``findings`` holds what is known of an archive, ``frames`` the frames that are shown,
``page`` the HTML.
"""
