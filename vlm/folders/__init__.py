"""Model folders on disk: their settings, strict reading, atomic writing, and the Hub."""
