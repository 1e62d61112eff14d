"""The `screener` command, one module per group of subcommands."""
