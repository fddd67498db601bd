"""The command line: arguments, help, error messages and exit codes."""
