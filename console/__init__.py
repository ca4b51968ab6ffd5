"""The console: pages for those who work with cases, made of the API's own services."""
