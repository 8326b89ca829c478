"""The views, in the order of the navigation."""

from __future__ import annotations

from sigc_dashboard.view_api import View
from sigc_dashboard.views.cluster import ClusterView
from sigc_dashboard.views.orders import OrdersView
from sigc_dashboard.views.overview import Overview
from sigc_dashboard.views.run import RunPage
from sigc_dashboard.views.strategy import StrategyView
from sigc_dashboard.views.why import WhyView

VIEWS: tuple[View, ...] = (Overview(), StrategyView(), RunPage(), OrdersView(), ClusterView(), WhyView())
