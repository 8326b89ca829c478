"""Why a strategy ran or did not run for a session: facts of the ledger, judged link by link."""
