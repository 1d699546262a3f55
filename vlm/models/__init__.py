"""Models by name or folder: presets and their base weights, adapters' bases, inventory, merging."""
