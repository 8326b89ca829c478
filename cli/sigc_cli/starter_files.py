"""Files that `sigc init` and `sigc demo` write."""

from __future__ import annotations

MOMENTUM = """// Twelve-month momentum without the last month, neutral within sectors.
data:
  prices: load parquet from "PLACE/prices.parquet" adjust=split_div
  corporate_actions: load csv from "PLACE/corporate_actions.csv"
  sectors: load sector from "PLACE/sectors.csv"
  market: load csv from "PLACE/benchmark.csv"

params:
  lookback: [231, 126, 63]
  skip = 21

signal momentum:
  past = ret(lag(prices, skip), lookback)
  emit past.winsor(0.01).zscore().neutralize(by=sectors)

portfolio main:
  weights = momentum.long_short(top=0.2, bottom=0.2, cap=0.05)
  costs = tc.bps(5) + borrow.rate(0.01)
  backtest rebal=21 benchmark=market
"""

CONFIG = """# Settings of this project; every setting with its text: sigc config reference
data:
  directory: ./data
schedule:
  calendar: nyse   # whose sessions the data are of: an exchange such as XLON, weekdays, always
daemon:
  work_dir: ./.sigc/state
  pid_file: ./.sigc/sigc.pid
  cache:
    directory: ./.sigc/cache
strategies:
  - name: momentum
    file: strategies/momentum.sig
    # schedule: "0 9 * * 1-5"   # when the daemon trades it, in schedule.timezone; without: by hand, sigc run momentum
"""

DEMO_CONFIG = """# Written by `sigc demo`: the defaults, but for places and ports of its own.
daemon:
  rpc: {{address: "127.0.0.1:{rpc}"}}
  work_dir: "{folder}/state"
  pid_file: "{folder}/sigc.pid"
  cache: {{directory: "{folder}/cache"}}
  health: {{port: {health}}}
  metrics: {{port: {metrics}}}
  dashboard: {{port: {page}}}
schedule:
  calendar: nyse
strategies:
  - {{name: momentum, file: {strategy}}}
"""

README = """# A sigc project

    sigc check strategies/momentum.sig       # all errors, without opening data
    sigc backtest strategies/momentum.sig    # results, --report html for the page
    sigc optimize strategies/momentum.sig    # the grid of its params
    sigc run strategies/momentum.sig --date 2021-06-30 --dry-run
    sigc run strategies/momentum.sig --date 2021-06-30      # the same, traded by the paper broker
    sigc positions; sigc orders; sigc runs list; sigc audit verify
    sigc daemon --daemonize && sigc status   # runs what sigc.yaml has under strategies:; sigc stop ends it

`data/` holds a synthetic universe; put your own prices.parquet there (a date column, then a column an asset).
"""
