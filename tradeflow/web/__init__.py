"""Web views: any worker answers for any symbol."""
