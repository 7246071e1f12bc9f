"""Small servers with one thesis each. They print their port and serve one client, or as many as their thesis needs."""
