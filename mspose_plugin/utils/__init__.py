"""What every part uses: errors in one line, checks, files."""
