"""The subcommands, one module for each job."""
