"""From a command's options to a finished run folder: plan, runner, retry and fallback policy, ledger, resume."""
