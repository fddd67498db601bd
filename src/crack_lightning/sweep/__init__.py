"""Many runs from one command: each job in a process of its own."""
