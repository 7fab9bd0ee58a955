"""What the documents show of ``results/``: each function makes a block's text of its files."""
