"""The commands of `assistant`, one module per topic; heavy imports happen only when a command runs."""
